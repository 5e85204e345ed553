"""The Python interface: runs a job, and reads its table. ARCHITECTURE.md follows one row through the package."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from importlib.util import find_spec

import anyio
import polars as pl

from batchfree.job.options import RunOptions
from batchfree.job.session import Session
from batchfree.job.state import read_state
from batchfree.jobspec.job import Job
from batchfree.run.progress import Observer, Progress
from batchfree.run.summary import Summary
from batchfree.run.switch import Switch
from batchfree.service.connection import Transport

DEFAULTS = RunOptions()


def run(job: Job, options: RunOptions = DEFAULTS, observer: Observer | None = None) -> Summary:
    """Answers what is not answered yet and writes the table. Raises BatchfreeError if nothing can be done."""
    if is_loop_running():
        raise RuntimeError("an event loop is running here, as in a notebook: write `await batchfree.arun(job)`")
    has_uvloop = find_spec("uvloop") is not None
    return anyio.run(arun, job, options, observer, backend_options={"use_uvloop": has_uvloop})


async def arun(
    job: Job,
    options: RunOptions = DEFAULTS,
    observer: Observer | None = None,
    clock: Callable[[], float] = time.time,
    transport: Transport = None,
    switch: Switch | None = None,
) -> Summary:
    """`run` inside a running event loop. A cancellation loses no more than the requests in flight.

    `clock` gives epoch seconds; `transport` is the httpx transport through which the service is reached. Throwing
    `switch` ends the run as a signal does.
    """
    try:
        return await Session(job, options, observer or _unobserved, clock, transport, switch).run()
    except BaseExceptionGroup as group:
        raise single(group) from None


def table(job: Job) -> pl.LazyFrame:
    """The table at this moment, derived from input and journal while it is read. Raises BatchfreeError."""
    return read_state(job).table()


def is_loop_running() -> bool:
    """Whether this thread is inside a running event loop, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def single(error: BaseException) -> BaseException:
    """The exception inside the groups in which task groups wrap a single exception."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _unobserved(progress: Progress) -> None:
    """Ignores the progress of a run that nobody watches."""
