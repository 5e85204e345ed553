"""Votes with numbers in place of names. The fit of a model's reliability calculates with these numbers.

Votes are a data frame with the columns `row` (an integer), `model` and `answer` (text; null if it could not be read).
Each model votes at most once on a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl


def readable_votes(votes: pl.DataFrame, labels: Sequence[str] | None = None) -> pl.DataFrame:
    """The votes with an answer; if there are `labels`, with one of them. Columns `row`, `model`, `answer`."""
    votes = votes.select("row", pl.col("model", "answer").cast(pl.String)).drop_nulls()
    return votes if labels is None else votes.filter(pl.col("answer").is_in(list(labels)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballots:
    """Readable votes, sorted by row and answer. All numbers count from zero."""

    votes: pl.DataFrame
    """Columns `row_id`, `model_id`, `candidate_id`."""
    candidates: pl.DataFrame
    """Each different answer of each row, in order: columns `row`, `row_id`, `answer`, `label_id`, `votes`."""

    @property
    def rows(self) -> int:
        """Number of rows that got a vote."""
        return self.candidates["row_id"].n_unique()

    def cells(self, labels: int) -> pl.Series:
        """The number of each vote in the list of all possible votes: one per label and model, model by model."""
        label = self.candidates["label_id"].gather(self.votes["candidate_id"])
        return self.votes["model_id"] * labels + label


def count_ballots(votes: pl.DataFrame, models: pl.Series, labels: Sequence[str] | None = None) -> Ballots:
    """Numbers the votes. The last entry of `models` is null; its number stands for all models that are not listed."""
    known = _numbered("model", models).drop_nulls("model")
    numbered = votes.sort("row", "answer", "model").join(known, on="model", how="left", maintain_order="left")
    numbered = numbered.with_columns(
        pl.col("model_id").fill_null(len(models) - 1),
        row_id=pl.col("row").rle_id(),
        candidate_id=pl.struct("row", "answer").rle_id(),
    )
    candidates = numbered.group_by("candidate_id", maintain_order=True).agg(
        pl.col("row", "row_id", "answer").first(), votes=pl.len()
    )
    ids = _numbered("answer", pl.Series(list(labels or ()), dtype=pl.String))
    candidates = candidates.join(ids.rename({"answer_id": "label_id"}), on="answer", how="left", maintain_order="left")
    return Ballots(
        votes=numbered.select("row_id", "model_id", "candidate_id"),
        candidates=candidates.select("row", "row_id", "answer", "label_id", "votes"),
    )


def distinct_rows(votes: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """One row for each set of rows with the same votes: its votes sorted by row, and the size of each set.

    A fit only needs these rows. They are far fewer than all rows, since models and labels are few.
    """
    votes = votes.sort("row", "model", "answer")
    same = votes.group_by("row", maintain_order=True).agg(same=pl.struct("model", "answer"))
    sets = same.group_by("same", maintain_order=True).agg(pl.col("row").first(), number=pl.len().cast(pl.Float64))
    sets = sets.sort("row")
    return votes.filter(pl.col("row").is_in(sets["row"].implode())), sets["number"]


def sum_by(group: pl.Series, values: pl.DataFrame, groups: int) -> pl.DataFrame:
    """The column sums of `values` for each group; a line for each group number from zero to `groups` - 1."""
    sums = values.with_columns(group.cast(pl.UInt32).alias("group")).group_by("group").agg(pl.all().sum())
    every = pl.DataFrame({"group": pl.int_range(groups, dtype=pl.UInt32, eager=True)})
    return every.join(sums, on="group", how="left", maintain_order="left").drop("group").fill_null(0.0)


def _numbered(name: str, values: pl.Series) -> pl.DataFrame:
    """The values as column `name`, each with its number in `NAME_id`."""
    return pl.DataFrame({name: values}).with_row_index(f"{name}_id")
