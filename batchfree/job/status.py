"""The status of a job, from its files alone. Works while a run is going."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from batchfree.core.chat import Json, JsonObject
from batchfree.core.stops import Counts
from batchfree.core.text import iso
from batchfree.job.state import read_state
from batchfree.jobspec.job import Job
from batchfree.journal import lock
from batchfree.journal.attempts import Attempt
from batchfree.journal.pack_statistics import PackStatistics

LONGEST_WAIT = 366 * 86400.0
"""Seconds; no wait is longer. A damaged log may hold any number."""
WAITING = ("waiting", "stopped")
"""Events of the log after which a job waits."""
PASSING = ("progress", "model_resting", "warning")
"""Events of the log that end no wait."""


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
    """The status of a job from its journal; `now` in epoch seconds."""
    today = datetime.fromtimestamp(now, UTC).date()
    requests = 0

    def seen(attempt: Attempt) -> None:
        nonlocal requests
        requests += bool(attempt.models) and attempt.at.date() == today

    state = read_state(job, seen)
    tally = state.counts(brief=True)
    waiting_for, until = waiting(state.folder.log, now)
    counts = tally.counts()
    return JobStatus(
        job=job.spec.name,
        counts=counts,
        running=lock.find_holder(state.folder.lock, state.folder.journal) is not None,
        requests_today=requests,
        waiting_for=waiting_for if counts.pending else None,
        until=until if counts.pending else None,
        errors=tally.errors,
        packs=state.packs.statistics(),
    )


def waiting(log: Path, now: float) -> tuple[str | None, float | None]:
    """The reason and end of the current wait, from the last "waiting" or "stopped" event; None once it has passed."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 65536))
            lines = file.read().splitlines()
    except OSError:
        return None, None
    for raw in reversed(lines):
        try:
            event = json.loads(raw)
        except (ValueError, RecursionError):
            continue
        if not isinstance(event, dict):
            continue
        if event.get("event") == "ended" and raw is lines[-1]:
            continue
        if event.get("event") in PASSING:
            continue
        until = _seconds(event.get("until"))
        if event.get("event") in WAITING and until is not None and now < until < now + LONGEST_WAIT:
            return str(event.get("reason")), until
        return None, None
    return None, None


def _seconds(value: Json) -> float | None:
    """A time of the log in epoch seconds. Logs of version 0.1 hold epoch seconds already."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).timestamp()
        except ValueError:
            return None
    return float(value) if isinstance(value, int | float) else None
