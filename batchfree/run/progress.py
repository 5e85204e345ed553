"""How far a run is, kept up to date for the person who watches, and for the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from batchfree.journal.attempts import Attempt
from batchfree.journal.run_folder import EventLog
from batchfree.run.summary import Summary
from batchfree.run.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is. `total` counts the input's rows, `skipped` those found answered, as far as it has read;
    `recorded` is the request that was just recorded, if that is the news."""

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


class Watch:
    """Hears of everything that changes the progress of a run, and shows it."""

    def __init__(self, total: int, observer: Observer, log: EventLog) -> None:
        self.progress = Progress(total=total)
        self._observer, self._log = observer, log

    def rows(self, total: int) -> None:
        """So many rows has the input."""
        self.progress = replace(self.progress, total=total)

    def warn(self, warning: str) -> None:
        """Something that a person should know now rather than later."""
        self._log.write("warning", message=warning)
        self._show(replace(self.progress, warnings=(*self.progress.warnings, warning)))

    def recorded(self, attempt: Attempt) -> None:
        """One request is in the journal."""
        ok = sum(outcome.kind is None for outcome in attempt.outcomes)
        failed = sum(outcome.final for outcome in attempt.outcomes)
        now = self.progress
        now = replace(now, requests=now.requests + 1, ok=now.ok + ok, failed=now.failed + failed)
        self._show(replace(now, recorded=attempt))
        self.progress = now

    def in_flight(self, change: int) -> None:
        """A request went out (1) or came back (-1)."""
        self._show(replace(self.progress, in_flight=self.progress.in_flight + change))

    def waiting(self, reason: str | None, until: float | None) -> None:
        """Everyone waits for `reason` until then, in epoch seconds; or no longer, with two Nones."""
        if reason is not None:
            self._log.write("waiting", reason=reason, until=until)
        elif self.progress.waiting_for is not None:
            self._log.write("going_on")
        self._show(replace(self.progress, waiting_for=reason, until=until))

    def ended(self, summary: Summary) -> None:
        """The run is over."""
        stopped = summary.stopped
        if stopped is not None:
            self._log.write("stopped", reason=str(stopped.reason), until=stopped.until, message=stopped.message)
        self._log.write("ended", exit_code=summary.exit_code, requests=summary.requests, **summary.to_json()["counts"])

    def counted(self, tasks: Iterator[Task | int]) -> Iterator[Task | None]:
        """The tasks; numbers among them are rows that were passed over, and become None."""
        for task in tasks:
            if isinstance(task, int):
                self._show(replace(self.progress, skipped=self.progress.skipped + task))
                yield None
            else:
                yield task

    def _show(self, progress: Progress) -> None:
        self.progress = progress
        self._observer(progress)
