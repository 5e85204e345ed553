"""One run from lock to table, and everything that can be said of a job without a run.

Imports: core, jobspec, answers, journal, data, quality, service, run.
Pure: forecast, options, part_rows.
"""
