"""Where the parts of a job run at the same time: as tasks of Ray, on this machine or on a cluster.

Imports: core, jobspec, journal, service, run, job.
Pure: none.
"""
