"""Settings of a job or of its account that would make it faster, for `plan`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from batchfree.core.chat import JsonObject
from batchfree.core.text import iso
from batchfree.job.forecast import Experience, Pace, Work
from batchfree.jobspec import JobSpec
from batchfree.service.quota.limits import FREE_DAY

BOUGHT_DAY = 1_000
"""Free requests per UTC day of an account that has ever bought ten credits (OpenRouter docs, limits page)."""
WORTH_TELLING = 60.0
"""Seconds by which another setting must change the end to be worth telling."""
FASTER_PACK = 10
"""The pack size that a plan proposes to a job without packs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another setting of the job or of the account, and what it would take."""

    change: str
    requests: int
    finishes_at: float | None

    def to_json(self) -> JsonObject:
        """As `plan --json` prints it."""
        return {"change": self.change, "requests": self.requests, "finishes_at": iso(self.finishes_at)}


def faster_settings(
    spec: JobSpec, work: Work, size: float, experience: Experience, pace: Pace, now: float
) -> Iterator[Alternative]:
    """The settings that would make the job faster, with their figures; none if there is nothing to do.

    `size` is the number of rows in a request now. `now` is in epoch seconds.
    """
    requests = work.requests(size, experience)
    finishes_at = pace.finishes_at(requests, now)
    for each in _settings(spec, work, size, experience, pace, now):
        if requests and _matters(each, requests, finishes_at):
            yield each


def _matters(each: Alternative, requests: int, finishes_at: float | None) -> bool:
    """Whether a setting changes the requests, or the end by more than a minute."""
    if each.finishes_at is None or finishes_at is None:
        return each.finishes_at is not finishes_at
    return each.requests != requests or abs(each.finishes_at - finishes_at) > WORTH_TELLING


def _settings(
    spec: JobSpec, work: Work, size: float, experience: Experience, pace: Pace, now: float
) -> Iterator[Alternative]:
    """The other settings that a job may try, with their figures."""

    def alternative(change: str, work: Work, size: float, pace: Pace) -> Alternative:
        requests = work.requests(size, experience)
        return Alternative(change=change, requests=requests, finishes_at=pace.finishes_at(requests, now))

    if spec.pack == 1 and (work.groups or work.pilot_groups) and work.packs(FASTER_PACK) < work.packs(1):
        yield alternative(f"pack: {FASTER_PACK}", work, FASTER_PACK, pace)
    if spec.asks_votes and work.passes > 1:
        yield alternative("votes: 1", replace(work, passes=1.0, pilot_models=1), size, pace)
    if spec.limits.requests_per_day == "auto" and spec.endpoint.is_openrouter:
        other = FREE_DAY if (pace.per_day or 0) >= BOUGHT_DAY - spec.limits.reserve else BOUGHT_DAY
        used = max(0, (pace.per_day or 0) - (pace.left or 0))
        per_day = max(0, other - spec.limits.reserve)
        tier = "an account without credits" if other == FREE_DAY else "an account that has ever bought 10 credits"
        changed = replace(pace, per_day=per_day, left=max(0, per_day - used))
        yield alternative(f"{other:,} requests a day ({tier})", work, size, changed)
    if pace.left is None and pace.seconds_each * spec.limits.concurrency >= 1:
        twice = replace(pace, seconds_each=pace.seconds_each / 2)
        yield alternative(f"limits.concurrency: {2 * spec.limits.concurrency}", work, size, twice)
