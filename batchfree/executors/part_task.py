"""One part of a job as a task of Ray: it runs in a worker process, and reports to the process that the user started."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import anyio
import anyio.to_thread
from msgspec.structs import replace

from batchfree.core.errors import BatchfreeError
from batchfree.core.stops import Stopped, StopReason
from batchfree.core.version import __version__
from batchfree.executors.whole_run import PartResult
from batchfree.job.api import single
from batchfree.job.options import RunOptions
from batchfree.job.session import Session
from batchfree.jobspec.job import Job
from batchfree.run.progress import Progress
from batchfree.run.switch import Switch

REPORT_EVERY = 1.0
"""Seconds between two reports of a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartTask:
    """All that a worker needs to run a part. `version` is that of batchfree on the user's machine."""

    job: Job
    options: RunOptions
    version: str


Report = Callable[[Progress], Stopped | None]
"""Takes the progress of the part to the user's machine. Returns why the run is to end, if it is."""


def run_task(task: PartTask, report: Report) -> PartResult:
    """Runs the part until it is done or stopped. Raises BatchfreeError."""
    if task.version != __version__:
        raise BatchfreeError(
            f"a worker has batchfree {__version__}, and this machine has {task.version}; install the same version"
        )
    return anyio.run(_run, task, report)


async def _run(task: PartTask, report: Report) -> PartResult:
    switch, latest = Switch(), Progress(total=0)

    def observe(progress: Progress) -> None:
        nonlocal latest
        latest = progress

    async def keep_reporting() -> None:
        while True:
            stopped = await anyio.to_thread.run_sync(report, replace(latest, recorded=None))
            if stopped is not None:
                switch.throw(stopped, force=stopped.reason is not StopReason.DEADLINE)
            await anyio.sleep(REPORT_EVERY)

    try:
        async with anyio.create_task_group() as beside:
            beside.start_soon(keep_reporting)
            summary = await Session(task.job, task.options, observe, time.time, None, switch).run()
            beside.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise single(group) from None
    await anyio.to_thread.run_sync(report, replace(latest, recorded=None, in_flight=0, waiting_for=None))
    return PartResult(
        exit_code=summary.exit_code, stopped=summary.stopped, this_run=summary.this_run, warnings=summary.warnings
    )
