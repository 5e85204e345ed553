"""The condition `input.where`, checked before a row is read."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from batchfree.core.errors import DatasetError, Mistake
from batchfree.data.input.condition import parse_condition
from batchfree.data.unknown_column import no_column


def check_condition(where: str, schema: pl.Schema, files: Sequence[str]) -> list[Mistake]:
    """The mistakes in the condition, which is tried on one row of nulls. `files` are the paths of the input."""
    try:
        condition = parse_condition(where)
        unknown = [name for name in dict.fromkeys(condition.meta.root_names()) if name not in schema]
        if not unknown:
            pl.DataFrame(schema=schema).clear(1).filter(condition)
            return []
        problems = [no_column(name, schema, files) for name in unknown]
    except DatasetError as error:
        return list(error.mistakes)
    except pl.exceptions.PolarsError as error:
        problems = [f"not a condition over the columns: {str(error).partition(chr(10))[0]}"]
    return [Mistake(message=problem, key="input.where") for problem in problems]
