"""The last runs of a job, from its event log: the time when each began, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from batchfree.core.chat import JsonObject
from batchfree.core.stops import Counts
from batchfree.core.text import iso
from batchfree.journal.event_log import event_time

SHOWN = 5
"""Most runs that are listed."""
LONGEST_WAIT = 366 * 86400.0
"""Seconds; no wait is longer. A damaged log may hold any number."""
WAITS = ("waiting", "stopped")
"""Events after which a job waits."""
IN_BETWEEN = ("model_resting", "progress", "warning", "ended")
"""Events that do not end a wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """One run; times in epoch seconds. Without `ended_at` it is going, or its process was killed."""

    started_at: float
    ended_at: float | None = None
    exit_code: int | None = None
    requests: int = 0
    counts: Counts | None = None
    reason: str | None = None
    """Why it stopped early, as a word; None if it did not."""
    message: str | None = None

    def to_json(self) -> JsonObject:
        """As `status --json` prints it."""
        return {
            "started_at": iso(self.started_at),
            "ended_at": iso(self.ended_at),
            "exit_code": self.exit_code,
            "requests": self.requests,
            "counts": self.counts and dict(self.counts),
            "reason": self.reason,
            "message": self.message,
        }


def past_runs(logs: Iterable[Sequence[JsonObject]]) -> list[PastRun]:
    """The last runs, the newest first. The runs of one log came one after the other."""
    runs = [run for events in logs for run in reversed(_runs_in(events))]
    return sorted(runs, key=lambda run: run.started_at, reverse=True)[:SHOWN]


def _runs_in(events: Sequence[JsonObject]) -> list[PastRun]:
    """The runs of one log, the oldest first."""
    runs: list[PastRun] = []
    started: float | None = None
    stop: JsonObject = {}
    for event in events:
        match event.get("event"):
            case "started":
                if started is not None:
                    runs.append(PastRun(started_at=started))
                started, stop = event_time(event.get("at")), {}
            case "stopped":
                stop = event
            case "ended" if started is not None:
                runs.append(_ended(started, event, stop))
                started = None
    if started is not None:
        runs.append(PastRun(started_at=started))
    return runs


def _ended(started: float, event: JsonObject, stop: JsonObject) -> PastRun:
    numbers = {name: event.get(name) for name in ("ok", "failed", "pending")}
    known = {name: number for name, number in numbers.items() if isinstance(number, int)}
    reason, message = stop.get("reason"), stop.get("message") or event.get("message")
    code, requests = event.get("exit_code"), event.get("requests")
    return PastRun(
        started_at=started,
        ended_at=event_time(event.get("at")),
        exit_code=code if isinstance(code, int) else None,
        requests=requests if isinstance(requests, int) else 0,
        counts=Counts(**known) if known else None,
        reason=None if reason is None else str(reason),
        message=None if message is None else str(message),
    )


def first_wait(logs: Iterable[Sequence[JsonObject]], now: float) -> tuple[str | None, float | None]:
    """The reason and the end of the current wait that ends first, over all logs; two Nones if there is none."""
    waits = [(until, reason) for reason, until in (waiting(events, now) for events in logs) if until is not None]
    until, reason = min(waits, key=lambda wait: wait[0], default=(None, None))
    return reason, until


def waiting(events: Sequence[JsonObject], now: float) -> tuple[str | None, float | None]:
    """The reason and the end of the current wait, from the events of a log; two Nones if there is none."""
    for event in reversed(events):
        if event.get("event") in IN_BETWEEN:
            continue
        until = event_time(event.get("until"))
        if event.get("event") in WAITS and until is not None and now < until < now + LONGEST_WAIT:
            return str(event.get("reason")), until
        return None, None
    return None, None
