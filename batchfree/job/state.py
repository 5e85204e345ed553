"""A job as it stands, read from its files alone, also while a run is going."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from batchfree.answers.packs import Meter
from batchfree.core.chat import JsonObject
from batchfree.core.stops import Counts
from batchfree.data import output as results
from batchfree.job.open_job import OpenJob, open_job
from batchfree.jobspec.job import Job
from batchfree.journal import lock
from batchfree.journal.attempts import Attempt, pack_record
from batchfree.journal.file import Damage, read_header
from batchfree.journal.index import History
from batchfree.journal.pack_statistics import PackStatistics
from batchfree.journal.run_folder import RunFolder
from batchfree.run.summary import Tally, iso

WAITING = ("waiting", "stopped")
"""Events of the log after which a job waits for something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An open job with what its journal knows."""

    opened: OpenJob
    folder: RunFolder
    history: History
    packs: Meter = field(default_factory=Meter)
    warnings: list[str] = field(default_factory=list)

    def measure(self, attempt: Attempt) -> None:
        """Counts an attempt in, if it was a pack."""
        record = pack_record(attempt, self.opened.rule.labels or ())
        if record is not None:
            self.packs.add(record)

    @property
    def begun(self) -> bool:
        """Whether there was a run."""
        return not self.history.is_empty or read_header(self.folder.journal) is not None

    def table(self, tally: Tally | None = None) -> pl.LazyFrame:
        """The table as it stands."""
        return self.opened.table(self.history, begun=self.begun, tally=tally)

    def counts(self, *, brief: bool = False) -> Tally:
        """The rows by status, model and error, without a table; `brief`: much faster, and without the models."""
        tally, begun = Tally(), self.begun
        for row in self.opened.rows():
            tally.add(row, self.opened.columns(row, self.history, begun=begun, brief=brief))
        return tally

    def export(self, path: Path) -> Tally:
        """Writes the table; the suffix names the format. Raises StorageError; then the old table still stands."""
        tally = Tally()
        results.write(self.table(tally), path, self.opened.spec)
        return tally


def reading(job: Job, seen: Callable[[Attempt], None] = lambda attempt: None, opened: OpenJob | None = None) -> Reading:
    """Opens the job, unless it is, and reads its journal; `seen` is shown every attempt.

    Raises MistakesError and StorageError.
    """
    opened = opened or open_job(job.spec)
    folder = RunFolder(job.spec.run_dir)
    folder.check_owner(job.spec.name, job.spec.file)
    history, warnings = History(folder.journal, names=opened.dataset.id is not None), list[str]()

    def damaged(damage: Damage) -> None:
        warnings.append(f"{folder.journal}:{damage.line}: this line is damaged and is passed over: {damage.why}")

    found = Reading(opened=opened, folder=folder, history=history, warnings=warnings)

    def measured(attempt: Attempt) -> None:
        found.measure(attempt)
        seen(attempt)

    history.load(measured, damaged)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """How far a job is; `until` in epoch seconds."""

    job: str
    counts: Counts
    running: bool
    requests_today: int
    waiting_for: str | None
    until: float | None
    errors: dict[str, int]
    packs: PackStatistics | None = None

    def to_json(self) -> JsonObject:
        """As `status --json` prints it."""
        return {
            "job": self.job,
            "counts": dict(self.counts),
            "running": self.running,
            "requests_today": self.requests_today,
            "waiting_for": self.waiting_for,
            "until": iso(self.until),
            "errors": self.errors,
            "packs": self.packs and self.packs.to_json(),
        }


def status(job: Job, now: float) -> JobStatus:
    """The job's status from its journal; `now` in epoch seconds."""
    today = datetime.fromtimestamp(now, UTC).date()
    requests = 0

    def seen(attempt: Attempt) -> None:
        nonlocal requests
        requests += attempt.at.date() == today

    job_reading = reading(job, seen)
    tally = job_reading.counts(brief=True)
    waiting_for, until = _waiting(job_reading.folder.log, now)
    counts = tally.counts()
    return JobStatus(
        job=job.spec.name,
        counts=counts,
        running=lock.holder(job_reading.folder.lock) is not None,
        requests_today=requests,
        waiting_for=waiting_for if counts.pending else None,
        until=until if counts.pending else None,
        errors=tally.errors,
        packs=job_reading.packs.statistics(),
    )


def _waiting(log: Path, now: float) -> tuple[str | None, float | None]:
    """What the last event of the log waits for, but for that the run is over, while its moment has not come."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 65536))
            lines = file.read().splitlines()
    except OSError:
        return None, None
    for raw in reversed(lines):
        try:
            event = json.loads(raw)
        except ValueError:
            continue
        if event.get("event") == "ended" and raw is lines[-1]:
            continue
        until = event.get("until")
        if event.get("event") in WAITING and isinstance(until, (int, float)) and until > now:
            return str(event.get("reason")), until
        return None, None
    return None, None
