"""The progress of a run, for the person who watches and for the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from batchfree.journal.attempts import Attempt
from batchfree.journal.run_folder import EventLog
from batchfree.run.summary import Summary
from batchfree.run.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is.

    `total` counts the rows of the input, `skipped` the answered ones among those read up to now; `recorded` is the
    attempt that was just recorded, if that is what changed.
    """

    total: int
    skipped: int = 0
    ok: int = 0
    failed: int = 0
    requests: int = 0
    in_flight: int = 0
    waiting_for: str | None = None
    until: float | None = None
    warnings: tuple[str, ...] = ()
    recorded: Attempt | None = None


Observer = Callable[[Progress], None]


class ProgressTracker:
    """Keeps the progress of a run up to date, shows it, and writes the events of the log."""

    def __init__(self, observer: Observer, log: EventLog) -> None:
        """`observer` is called with every change."""
        self.progress = Progress(total=0)
        self._observer, self._log = observer, log

    def set_total(self, total: int) -> None:
        """Sets the number of rows in the input."""
        self.progress = replace(self.progress, total=total)

    def warn(self, warning: str) -> None:
        """Shows a warning at once, and keeps it for the summary."""
        self._log.write("warning", message=warning)
        self._show(replace(self.progress, warnings=(*self.progress.warnings, warning)))

    def record(self, attempt: Attempt, *, ok: int, failed: int) -> None:
        """Counts an attempt that is now in the journal, and the rows that it finished."""
        now = self.progress
        requests = now.requests + bool(attempt.models)
        now = replace(now, requests=requests, ok=now.ok + ok, failed=now.failed + failed)
        self._show(replace(now, recorded=attempt))
        self.progress = now

    def in_flight(self, change: int) -> None:
        """Counts the requests in flight: `change` is 1 when a request is sent and -1 when it is over."""
        self._show(replace(self.progress, in_flight=self.progress.in_flight + change))

    def wait(self, reason: str | None, until: float | None) -> None:
        """Shows that all workers wait for `reason` until a moment in epoch seconds; two Nones end the wait."""
        if reason is not None:
            self._log.write("waiting", reason=reason, until=until)
        elif self.progress.waiting_for is not None:
            self._log.write("going_on")
        self._show(replace(self.progress, waiting_for=reason, until=until))

    def end(self, summary: Summary) -> None:
        """Writes how the run ended."""
        stopped = summary.stopped
        if stopped is not None:
            self._log.write("stopped", reason=str(stopped.reason), until=stopped.until, message=stopped.message)
        self._log.write("ended", exit_code=summary.exit_code, requests=summary.requests, **summary.to_json()["counts"])

    def count_skipped(self, tasks: Iterator[Task | int]) -> Iterator[Task | None]:
        """Passes the tasks on. A number among them counts rows that need no request; it becomes None."""
        for task in tasks:
            if isinstance(task, int):
                self._show(replace(self.progress, skipped=self.progress.skipped + task))
                yield None
            else:
                yield task

    def _show(self, progress: Progress) -> None:
        self.progress = progress
        self._observer(progress)
