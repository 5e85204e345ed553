"""Which rows get the next vote."""

from __future__ import annotations

import polars as pl
import pytest

from batchfree.quality.vote_allocation import VotingRule, rows_to_ask

RULE = VotingRule(min=1, max=5, agree=2, budget=2.0)


def state(*rows: tuple[int | None, int | None, float | None]) -> pl.DataFrame:
    """The state of rows 0, 1, 2, … from (votes, lead, confidence)."""
    lines = [(number, *row) for number, row in enumerate(rows)]
    schema = {"row": pl.Int64, "votes": pl.UInt32, "lead": pl.UInt32, "confidence": pl.Float64}
    return pl.DataFrame(lines, schema=schema, orient="row")


@pytest.mark.parametrize(
    ("votes", "lead", "settled", "is_open"),
    [
        (0, 0, False, True),
        (1, 1, False, True),
        (2, 2, True, False),
        (2, 0, False, True),
        (4, 2, True, False),
        (5, 1, False, False),
        (5, 3, True, False),
    ],
)
def test_a_row_is_open_until_it_is_settled_or_has_all_its_votes(votes, lead, settled, is_open):
    assert RULE.is_settled(votes, lead) is settled
    assert RULE.is_open(votes, lead) is is_open


def test_agreement_before_the_least_number_of_votes_does_not_count():
    rule = VotingRule(min=3, max=5, agree=1)
    assert not rule.is_settled(2, 2)
    assert rule.is_open(2, 2)
    assert rule.is_settled(3, 1)


def test_rows_without_their_first_votes_come_before_all_others():
    rows = state((2, 0, 0.5), (None, None, None), (1, 1, 0.6), (0, 0, None))
    assert rows_to_ask(rows, RULE).to_list() == [1, 3, 0, 2]


def test_the_rows_with_the_fewest_votes_come_first_while_every_row_gets_its_first_ones():
    rule = VotingRule(min=3, max=5, agree=1)
    assert rows_to_ask(state((2, 2, 0.9), (0, 0, None), (1, 1, 0.7)), rule).to_list() == [1, 2, 0]


def test_the_least_settled_rows_come_first():
    rows = state((1, 1, 0.9), (2, 0, 0.5), (1, 1, 0.7), (2, 2, 0.4), (5, 1, 0.3))
    assert rows_to_ask(rows, VotingRule(max=5, agree=2)).to_list() == [1, 2, 0]


@pytest.mark.parametrize(
    ("budget", "expected"),
    [(None, [2, 1, 0]), (2.0, [2, 1, 0]), (1.75, [2, 1, 0]), (1.5, [2, 1]), (1.25, [2]), (1.0, [])],
)
def test_the_budget_ends_the_votes_beyond_the_first(budget, expected):
    rows = state((1, 1, 0.9), (1, 1, 0.8), (1, 1, 0.7), (1, 3, 0.1))
    assert rows_to_ask(rows, VotingRule(max=5, agree=2, budget=budget)).to_list() == expected


def test_a_budget_with_a_fraction_is_not_rounded_down_by_a_vote():
    assert VotingRule(budget=1.15).votes_left(rows=100, votes=110) == 5
    assert VotingRule(budget=1.15).votes_left(rows=100, votes=110, owed=3) == 2
    assert VotingRule(budget=1.15).votes_left(rows=100, votes=120) == 0
    assert VotingRule().votes_left(rows=100, votes=120) is None


def test_the_budget_never_takes_the_first_votes_of_a_row():
    """Three pilot votes on row 0 spent the budget of three rows; rows 1 and 2 are asked all the same."""
    rows = state((3, 1, 0.5), (0, 0, None), (0, 0, None))
    assert rows_to_ask(rows, VotingRule(max=5, agree=2, budget=1.0)).to_list() == [1, 2]


def test_votes_that_other_rows_still_need_are_kept_back():
    rows = state((1, 1, 0.9), (1, 1, 0.8), (0, 0, None), (0, 0, None))
    assert rows_to_ask(rows, VotingRule(max=5, agree=2, budget=1.25)).to_list() == [2, 3, 1]


def test_a_row_that_waits_for_a_vote_is_not_asked_again_and_costs_budget():
    rows = state((1, 1, 0.9), (1, 1, 0.8), (1, 1, 0.7), (1, 1, 0.6))
    rule = VotingRule(max=5, agree=2, budget=1.75)
    assert rows_to_ask(rows, rule, waiting=[3]).to_list() == [2, 1]
    assert rows_to_ask(rows, rule, waiting=[3, 2, 1]).to_list() == []


def test_first_votes_are_asked_side_by_side():
    rule = VotingRule(min=2, max=2)
    assert rows_to_ask(state((0, 0, None), (0, 0, None)), rule, waiting=[0, 0, 1]).to_list() == [1]


def test_a_closed_row_is_never_asked_and_claims_no_budget():
    rows = state((1, 1, 0.9), (0, 0, None), (1, 1, 0.8))
    rule = VotingRule(max=5, agree=2, budget=1.34)
    assert rows_to_ask(rows, rule).to_list() == [1, 2]
    assert rows_to_ask(rows, rule, closed=[1]).to_list() == [2, 0]
    assert rows_to_ask(rows, rule, closed=[0, 1, 2]).to_list() == []


def test_no_rows_ask_for_nothing():
    assert rows_to_ask(state(), RULE).to_list() == []
