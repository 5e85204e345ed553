"""How much all models together agree beyond chance.

Votes are data frames as `ballots` describes them. A coefficient is 1 for full agreement and about 0 for agreement by
chance. Its interval shows the variation over other rows, not over other models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import polars as pl

from batchfree.core.chat import JsonObject
from batchfree.quality.ballots import readable_votes
from batchfree.quality.intervals import LEAST_FOR_SHARE, Interval, Z


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """A coefficient of agreement."""

    value: float | None
    """None if it is not defined: no row with two votes, or no more than one label in use."""
    rows: int
    """Number of rows with two votes or more."""
    interval: Interval | None
    """The 95 % interval, from the normal approximation; None without a value, and for a single row."""

    @property
    def is_shown(self) -> bool:
        """Whether there is a value, from rows enough to show it."""
        return self.value is not None and self.interval is not None and self.rows >= LEAST_FOR_SHARE

    def to_json(self) -> JsonObject:
        """As `--json` prints it; value and interval are null where they are not shown."""
        if self.value is None or self.interval is None or not self.is_shown:
            return {"value": None, "rows": self.rows, "interval": None}
        return {"value": round(self.value, 6), "rows": self.rows, "interval": self.interval.to_json()}


UNDEFINED = Coefficient(value=None, rows=0, interval=None)


def coefficient(value: float, rows: int, variance: float) -> Coefficient:
    """A coefficient with its 95 % interval from the normal approximation, cut to the range from -1 to 1."""
    half = Z * math.sqrt(max(0.0, variance))
    interval = Interval(low=max(-1.0, value - half), high=min(1.0, value + half)) if rows > 1 else None
    return Coefficient(value=value, rows=rows, interval=interval)


def krippendorff_alpha(votes: pl.DataFrame) -> Coefficient:
    """Krippendorff's alpha for labels without order (Content Analysis, 2004, chapter 11). Votes may be missing.

    The variance is the sum of the squared influences of the rows: the infinitesimal jackknife (Jaeckel 1972, Bell
    Laboratories Memorandum 72-1215-11), times n / (n - 1) for n rows.
    """
    counts = _label_counts(votes).filter(pl.col("size") > 1)
    in_all = pl.col("count").sum().over("answer")
    rows = counts.with_columns(common=pl.col("count") * in_all).group_by("row", maintain_order=True)
    row = rows.agg(pl.col("size").first(), pl.col("equal").first(), pl.col("common").sum())
    row = row.with_columns(unequal=pl.col("size") * (1 - pl.col("equal")))
    size, unequal, common = (float(row[name].sum()) for name in ("size", "unequal", "common"))
    by_chance = size**2 - common
    if by_chance == 0:
        return UNDEFINED
    value = 1 - (size - 1) * unequal / by_chance
    first = (pl.col("size") * unequal + pl.col("unequal") * size) / by_chance
    second = 2 * size * unequal * (size * pl.col("size") - pl.col("common")) / by_chance**2
    spread = row.select(((first - second) ** 2).sum()).item()
    return coefficient(value, len(row), spread * len(row) / max(1, len(row) - 1))


def gwet_ac1(votes: pl.DataFrame) -> Coefficient:
    """Gwet's AC1 and its variance over rows (2008, doi.org/10.1348/000711006X126600). Votes may be missing."""
    counts = _label_counts(votes)
    rows, labels = counts["row"].n_unique(), counts["answer"].n_unique()
    compared = counts.filter(pl.col("size") > 1)["row"].n_unique()
    if compared == 0 or labels < 2:
        return UNDEFINED
    share = (pl.col("count") / pl.col("size")).sum().over("answer") / rows
    counts = counts.with_columns(share=share)
    labelled = counts.group_by("answer").agg(pl.col("share").first())
    by_chance = labelled.select((pl.col("share") * (1 - pl.col("share"))).sum()).item() / (labels - 1)
    row = counts.group_by("row").agg(
        pl.col("size", "equal").first(),
        by_chance=(pl.col("count") / pl.col("size") * (1 - pl.col("share"))).sum() / (labels - 1),
    )
    equal = row.filter(pl.col("size") > 1).select(pl.col("equal").mean()).item()
    value = (equal - by_chance) / (1 - by_chance)
    own = pl.when(pl.col("size") > 1).then(pl.col("equal") - by_chance).otherwise(0.0) * rows / compared
    linear = (own - 2 * (1 - value) * (pl.col("by_chance") - by_chance)) / (1 - by_chance)
    spread = row.select(((linear - value) ** 2).sum()).item()
    return coefficient(value, compared, spread / (rows * max(1, rows - 1)))


def _label_counts(votes: pl.DataFrame) -> pl.DataFrame:
    """How often each row got each answer (`count`), with the row's `size` (votes) and share of `equal` pairs of votes.

    The columns are floats: their products may be larger than the integers of Polars.
    """
    counts = readable_votes(votes).group_by("row", "answer").agg(count=pl.len().cast(pl.Float64)).sort("row", "answer")
    counts = counts.with_columns(size=pl.col("count").sum().over("row"))
    pairs = (pl.col("count") * (pl.col("count") - 1)).sum().over("row")
    return counts.with_columns(equal=pairs / (pl.col("size") * (pl.col("size") - 1)))
