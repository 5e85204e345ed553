"""The votes of a row become its answer, with figures that say how firm the answer is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import polars as pl

from batchfree.quality.ballots import readable_votes
from batchfree.quality.reliability import Reliability, fit_reliability, posteriors
from batchfree.quality.vote_allocation import VotingRule

Method: TypeAlias = Literal["dawid-skene", "majority"]

EQUAL = 1e-6
"""Two answers are tied if the relative difference of their confidences is no larger than this."""


def consensus(
    votes: pl.DataFrame,
    rule: VotingRule,
    *,
    method: Method = "dawid-skene",
    labels: Sequence[str] | None = None,
    reliability: Reliability | None = None,
) -> pl.DataFrame:
    """The answer of every row that has a readable vote, sorted by row.

    `votes` has the columns `row` (an integer), `model` and `answer` (text; null if it could not be read; free text and
    JSON as `answer_key` writes them). Pass a `reliability` to decide rows in portions, after one fit for all.

    Columns: `row`; `answer`, null if the best answers are tied; `votes`, the number of readable ones; `agreement`, the
    share of votes for the answer (of a tied row: for the leading one); `confidence` from 0 to 1, which orders rows and
    is no probability; `lead`, by how many votes the most frequent answer is ahead of the next; `settled`, whether
    the answer is the most frequent one and `lead` is as large as the rule wants; `tied`.

    The answer is one that got a vote. With `majority` it is the most frequent one, and the confidence is
    `(its votes + 1) / (votes + 2)`. With `dawid-skene` it is the most probable one, and the confidence its probability.
    """
    if method == "majority":
        candidates = _counts(votes, labels)
    else:
        reliability = reliability or fit_reliability(votes, labels)
        candidates = posteriors(votes, reliability).rename({"posterior": "confidence"})
    tied = pl.col("next") >= pl.col("confidence") * (1 - EQUAL)
    return _leading(candidates).select(
        "row",
        answer=pl.when(~tied).then("answer"),
        votes="votes",
        agreement=pl.col("own") / pl.col("votes"),
        confidence="confidence",
        lead="lead",
        settled=~tied & (pl.col("own") == pl.col("most")) & rule.is_settled(pl.col("votes"), pl.col("lead")),
        tied=tied,
    )


def _counts(votes: pl.DataFrame, labels: Sequence[str] | None) -> pl.DataFrame:
    """The answers of each row with their votes, and a confidence by Laplace's rule of succession."""
    counts = readable_votes(votes, labels).group_by("row", "answer").agg(votes=pl.len())
    return counts.with_columns(confidence=(pl.col("votes") + 1) / (pl.col("votes").sum().over("row") + 2))


def _leading(candidates: pl.DataFrame) -> pl.DataFrame:
    """One line per row: its best answer with `confidence` and `own` votes, beside the other answers.

    `most` is the number of votes of the most frequent answer, `lead` its distance to the next, `votes` the sum of all,
    and `next` the confidence of the second best answer, or -1.
    """
    candidates = candidates.sort("row", "confidence", "votes", "answer", descending=[False, True, True, False])
    most = pl.col("votes").max()
    return candidates.group_by("row", maintain_order=True).agg(
        pl.col("answer", "confidence").first(),
        own=pl.col("votes").first(),
        most=most,
        lead=most - pl.col("votes").sort(descending=True).get(1, null_on_oob=True).fill_null(0),
        votes=pl.col("votes").sum(),
        next=pl.col("confidence").get(1, null_on_oob=True).fill_null(-1.0),
    )
