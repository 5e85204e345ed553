"""What follows from a failure, and how long a backoff is."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfree.core.chat import Kind
from batchfree.core.consequences import CONSEQUENCES, Consequence
from batchfree.run.backoff import backoff

TABLE = {
    Consequence.REJECT: {"render", "invalid_request", "context_length", "tied"},
    Consequence.ANOTHER_ANSWER: {"bad_answer", "empty", "truncated", "not_chat", "refused", "content_policy"},
    Consequence.ANOTHER_MODEL: {
        *("model_unavailable", "upstream_rate_limit", "upstream_error", "timeout", "connection", "bad_response"),
    },
    Consequence.ACCOUNT: {"minute_limit", "day_limit"},
    Consequence.PERSON: {"key_refused", "credits_owed", "privacy_setting"},
}


@pytest.mark.parametrize("consequence", Consequence)
def test_every_kind_leads_to_what_users_were_promised(consequence: Consequence) -> None:
    assert {str(kind) for kind, leads_to in CONSEQUENCES.items() if leads_to is consequence} == TABLE[consequence]


def test_no_kind_is_left_without_a_consequence() -> None:
    assert set(CONSEQUENCES) == set(Kind)


@given(
    attempt=st.integers(1, 10_000),
    seed=st.integers(),
    max_wait=st.floats(0.1, 3600),
)
def test_no_backoff_is_longer_than_its_cap(attempt: int, seed: int, max_wait: float) -> None:
    assert 0 <= backoff(attempt, rng=random.Random(seed), max_wait=max_wait) <= max_wait


def test_the_bound_doubles_and_the_whole_range_below_it_is_used() -> None:
    rng = random.Random(1)
    longest = [max(backoff(n, rng=rng, max_wait=60) for _ in range(500)) for n in range(1, 8)]
    shortest = min(backoff(6, rng=rng, max_wait=60) for _ in range(500))
    assert all(1.7 < later / earlier < 2.3 for earlier, later in pairwise(longest[:6]))
    assert longest[-1] <= 60
    assert shortest < 1


def test_waits_at_the_cap_are_still_spread() -> None:
    rng = random.Random(2)
    waits = [backoff(30, rng=rng, max_wait=60) for _ in range(100)]
    assert max(waits) - min(waits) > 50


def test_a_hint_of_the_service_is_never_cut_short() -> None:
    rng = random.Random(3)
    waits = [backoff(n, rng=rng, max_wait=4, hint=30) for n in range(1, 9)]
    assert all(30 <= wait <= 30.25 for wait in waits)
    assert len(set(waits)) == len(waits), "the workers do not return all at once"


def test_the_same_seed_waits_the_same() -> None:
    first, second = ([backoff(n, rng=random.Random(7), max_wait=60) for n in range(1, 9)] for _ in range(2))
    assert first == second
