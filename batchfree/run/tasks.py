"""What one request carries: a task, or several that travel together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from batchfree.journal.attempts import QuestionState
from batchfree.journal.questions import Question

PACK_FAILURES_UNTIL_ALONE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A question to be answered in this run, with what has become of it so far.

    `attempts` counts the requests of this run; `at_most` bounds the pack that the task may travel in; a context of
    `context_above` tokens was too small for it.
    """

    question: Question
    state: QuestionState
    attempts: int = 0
    at_most: int | None = None
    context_above: int | None = None

    @property
    def most(self) -> int | None:
        """The largest pack it may travel in, None for any: alone after two packs that left it without an answer."""
        return 1 if self.state.pack_failures >= PACK_FAILURES_UNTIL_ALONE else self.at_most


Parcel: TypeAlias = tuple[Task, ...]


def halves(parcel: Sequence[Task]) -> tuple[Parcel, ...]:
    """A parcel cut in two."""
    middle = (len(parcel) + 1) // 2
    return tuple(half for half in (tuple(parcel[:middle]), tuple(parcel[middle:])) if half)
