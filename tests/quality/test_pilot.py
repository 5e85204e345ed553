"""The pilot: which models are better, and which stay."""

from __future__ import annotations

from statistics import mean

import polars as pl
import pytest
from support.votes import BABE, sample, votes_of

from batchfree.quality.pilot import models_to_keep, rank_models


def with_expected(votes: pl.DataFrame, expected: str) -> pl.DataFrame:
    """The votes with `correct`, from the expected label of each row."""
    wanted = pl.Series(list(expected)).gather(votes["row"])
    return votes.with_columns(correct=votes["answer"] == wanted)


def test_expected_values_decide_where_there_are_some():
    expected = "ab" * 10
    votes = with_expected(
        votes_of({"bad": "ba" * 10, "worse": "ba" * 10, "good": expected, "fair": "a" * 20}), expected
    )
    ranked = rank_models(votes, ["a", "b"])
    assert [each.model for each in ranked] == ["good", "fair", "bad", "worse"]
    assert [each.right.count for each in ranked] == [20, 10, 0, 0]
    assert all(each.measured for each in ranked)


def test_without_expected_values_the_consensus_decides():
    votes = votes_of(
        {"one": "ab" * 20, "two": "ab" * 20, "three": "ab" * 19 + "ba", "odd": "ba" * 20, "same": "a" * 40}
    )
    ranked = rank_models(votes, ["a", "b"])
    assert [each.model for each in ranked] == ["one", "two", "three", "same", "odd"]
    assert not any(each.measured for each in ranked)


def test_a_few_expected_values_are_too_few():
    votes = votes_of({"one": "ab" * 20, "two": "ab" * 20, "odd": "ba" * 20})
    votes = votes.with_columns(correct=pl.when(pl.col("row") < 3).then(pl.col("model") == "odd"))
    ranked = rank_models(votes, ["a", "b"])
    assert ranked[-1].model == "odd"
    assert not ranked[0].measured


def test_an_answer_that_could_not_be_read_is_a_wrong_one():
    lost = pl.DataFrame({"row": range(10), "model": ["lossy"] * 10, "answer": pl.Series([None] * 10, dtype=pl.String)})
    votes = votes_of({"lossy": [*[None] * 10, *"ab" * 5], "whole": "ab" * 10, "other": "ab" * 10})
    ranked = rank_models(pl.concat([votes, lost]), ["a", "b"])
    assert ranked[-1].model == "lossy"
    assert ranked[-1].right.total == 20


def test_a_model_with_few_answers_ranks_behind_one_that_proved_itself():
    votes = with_expected(votes_of({"seldom": "ab", "often": "ab" * 19 + "bb"}), "ab" * 20)
    assert [each.model for each in rank_models(votes)] == ["often", "seldom"]


@pytest.mark.parametrize(
    ("keep", "at_least", "kept"), [(0.5, 1, 3), (0.2, 1, 1), (0.2, 3, 3), (1, 1, 1), (4, 1, 4), (9, 1, 5)]
)
def test_a_share_or_a_number_of_models_is_kept(keep, at_least, kept):
    votes = with_expected(votes_of({f"m{number}": "a" * 20 + "b" * number for number in range(5)}), "a" * 24)
    best = models_to_keep(rank_models(votes), keep, at_least=at_least)
    assert best == ["m0", "m1", "m2", "m3", "m4"][:kept]


def test_no_votes_rank_no_models():
    assert rank_models(votes_of({})) == []
    assert models_to_keep([], 0.5) == []


def test_forty_real_rows_find_a_better_half_without_expected_values():
    votes = sample(BABE)
    rows = votes["row"].unique().sort()[:40]
    kept = models_to_keep(rank_models(votes.filter(pl.col("row").is_in(rows.implode())), ["0", "1"]), 0.5)
    real = votes.group_by("model").agg(right=(pl.col("answer") == pl.col("expected")).mean())
    assert len(kept) == 7
    shares = dict(real.select("model", "right").iter_rows())
    assert mean(shares[model] for model in kept) > mean(shares.values()) + 0.04
