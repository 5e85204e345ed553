"""The message for a column that a job names and no row has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePath

import polars as pl

from batchfree.core.formats import OPENAI_BATCH
from batchfree.core.text import nearest
from batchfree.data.openai_batch import looks_like_requests


def no_column(name: str, columns: Collection[str], files: Iterable[str] = ()) -> str:
    """Says that no row has the column, and what may be meant: a similar column, a folder's name, another format.

    If `columns` is a schema, the lists in it are searched too. `files` are the paths of the input.
    """
    nothing = f"no row has a column `{name}`"
    if (folder := _hive_folder(name, files)) is not None:
        return f"{nothing}; it stands only in names of folders ({folder}), which are not read: write it into the rows"
    if looks_like_requests(columns):
        return f"{nothing}; the rows look like requests of OpenAI's Batch API: set input.format: {OPENAI_BATCH}"
    if isinstance(columns, Mapping) and (inside := _list_with(name, columns)) is not None:
        advice = f"each row must be a line of its own, as `jq -c '.{inside}[]'` writes them"
        return f"{nothing}; it stands inside the list `{inside}`: {advice}"
    near = nearest(name, columns)
    if near is not None:
        return f"{nothing}; did you mean `{near}`?"
    return nothing + (f"; there are {', '.join(columns)}" if columns else "")


def _list_with(name: str, schema: Mapping[str, pl.DataType]) -> str | None:
    """The first column that holds lists of objects with the key `name`; None if there is none."""
    for column, dtype in schema.items():
        inner = dtype.inner if isinstance(dtype, pl.List) else None
        if isinstance(inner, pl.Struct) and any(field.name == name for field in inner.fields):
            return column
    return None


def _hive_folder(name: str, files: Iterable[str]) -> str | None:
    """The first folder such as `lang=de` whose name gives the column a value; None if there is none."""
    return next((part for file in files for part in PurePath(file).parts[:-1] if part.startswith(f"{name}=")), None)
