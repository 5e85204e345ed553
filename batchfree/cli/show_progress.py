"""The progress of a run on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from batchfree.cli.arguments import RunArguments
from batchfree.cli.terminal import count, ignore_closed_terminal, say
from batchfree.run.progress import Observer, Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from batchfree.journal.attempts import Attempt

PLAIN_EVERY = 10.0
"""Seconds between two plain lines."""


@contextmanager
def show_progress(arguments: RunArguments, job: str) -> Iterator[Observer]:
    """The observer that shows the progress of a run, as `--progress`, `-q` and `-v` ask for it."""
    style = arguments.progress
    if style == "auto":
        style = "bar" if sys.stderr.isatty() else "plain"
    if arguments.quiet or style == "none":
        yield _with_requests(arguments, lambda progress: None)
    elif style == "plain":
        yield _with_requests(arguments, PlainLines(job, time.monotonic))
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        bar = Bar(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True), transient=True)
        bar.start()
        try:
            yield _with_requests(arguments, _drawn_on(bar, job))
        finally:
            with ignore_closed_terminal():
                bar.stop()


def _with_requests(arguments: RunArguments, observer: Observer) -> Observer:
    """With `-v` an observer that first prints the request that was just recorded; else the same observer."""
    if not arguments.verbose:
        return observer

    def observe(progress: Progress) -> None:
        if progress.recorded is not None:
            say(request_line(progress.recorded))
        observer(progress)

    return observe


def request_line(attempt: Attempt) -> str:
    """One request in one line: its time, its rows, the models asked and answering, its seconds and its outcome."""
    asked, *others = attempt.models or (attempt.route,)
    if others:
        asked += f" or {count(len(others), 'other')}"
    models = f"{asked} → {attempt.model}" if attempt.model and attempt.model != asked else asked
    outcomes = attempt.outcomes
    if len(outcomes) == 1:
        (outcome,) = outcomes
        rows = f"row {outcome.row + 1}" + ("" if outcome.id is None else f" ({outcome.id})")
        result = "ok" if outcome.kind is None else f"{outcome.kind}: {outcome.error}"
    else:
        rows = f"{count(len(outcomes), 'row')} from row {min(each.row for each in outcomes) + 1} on"
        kinds = Counter("ok" if each.kind is None else str(each.kind) for each in outcomes)
        result = ", ".join(f"{number} {kind}" for kind, number in kinds.items()) or f"{attempt.kind}: {attempt.error}"
    return f"{attempt.at.astimezone():%H:%M:%S} {rows}: {models}, {attempt.latency_s:.1f} s: {result}"


def _drawn_on(bar: Bar, job: str) -> Observer:
    task = bar.add_task(job, total=None, note="")

    def observe(progress: Progress) -> None:
        done = progress.skipped + progress.ok + progress.failed
        bar.update(task, total=progress.total or None, completed=done, note=requests_note(progress))

    return observe


class PlainLines:
    """Prints a line at the start, every ten seconds, and for every new reason to wait."""

    def __init__(self, job: str, monotonic: Callable[[], float]) -> None:
        self._job, self._monotonic = job, monotonic
        self._next = 0.0
        self._waiting: str | None = None

    def __call__(self, progress: Progress) -> None:
        """Prints the progress if a line is due."""
        is_new_wait = progress.waiting_for not in (None, self._waiting)
        if not progress.total or (self._monotonic() < self._next and not is_new_wait):
            return
        self._waiting = progress.waiting_for
        self._next = self._monotonic() + PLAIN_EVERY
        done = progress.skipped + progress.ok + progress.failed
        say(f"{self._job}: {done} of {count(progress.total, 'row')}, {requests_note(progress)}")


def requests_note(progress: Progress) -> str:
    """Requests, failed rows and the current wait, in half a line."""
    parts = [count(progress.requests, "request")]
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    if progress.waiting_for and progress.until:
        until = time.strftime("%H:%M:%S", time.localtime(progress.until))
        parts.append(f"waiting for the {progress.waiting_for} limit until {until}")
    elif progress.in_flight:
        parts.append(f"{progress.in_flight} in flight")
    return ", ".join(parts)
