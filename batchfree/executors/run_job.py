"""The Python function `run`: in this process, or in parts on Ray, as the job says."""

from __future__ import annotations

from batchfree.job import api
from batchfree.job.options import RunOptions
from batchfree.jobspec.job import Job
from batchfree.run.progress import Observer
from batchfree.run.summary import Summary


def run(job: Job, options: RunOptions = api.DEFAULTS, observer: Observer | None = None) -> Summary:
    """Answers what is not answered yet and writes the table. Raises BatchfreeError if nothing can be done."""
    if not is_on_ray(job, options) or api.is_loop_running():
        return api.run(job, options, observer)
    from batchfree.executors.ray_run import run_on_ray

    return run_on_ray(job, options, observer)


def is_on_ray(job: Job, options: RunOptions) -> bool:
    """Whether the job runs in parts on Ray. A single part always runs in this process."""
    return job.spec.executor.name == "ray" and options.part is None
