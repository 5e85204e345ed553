"""`input.where`: a condition that reads nothing but the rows.

Polars opens the files and URLs of a subquery while it parses the condition, so subqueries are found in the text before
Polars sees it.
"""

from __future__ import annotations

import re

import polars as pl

from batchfree.core.errors import DatasetError, Mistake

NOT_CODE = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|/\*.*?\*/""", re.DOTALL)
"""Texts, quoted names and comments."""
QUERY = re.compile(r"\bselect\b|\(\s*(?:with|values|from|table)\b", re.IGNORECASE)
SUBQUERY = "a condition reads nothing but the columns of a row; a query inside it is refused"


def parse_condition(text: str) -> pl.Expr:
    """The condition as an expression. Raises DatasetError, and PolarsError for a text that is no condition."""
    if QUERY.search(NOT_CODE.sub(" '' ", text)):
        raise DatasetError([Mistake(message=SUBQUERY, key="input.where")])
    return pl.sql_expr(text)
