"""The arithmetic of a forecast: votes, packs, days."""

from __future__ import annotations

import pytest

from batchfree.job.forecast import ASSUMED_YIELD, Experience, Pace, Work, expected_votes
from batchfree.quality.vote_allocation import VotingRule

NOON, MIDNIGHT, DAY = 12 * 3600.0, 24 * 3600.0, 86_400.0


@pytest.mark.parametrize(("rule", "agreement", "votes"), [
    (VotingRule(), 0.8, 1.0),
    (VotingRule(min=3, max=5, agree=1), 0.8, 3.0),  # three votes of two kinds have a leader
    (VotingRule(min=1, max=5, agree=2), 1.0, 2.0),
    (VotingRule(min=2, max=3, agree=2), 0.8, 2 + 2 * 0.8 * 0.2),
    (VotingRule(min=1, max=9, agree=9), 0.5, 9.0),
    (VotingRule(min=1, max=9, agree=9, budget=2.5), 0.5, 2.5),
])  # fmt: skip
def test_votes_are_expected_by_the_rule(rule: VotingRule, agreement: float, votes: float) -> None:
    assert expected_votes(rule, agreement) == pytest.approx(votes)


def work(rows: int = 0, alone: int = 0, **more: object) -> Work:
    return Work(groups={"a": rows}, alone=alone, pilot_groups={}, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("of", "size", "requests"), [
    (work(100), 1, 100), (work(100), 10, 10), (work(101), 10, 11), (work(100, 5), 10, 15),
    (work(100, passes=2.5), 1, 250), (work(100, passes=2.5, first=2.5), 10, 25),
    (work(100, 5, passes=2.5), 10, 10 + 1.5 * 100 / 7.75 + 5 * 2.5),  # further votes do not fill their packs
    (Work(groups={"a": 20}, alone=0, pilot_groups={"a": 10}, pilot_models=7), 1, 20 + 7 * 10),
    (Work(groups={"a": 20}, alone=0, pilot_groups={"a": 10}, pilot_models=7), 10, 2 + 7 * 10 / 5.23),
])  # fmt: skip
def test_requests_are_packs_times_votes(of: Work, size: int, requests: float) -> None:
    assert of.packs(size) == pytest.approx(requests)
    assert of.requests(size, Experience()) == round(requests / ASSUMED_YIELD)


def test_experience_takes_the_place_of_the_assumption() -> None:
    lossy = Experience(requests=500, asked=1000, answered=500, seconds=1000.0)
    assert lossy.share_answered == pytest.approx(0.5, abs=0.01)
    assert lossy.seconds_each == 2.0
    assert Experience(requests=1, asked=1, answered=0).share_answered > 0.8, "one failure says little"


@pytest.mark.parametrize(("left", "per_day", "requests", "ends"), [
    (None, None, 100, NOON + 300),
    (100, 100, 100, NOON + 300),
    (50, 100, 100, MIDNIGHT + 150),
    (0, 100, 250, MIDNIGHT + 2 * DAY + 150),
    (50, 0, 100, None),
    (None, None, 20_000, MIDNIGHT + (20_000 - 14_400) * 3),  # not more than the pace allows
])  # fmt: skip
def test_the_end_follows_from_the_quota_of_the_days(
    left: int | None, per_day: int | None, requests: int, ends: float | None
) -> None:
    pace = Pace(left=left, per_day=per_day, resets_at=MIDNIGHT, seconds_each=3.0)
    assert pace.finishes_at(requests, NOON) == ends
