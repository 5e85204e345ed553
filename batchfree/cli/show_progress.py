"""The progress of a run on stderr: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from batchfree.cli import terminal
from batchfree.cli.arguments import RunArguments
from batchfree.cli.progress_text import Rate, plain_line, stopping_note, view_lines
from batchfree.cli.terminal import say, with_noun
from batchfree.core.stops import INTERRUPTED, TERMINATED
from batchfree.run import signals
from batchfree.run.progress import Observer, Progress

if TYPE_CHECKING:
    from batchfree.journal.attempts import Attempt

INTERRUPTIONS = (INTERRUPTED, TERMINATED)
PLAIN_EVERY = ((120.0, 10.0), (3600.0, 60.0), (float("inf"), 300.0))
"""Pairs of seconds: up to this time of a run, this interval lies between two plain lines."""
LEFT = "left at once; the next run asks the rows in flight again"


@contextmanager
def show_progress(arguments: RunArguments, job: str) -> Iterator[Observer]:
    """The observer that shows the progress of a run, as `--progress`, `-q` and `-v` ask for it."""
    style = arguments.progress
    if style == "auto":
        style = "bar" if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb" else "plain"
    signals.before_leaving = None if arguments.quiet else partial(say, LEFT)
    if arguments.quiet:
        yield lambda progress: None
    elif style == "none":
        yield _with_messages(arguments, lambda progress: None)
    elif style == "plain":
        yield _with_messages(arguments, PlainLines(job, time.monotonic))
    else:
        with _live_view(job) as observer:
            yield _with_messages(arguments, observer)


@contextmanager
def _live_view(job: str) -> Iterator[Observer]:
    """An observer that only keeps the last progress; the view draws it once a second."""
    from batchfree.cli.live_view import LiveView

    shown, rate = Progress(total=0), Rate()

    def observe(progress: Progress) -> None:
        nonlocal shown
        shown = progress

    def lines(width: int) -> list[str]:
        rate.add(time.monotonic(), shown)
        return view_lines(job, shown, rate, time.time(), width)

    view = LiveView(lines)
    terminal.before_saying = view.hide
    view.start()
    try:
        yield observe
    finally:
        terminal.before_saying = None
        view.stop()


def _with_messages(arguments: RunArguments, observer: Observer) -> Observer:
    """An observer that also prints messages at once: that the run stops, and with `-v` every request."""
    told = False

    def observe(progress: Progress) -> None:
        nonlocal told
        if arguments.verbose and progress.recorded is not None:
            say(attempt_line(progress.recorded))
        if progress.stopped is not None and progress.stopped.exit_code in INTERRUPTIONS and not told:
            told = True
            say(f"{stopping_note(progress, time.time())}. To leave at once, press Ctrl-C again")
        observer(progress)

    return observe


def attempt_line(attempt: Attempt) -> str:
    """One request in one line: its time, its rows, the models asked and answering, its seconds and its outcome."""
    asked, *others = attempt.models or (attempt.route,)
    if others:
        asked += f" or {with_noun(len(others), 'other')}"
    models = f"{asked} → {attempt.model}" if attempt.model and attempt.model != asked else asked
    outcomes = attempt.outcomes
    if len(outcomes) == 1:
        (outcome,) = outcomes
        rows = f"row {outcome.row + 1}" + ("" if outcome.id is None else f" ({outcome.id})")
        result = "ok" if outcome.kind is None else f"{outcome.kind}: {outcome.error}"
    else:
        rows = f"{with_noun(len(outcomes), 'row')} from row {min(each.row for each in outcomes) + 1} on"
        kinds = Counter("ok" if each.kind is None else str(each.kind) for each in outcomes)
        result = ", ".join(f"{number} {kind}" for kind, number in kinds.items()) or f"{attempt.kind}: {attempt.error}"
    return f"{attempt.at.astimezone():%H:%M:%S} {rows}: {models}, {attempt.latency_s:.1f} s: {result}"


class PlainLines:
    """Prints a line with the first request, then at growing intervals, and for every new reason to wait."""

    def __init__(self, job: str, monotonic: Callable[[], float]) -> None:
        self._job, self._monotonic = job, monotonic
        self._rate = Rate()
        self._begin: float | None = None
        self._next = float("-inf")
        self._waiting: str | None = None

    def __call__(self, progress: Progress) -> None:
        """Prints the progress if a line is due."""
        seconds = self._monotonic()
        self._begin = seconds if self._begin is None else self._begin
        is_new_wait = progress.waiting_for not in (None, self._waiting)
        has_begun = progress.in_flight or progress.requests or progress.waiting_for
        if not has_begun or (seconds < self._next and not is_new_wait):
            return
        self._waiting = progress.waiting_for
        self._next = seconds + next(every for until, every in PLAIN_EVERY if seconds - self._begin < until)
        self._rate.add(seconds, progress)
        say(plain_line(self._job, progress, self._rate, time.time()))
