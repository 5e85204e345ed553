"""One run of a job from the lock to the table, and what can be found out about a job without a run.

Imports: core, jobspec, answers, journal, data, quality, service, run.
Pure: forecast, options, part_rows.
"""
