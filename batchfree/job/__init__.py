"""One run from lock to table, and what can be said of a job without a run."""
