"""The status of a job, from its files alone, also during a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from batchfree.core.chat import JsonObject
from batchfree.core.stops import Counts
from batchfree.core.text import iso
from batchfree.job.hold_job import find_run
from batchfree.job.run_history import PastRun, first_wait, past_runs
from batchfree.job.state import read_state
from batchfree.jobspec.job import Job
from batchfree.journal.attempts import Attempt
from batchfree.journal.event_log import read_events
from batchfree.journal.pack_statistics import PackStatistics
from batchfree.journal.request_statistics import RequestStatistics

SMALL = 100_000
"""Most rows for which the label and the model of answered rows are read; of larger jobs only the status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """The status of a job; `until` in epoch seconds."""

    job: str
    counts: Counts
    running: bool
    requests_today: int
    waiting_for: str | None
    until: float | None
    errors: dict[str, int]
    examples: dict[str, str]
    """The error sentence of the first row of each kind."""
    labels: dict[str, int]
    """Answered rows by label; empty without labels, and in a large job."""
    models: dict[str, int]
    """Answered rows by model; empty in a large job."""
    statistics: RequestStatistics
    """The requests of all runs."""
    last_runs: Sequence[PastRun]
    rehearsed: int = 0
    """Answers of rehearsals, which do not count on the job's endpoint."""
    packs: PackStatistics | None = None
    warnings: Sequence[str] = ()
    """Damaged lines of the journal, each with its place."""

    @property
    def name(self) -> str:
        """The name of the job."""
        return self.job

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
            "labels": self.labels,
            "models": self.models,
            "all_runs": self.statistics.to_json(),
            "last_runs": [run.to_json() for run in self.last_runs],
            "rehearsed": self.rehearsed,
            "packs": self.packs and self.packs.to_json(),
            "warnings": list(self.warnings),
        }


def status(job: Job, now: float) -> JobStatus:
    """The status of a job from its journal; `now` in epoch seconds."""
    today = datetime.fromtimestamp(now, UTC).date()
    requests = 0

    def seen(attempt: Attempt) -> None:
        nonlocal requests
        requests += bool(attempt.models) and attempt.at.date() == today

    state = read_state(job, seen)
    tally = state.counts(brief=state.opened.dataset.count() > SMALL)
    logs = [read_events(folder.log) for folder in state.folder.all()]
    waiting_for, until = first_wait(logs, now)
    counts = tally.counts()
    return JobStatus(
        job=job.spec.name,
        counts=counts,
        running=find_run(state.folder) is not None,
        requests_today=requests,
        waiting_for=waiting_for if counts.pending else None,
        until=until if counts.pending else None,
        errors=tally.errors,
        examples=tally.examples,
        labels=tally.labels,
        models=tally.models,
        statistics=state.requests,
        last_runs=past_runs(logs),
        rehearsed=state.index.left_out,
        packs=state.packs.statistics(),
        warnings=state.warnings,
    )
