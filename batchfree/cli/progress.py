"""The progress line on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from batchfree.cli.terminal import say, talking
from batchfree.run.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from batchfree.journal.attempts import Attempt

PLAIN_EVERY = 10.0
"""Seconds between two plain lines."""

Observer = Callable[[Progress], None]


@contextmanager
def observer(arguments: argparse.Namespace, job: str) -> Iterator[Observer]:
    """What the run shows its progress to, by the options `--progress`, `-q` and `-v`."""
    style = arguments.progress
    if style == "auto":
        style = "bar" if sys.stderr.isatty() else "plain"
    if arguments.quiet or style == "none":
        yield _told(arguments, lambda progress: None)
    elif style == "plain":
        yield _told(arguments, Lines(job, time.monotonic))
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        bar = Bar(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True), transient=True)
        bar.start()
        try:
            yield _told(arguments, _drawn(bar, job))
        finally:
            with talking():
                bar.stop()


def _told(arguments: argparse.Namespace, watch: Observer) -> Observer:
    """The same, with `-v` after saying what came of the request that was just recorded."""
    if not arguments.verbose:
        return watch

    def show(progress: Progress) -> None:
        if progress.recorded is not None:
            say(story(progress.recorded))
        watch(progress)

    return show


def story(attempt: Attempt) -> str:
    """One request in one line: when, who was asked and who answered, how long it took, what it brought to whom."""
    asked, *others = attempt.models or (attempt.route,)
    if others:
        asked += f" or {len(others)} other{'s' * (len(others) > 1)}"
    who = f"{asked} → {attempt.model}" if attempt.model and attempt.model != asked else asked
    outcomes = attempt.outcomes
    if len(outcomes) == 1:
        (one,) = outcomes
        name = f"row {one.row + 1}" + ("" if one.id is None else f" ({one.id})")
        came = "ok" if one.kind is None else f"{one.kind}: {one.error}"
    else:
        name = f"{len(outcomes)} rows from row {min(each.row for each in outcomes) + 1} on"
        counts = Counter("ok" if each.kind is None else str(each.kind) for each in outcomes)
        came = ", ".join(f"{number} {kind}" for kind, number in counts.items()) or f"{attempt.kind}: {attempt.error}"
    return f"{attempt.at.astimezone():%H:%M:%S} {name}: {who}, {attempt.latency_s:.1f} s: {came}"


def _drawn(bar: Bar, job: str) -> Observer:
    task = bar.add_task(job, total=None, note="")

    def show(progress: Progress) -> None:
        done = progress.skipped + progress.ok + progress.failed
        bar.update(task, total=progress.total or None, completed=done, note=note(progress))

    return show


class Lines:
    """Plain lines: the first at once, then one every ten seconds, and one for every new reason to wait."""

    def __init__(self, job: str, monotonic: Callable[[], float]) -> None:
        self._job, self._monotonic = job, monotonic
        self._next = 0.0
        self._waiting: str | None = None

    def __call__(self, progress: Progress) -> None:
        """Says how far the run is, if it is time."""
        news = progress.waiting_for not in (None, self._waiting)
        if not progress.total or (self._monotonic() < self._next and not news):
            return
        self._waiting = progress.waiting_for
        self._next = self._monotonic() + PLAIN_EVERY
        done = progress.skipped + progress.ok + progress.failed
        say(f"{self._job}: {done} of {progress.total} rows, {note(progress)}")


def note(progress: Progress) -> str:
    """The state of a run in half a line."""
    parts = [f"{progress.requests} requests"]
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    if progress.waiting_for and progress.until:
        until = time.strftime("%H:%M:%S", time.localtime(progress.until))
        parts.append(f"waiting for the {progress.waiting_for} limit until {until}")
    elif progress.in_flight:
        parts.append(f"{progress.in_flight} in flight")
    return ", ".join(parts)
