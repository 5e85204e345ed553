"""Keeps what is worked out from a schema, because all answers of a job are asked for and checked with the same one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from batchfree.core.chat import JsonObject

MOST_KEPT = 64
"""Number of schemas of which a result is kept. The tools of different rows may have schemas of their own."""

Result = TypeVar("Result")


def once_per_schema(work: Callable[[JsonObject], Result]) -> Callable[[JsonObject], Result]:
    """The function, which keeps its results for the latest schemas.

    A schema is found by its id, so it must never change. The schema is kept too, so that no other one gets its id.
    """
    kept: dict[int, tuple[JsonObject, Result]] = {}

    @wraps(work)
    def result_of(schema: JsonObject) -> Result:
        known = kept.get(id(schema))
        if known is None:
            if len(kept) >= MOST_KEPT:
                kept.clear()
            known = kept[id(schema)] = (schema, work(schema))
        return known[1]

    return result_of
