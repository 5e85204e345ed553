"""Votes of models: written by hand as a grid, or read from the samples in `tests/quality/data`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

DATA = Path(__file__).parents[1] / "quality" / "data"
BABE, MMLU_PRO = DATA / "babe_votes.csv", DATA / "mmlu_pro_votes.csv"


def votes_of(answers: Mapping[str, Sequence[str | None]]) -> pl.DataFrame:
    """Votes from the answers of each model to rows 0, 1, 2, …; None where it did not vote."""
    lines = [(row, model, answer) for model, given in answers.items() for row, answer in enumerate(given)]
    return pl.DataFrame(
        lines, schema={"row": pl.Int64, "model": pl.String, "answer": pl.String}, orient="row"
    ).drop_nulls()


def sample(path: Path) -> pl.DataFrame:
    """The votes of a sample file: `row`, `expected`, `model`, `answer`."""
    table = pl.read_csv(path, infer_schema=False).with_columns(pl.col("row").cast(pl.Int64))
    return table.unpivot(index=["row", "expected"], variable_name="model", value_name="answer")


def accuracy(votes: pl.DataFrame, answers: pl.DataFrame) -> float:
    """The share of all rows of a sample whose answer (columns `row`, `answer`) is the expected one."""
    rows = votes.select("row", "expected").unique().join(answers, on="row", how="left")
    return float(rows.select((pl.col("answer") == pl.col("expected")).fill_null(False).mean()).item())
