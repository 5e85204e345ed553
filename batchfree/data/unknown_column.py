"""The message for a column that a job names and no row has."""

from __future__ import annotations

from collections.abc import Collection

from batchfree.core.text import nearest


def no_column(name: str, columns: Collection[str]) -> str:
    """Says that no row has the column, and names the nearest one, else all."""
    near = nearest(name, columns)
    if near is not None:
        return f"no row has a column `{name}`; did you mean `{near}`?"
    return f"no row has a column `{name}`" + (f"; there are {', '.join(columns)}" if columns else "")
