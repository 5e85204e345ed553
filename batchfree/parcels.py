"""What one request carries: a task, or several that travel together. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from batchfree.answers import Complaint
from batchfree.attempts import State
from batchfree.questions import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A question to be answered in this run, with what has become of it so far.

    `attempts` counts the requests of this run, `avoid` names the models that they went to; `at_most` bounds the pack
    that the task may travel in; a context of `context_above` tokens was too small for it.
    """

    question: Question
    state: State
    attempts: int = 0
    avoid: frozenset[str] = frozenset()
    at_most: int | None = None
    context_above: int | None = None
    complaint: Complaint | None = None


Parcel: TypeAlias = tuple[Task, ...]


def halves(parcel: Sequence[Task]) -> tuple[Parcel, ...]:
    """A parcel cut in two."""
    middle = (len(parcel) + 1) // 2
    return tuple(half for half in (tuple(parcel[:middle]), tuple(parcel[middle:])) if half)
