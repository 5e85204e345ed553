"""The progress of a run, for the person who watches and for the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import msgspec
from msgspec.structs import replace

from batchfree.core.errors import BatchfreeError, UnavailableError
from batchfree.core.stops import Stopped
from batchfree.core.text import iso
from batchfree.journal.attempts import Attempt
from batchfree.journal.event_log import EventLog
from batchfree.journal.model_statistics import ModelStatistics
from batchfree.journal.request_statistics import RequestStatistics
from batchfree.run.summary import Summary
from batchfree.run.tasks import Task
from batchfree.service.quota.account import QuotaUsage

LEAST_PAUSE = 2.0
"""Shortest pause of a worker that is shown, in seconds."""
LOG_EVERY = 100
"""Finished rows between two `progress` events of the log."""
USAGE_EVERY = 5.0
"""Seconds between two reads of the quota."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is.

    `total` counts the rows of the input, `skipped` those read so far that need no request. `recorded` is the attempt
    that was just recorded, if that is the change. `until` is in epoch seconds.
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
    models: Mapping[str, ModelStatistics] = msgspec.field(default_factory=dict)
    """The results of each model in this run."""
    failures: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Requests of this run that brought no answer, by kind of failure."""
    checks: int = 0
    """Rows of packs that were also asked alone in this run."""
    usage: QuotaUsage | None = None
    """The quota, a few seconds old at most; None on an endpoint without limits."""
    goes_on_at: float | None = None
    """When the first of the workers that wait for a retry asks again, in epoch seconds; None if none waits."""
    stopped: Stopped | None = None
    """Why no more requests are started; `until_cut_off` says how long answers in flight are waited for."""
    until_cut_off: float | None = None

    @property
    def done(self) -> int:
        """Rows that need no more requests, as far as the input was read."""
        return self.skipped + self.ok + self.failed


Observer = Callable[[Progress], None]


class ProgressTracker:
    """Keeps the progress of a run up to date, shows it, and writes the events of the log."""

    def __init__(self, observer: Observer, log: EventLog, clock: Callable[[], float]) -> None:
        """`observer` is called with every change; `clock` gives epoch seconds."""
        self._models, self._failures = dict[str, ModelStatistics](), Counter[str]()
        self.statistics = RequestStatistics()
        self.progress = Progress(total=0, models=self._models, failures=self._failures)
        self._observer, self._log, self._clock = observer, log, clock
        self._usage: Callable[[], QuotaUsage] | None = None
        self._looked_at = float("-inf")
        self._logged = 0
        self._pauses: list[float] = []

    def start(self, job: str, endpoint: str, total: int) -> None:
        """Sets the number of rows in the input, and logs that the run has started."""
        self._log.write("started", job=job, endpoint=endpoint, rows=total)
        self._show(replace(self.progress, total=total))

    def follow_quota(self, usage: Callable[[], QuotaUsage]) -> None:
        """From now on reads the quota every few seconds."""
        self._usage = usage
        self._show(self._with_usage(self.progress))

    def warn(self, warning: str) -> None:
        """Shows a warning at once, and keeps it for the summary."""
        self._log.write("warning", message=warning)
        self._show(replace(self.progress, warnings=(*self.progress.warnings, warning)))

    def record(self, attempt: Attempt, *, ok: int, failed: int) -> None:
        """Counts an attempt that is now in the journal, and the rows that it finished."""
        now = self.progress
        self.statistics.add(attempt)
        if attempt.is_counted:
            name, failure = attempt.model_or_route, attempt.main_failure
            if name not in self._models:
                self._models[name] = ModelStatistics()
            self._models[name].add(attempt)
            if failure is not None:
                self._failures[failure] += 1
        requests = now.requests + bool(attempt.models)
        checks = now.checks + (attempt.pack_check and bool(attempt.models))
        now = replace(
            self._with_usage(now), requests=requests, ok=now.ok + ok, failed=now.failed + failed, checks=checks
        )
        self._show(replace(now, recorded=attempt))
        self.progress = now
        if now.ok + now.failed >= self._logged + LOG_EVERY:
            self._logged = now.ok + now.failed
            self._log.write("progress", ok=now.ok, failed=now.failed, requests=now.requests)

    def rest(self, model: str, until: float) -> None:
        """Logs that a model is not asked until a moment in epoch seconds."""
        self._log.write("model_resting", model=model, until=iso(until))

    def in_flight(self, change: int) -> None:
        """Counts the requests in flight: `change` is 1 when a request is sent and -1 when it is over."""
        self._show(replace(self.progress, in_flight=self.progress.in_flight + change))

    @contextmanager
    def pause(self, seconds: float) -> Iterator[None]:
        """Shows that a worker waits this long before it asks again. Pauses below `LEAST_PAUSE` are not shown."""
        if seconds < LEAST_PAUSE:
            yield
            return
        until = self._clock() + seconds
        self._pauses.append(until)
        self._show(replace(self.progress, goes_on_at=min(self._pauses)))
        try:
            yield
        finally:
            self._pauses.remove(until)
            self._show(replace(self.progress, goes_on_at=min(self._pauses, default=None)))

    def wait(self, reason: str | None, until: float | None) -> None:
        """Shows that all workers wait for `reason` until a moment in epoch seconds; two Nones end the wait."""
        if reason is not None:
            self._looked_at = float("-inf")
            self._log.write("waiting", reason=reason, until=iso(until))
        elif self.progress.waiting_for is not None:
            self._log.write("going_on")
        self._show(replace(self._with_usage(self.progress), waiting_for=reason, until=until))

    def stop(self, stopped: Stopped, grace: float) -> None:
        """Shows that no more requests are started; answers in flight have `grace` seconds to arrive."""
        self._show(replace(self.progress, stopped=stopped, until_cut_off=self._clock() + grace))

    def fail(self, error: BatchfreeError) -> None:
        """Logs that the run ended with an error."""
        self._log.write("ended", message=str(error), requests=self.progress.requests)

    def end(self, summary: Summary) -> None:
        """Logs how the run ended."""
        stopped = summary.stopped
        if stopped is not None:
            self._log.write("stopped", reason=str(stopped.reason), until=iso(stopped.until), message=stopped.message)
        self._log.write("ended", exit_code=summary.exit_code, requests=summary.requests, **summary.to_json()["counts"])

    def count_skipped(self, tasks: Iterator[Task | int]) -> Iterator[Task | None]:
        """Yields the tasks. A number among them counts rows that need no request; None is yielded for it."""
        for task in tasks:
            if isinstance(task, int):
                self._show(replace(self.progress, skipped=self.progress.skipped + task))
                yield None
            else:
                yield task

    def _with_usage(self, progress: Progress) -> Progress:
        now = self._clock()
        if self._usage is None or 0 <= now - self._looked_at < USAGE_EVERY:
            return progress
        self._looked_at = now
        try:
            return replace(progress, usage=self._usage())
        except UnavailableError:  # the ledger is out of reach: the last figures stay
            return progress

    def _show(self, progress: Progress) -> None:
        self.progress = progress
        self._observer(progress)
