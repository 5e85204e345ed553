"""The requests that a job will need and the time when it is done, computed from experience and assumptions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from batchfree.journal.attempts import Attempt
from batchfree.quality.vote_allocation import VotingRule

ASSUMED_YIELD = 0.96
"""Share of the rows asked that get an answer, until the job itself shows another share. Runs over emulated pools, most
of them with dead models, needed 1.01 to 1.04 requests per row."""
ASSUMED_SECONDS = 10.0
"""Seconds that a request takes, until the job itself shows another time."""
ASSUMED_AGREEMENT = 0.7
"""Share of the votes for a row's answer, until the job itself shows another share."""
PILOT_FILL, FURTHER_FILL = 0.47, 0.75
"""Share of the places after the first one in a pack that are filled: in a pilot, and in votes beyond `votes.min`. Two
votes on a row come from two models, so the rows of a pack part. Measured in runs with packs of 4 to 20 rows."""
WEIGHT = 20
"""The assumed yield counts as much as this number of rows asked."""
DAY = 86_400.0
LONGEST = 3_650
"""A forecast looks ahead this number of days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """What earlier requests of the job showed. `seconds` is the time of all requests together."""

    requests: int = 0
    asked: int = 0
    answered: int = 0
    seconds: float = 0.0
    packs: int = 0
    packed_rows: int = 0

    @classmethod
    def of(cls, attempts: Iterable[Attempt]) -> Self:
        """The experience of these attempts. Refusals by a limit of the account are left out."""
        whole = cls()
        for attempt in attempts:
            if not attempt.is_counted:
                continue
            rows = len(attempt.outcomes)
            whole = replace(
                whole,
                requests=whole.requests + 1,
                asked=whole.asked + rows,
                answered=whole.answered + attempt.answered,
                seconds=whole.seconds + attempt.latency_s,
                packs=whole.packs + (rows > 1),
                packed_rows=whole.packed_rows + (rows if rows > 1 else 0),
            )
        return whole

    @property
    def share_answered(self) -> float:
        """Share of the rows asked that get an answer: at first the assumed share, then more and more the real one.

        The mean of a beta distribution whose prior counts as `WEIGHT` rows (rule of succession, generalized).
        """
        return (self.answered + ASSUMED_YIELD * WEIGHT) / (self.asked + WEIGHT)

    @property
    def seconds_each(self) -> float:
        """Mean seconds of a request."""
        return self.seconds / self.requests if self.requests else ASSUMED_SECONDS

    def pack_size(self, size: int, *, grows: bool) -> float:
        """Rows in a pack. If packs grow, this is the mean size of the packs so far."""
        return self.packed_rows / self.packs if grows and self.packs else size


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is to be done. `groups` counts questions that may share requests, `alone` questions that may not.

    `passes` is the mean number of votes that these questions still get; votes up to `first` fill their packs.
    `pilot_groups` and `pilot_alone` are questions of a pilot, which all `pilot_models` answer.
    """

    groups: Mapping[str, int]
    alone: int
    passes: float = 1.0
    first: float = 1.0
    pilot_groups: Mapping[str, int]
    pilot_alone: int = 0
    pilot_models: int = 0
    checks: int = 0
    """Rows of packs that are also asked alone."""

    def packs(self, size: float) -> float:
        """Requests of this work if each request brings all its answers."""
        full = min(self.passes, self.first)
        further = (self.passes - full) * _requests(self.groups, _filled(size, FURTHER_FILL))
        pilot = self.pilot_alone + _requests(self.pilot_groups, _filled(size, PILOT_FILL))
        alone = self.alone * self.passes + self.checks
        return full * _full_packs(self.groups, size) + further + pilot * self.pilot_models + alone

    def requests(self, size: float, experience: Experience) -> int:
        """Requests that this work will need; `size` is the number of rows in a pack."""
        return round(self.packs(size) / experience.share_answered)


def _full_packs(groups: Mapping[str, int], size: float) -> int:
    """Requests that ask each question once, if only the last pack of each group is not full."""
    return sum(math.ceil(rows / size) for rows in groups.values())


def _requests(groups: Mapping[str, int], size: float) -> float:
    """Requests that ask each question once, at this mean size of a pack; at least one per group."""
    return sum(max(1.0, rows / size) for rows in groups.values())


def _filled(size: float, share: float) -> float:
    """The mean number of rows in packs of this size if this share of the places after the first one is filled."""
    return 1 + (size - 1) * share


def expected_votes(rule: VotingRule, agreement: float) -> float:
    """The mean number of votes on a row. Each vote is the row's answer with the probability `agreement`, else another.

    Only two answers are assumed. The lead of the answer is then a random walk, whose distribution is computed vote by
    vote until the rule closes the row.
    """
    leads, votes, expected = {0: 1.0}, 0, 0.0
    while votes < rule.max:
        still_open = {lead: share for lead, share in leads.items() if rule.is_open(votes, abs(lead))}
        expected += sum(still_open.values())
        leads = {}
        for lead, share in still_open.items():
            for step, chance in ((1, agreement), (-1, 1.0 - agreement)):
                leads[lead + step] = leads.get(lead + step, 0.0) + share * chance
        votes += 1
    return expected if rule.budget is None else min(expected, max(rule.budget, rule.min))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast requests may be sent: `left` on this UTC day and `per_day` on later days; None for no limit.

    `resets_at` is the start of the next day in epoch seconds, `seconds_each` the time between two requests.
    """

    left: int | None
    per_day: int | None
    resets_at: float
    seconds_each: float

    def finishes_at(self, requests: int, now: float) -> float | None:
        """When the last of these requests is answered, in epoch seconds; None if not within ten years."""
        start, end, left = now, self.resets_at, self.left
        for _ in range(LONGEST):
            fit = math.floor((end - start) / self.seconds_each)
            today = fit if left is None else min(left, fit)
            if requests <= today:
                return start + requests * self.seconds_each
            if self.per_day == 0:
                return None
            requests -= max(0, today)
            start, end, left = end, end + DAY, self.per_day
        return None
