"""`input.where`: a condition that reads only the columns of a row, and that Polars can parse and compute.

Polars opens the files and URLs of a subquery while it parses the condition. Long sums and deep brackets take Polars
exponential time, or crash the process. A huge value aborts the process. So the text is checked for all of these before
Polars gets it.
"""

from __future__ import annotations

import re

import polars as pl

from batchfree.core.errors import DatasetError, Mistake

NOT_CODE = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|/\*.*?\*/""", re.DOTALL)
"""Texts, quoted names and comments."""
QUERY = re.compile(r"\bselect\b|\(\s*(?:with|values|from|table)\b", re.IGNORECASE)
SUBQUERY = "a condition reads nothing but the columns of a row; a query inside it is refused"


MOST_CHARACTERS = 1_000_000
DEEPEST_BRACKETS = 16
LIMITS = (
    (re.compile(r"\b(?:and|or)\b|[<>=!]+", re.IGNORECASE), 750),
    (re.compile(r"[^\w\s,()'\"<>=!]+|\b(?:not|case|cast|between|i?like|is|xor|at|interval)\b", re.IGNORECASE), 100),
    (re.compile(r"\b[a-z_]\w*", re.IGNORECASE), 1_500),
)
"""How often each of these may stand in a condition: connectives and comparisons, other operators, words. The values of
a list such as `id IN (…)` do not count."""
MOST_REPLACEMENTS, REPLACEMENT = 3, re.compile(r"\w*replace\s*\(|\btranslate\s*\(", re.IGNORECASE)
INFLATING = re.compile(r"\b(lpad|rpad|repeat|space|\w*range|generate_series)\s*\(", re.IGNORECASE)
"""Functions that make values of any length."""


def parse_condition(text: str) -> pl.Expr:
    """The condition as an expression. Raises DatasetError if it is refused, PolarsError if it is not a condition."""
    if (problem := _refusal(text)) is not None:
        raise DatasetError([Mistake(message=problem, key="input.where")])
    return pl.sql_expr(text)


def _refusal(text: str) -> str | None:
    """Why the condition must not reach Polars; None if it may."""
    if len(text) > MOST_CHARACTERS:
        return f"a condition has at most {MOST_CHARACTERS:,} characters; filter the rows where the input is made"
    code = NOT_CODE.sub(" '' ", text)
    if QUERY.search(code):
        return SUBQUERY
    if found := INFLATING.search(code):
        return f"the function {found[1].lower()} can make values of any length; filter the rows where the input is made"
    if len(REPLACEMENT.findall(code)) > MOST_REPLACEMENTS:
        return f"a condition may call replace and translate at most {MOST_REPLACEMENTS} times"
    if any(len(pattern.findall(code)) > most for pattern, most in LIMITS):
        return "the condition has too many parts; write a list as `column IN (…)`, or filter where the input is made"
    if _depth(code) > DEEPEST_BRACKETS:
        return f"a condition may nest brackets at most {DEEPEST_BRACKETS} deep"
    return None


def _depth(code: str) -> int:
    """How deep the brackets are."""
    deepest = depth = 0
    for bracket in re.findall(r"[()\[\]]", code):
        depth += 1 if bracket in "([" else -1
        deepest = max(deepest, depth)
    return deepest
