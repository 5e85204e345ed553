"""The Python function `arun`, with the progress of the run below the cell of a notebook."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from html import escape
from importlib import import_module

from batchfree.cli.progress_text import Rate, view_lines
from batchfree.executors.run_job import is_on_ray
from batchfree.job import api
from batchfree.job.options import RunOptions
from batchfree.jobspec.job import Job
from batchfree.run.progress import Observer, Progress
from batchfree.run.summary import Summary
from batchfree.service.connection import Transport

REDRAW_EVERY = 1.0
"""Seconds between two drawings."""
WIDTH = 100
"""Columns of the progress, about as many as a notebook cell has."""


async def arun(
    job: Job,
    options: RunOptions = api.DEFAULTS,
    observer: Observer | None = None,
    clock: Callable[[], float] = time.time,
    transport: Transport = None,
) -> Summary:
    """`run` inside a running event loop. A cancellation loses no more than the requests in flight.

    In a notebook it shows the progress below the cell, unless `observer` is given. `clock` gives epoch seconds;
    `transport` is the httpx transport for the service; workers of Ray have their own. Raises BatchfreeError if the run
    can't begin.
    """
    draw = None if observer is not None else _cell()
    with nullcontext(observer) if draw is None else shown_below(draw, job.spec.name) as watching:
        if not is_on_ray(job, options):
            return await api.arun(job, options, watching, clock, transport)
        from batchfree.executors.ray_run import arun_on_ray

        return await arun_on_ray(job, options, watching)


def _cell() -> Callable[[str], None] | None:
    """A function that shows HTML below the current cell and replaces its earlier HTML; None outside of notebooks."""
    if "IPython" not in sys.modules:
        return None
    shell, display = import_module("IPython.core.getipython"), import_module("IPython.display")
    if not hasattr(shell.get_ipython(), "kernel"):
        return None  # IPython on a terminal
    handle = display.display(display.HTML(""), display_id=True)
    return lambda text: handle.update(display.HTML(text))


@contextmanager
def shown_below(draw: Callable[[str], None], job: str) -> Iterator[Observer]:
    """An observer that keeps the last progress. A thread draws it once a second, and once more at the end."""
    shown, rate, over = Progress(total=0), Rate(), threading.Event()

    def observe(progress: Progress) -> None:
        nonlocal shown
        shown = progress

    def draw_now() -> None:
        rate.add(time.monotonic(), shown)
        draw(f"<pre>{escape(chr(10).join(view_lines(job, shown, rate, time.time(), WIDTH)))}</pre>")

    def redraw() -> None:
        while not over.wait(REDRAW_EVERY):
            draw_now()

    thread = threading.Thread(target=redraw, name="notebook view", daemon=True)
    thread.start()
    try:
        yield observe
    finally:
        over.set()
        thread.join()
        draw_now()
