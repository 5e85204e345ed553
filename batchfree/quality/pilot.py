"""Ranks the models by their answers to the pilot rows, and chooses those that stay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from batchfree.quality.intervals import Proportion
from batchfree.quality.reliability import fit_reliability, posteriors

ENOUGH_SCORED = 10
"""Scored votes per model, on average, from which on the models are ranked by expected values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedModel:
    """A model's result in the pilot."""

    model: str
    right: Proportion
    """Share of its votes that are right. An answer that could not be read is wrong."""
    measured: bool
    """True: a vote is right if it equals the expected value. False: `right` is estimated from the pilot's consensus."""


def rank_models(votes: pl.DataFrame, labels: Sequence[str] | None = None) -> list[RankedModel]:
    """The models, the best first, ordered by the lower end of the interval of their share of right votes.

    `votes` are the votes on the pilot rows: `row`, `model`, `answer` (null if it could not be read), and `correct`
    (null without an expected value; the column may be missing). With too few expected values the consensus decides: a
    vote then counts as right with the probability of its answer.
    """
    correct = pl.col("correct") if "correct" in votes.columns else pl.lit(None, dtype=pl.Boolean)
    votes = votes.select("row", pl.col("model", "answer").cast(pl.String), correct=correct.cast(pl.Float64))
    scored = votes.filter(pl.col("correct").is_not_null())
    measured = len(scored) > 0 and len(scored) >= ENOUGH_SCORED * votes["model"].n_unique()
    if not measured:
        probable = posteriors(votes, fit_reliability(votes, labels)).select("row", "answer", correct="posterior")
        scored = votes.drop("correct").join(probable, on=["row", "answer"], how="left")
    scored = scored.with_columns(pl.col("correct").fill_null(0.0))
    shares = scored.group_by("model").agg(right=pl.col("correct").sum(), votes=pl.len())
    ranked = [
        RankedModel(model=model, right=Proportion(count=right, total=total), measured=measured)
        for model, right, total in shares.iter_rows()
    ]
    return sorted(ranked, key=lambda each: (-each.right.interval.low, each.model))


def models_to_keep(ranked: Sequence[RankedModel], keep: float, *, at_least: int = 1) -> list[str]:
    """The better models, the best first. A `keep` below 1 is a share of the models, rounded up; else their number."""
    number = math.ceil(keep * len(ranked) - 1e-9) if keep < 1 else int(keep)
    return [each.model for each in ranked[: max(number, at_least)]]
