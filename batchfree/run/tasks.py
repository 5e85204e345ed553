"""What one request carries: a task, or several that travel together."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from batchfree.journal.question_state import QuestionState
from batchfree.journal.questions import Question


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A question to be answered in this run, with its state so far.

    `attempts` counts the requests of this run. `at_most` limits the size of its pack, in rows. `context_above`: a
    context of this size, in tokens, was too small for it.
    """

    question: Question
    state: QuestionState
    attempts: int = 0
    at_most: int | None = None
    context_above: int | None = None
    only_new_models: bool = False
    """The question has its answer; only models that have not seen it are asked for one more."""
    check_of: str | None = None
    """The question has an answer of this model from a pack; the model is asked again alone, to compare (a pack check).
    The state is that of a question that only this model has met."""

    @property
    def models_met(self) -> frozenset[str]:
        """The models that have seen the question."""
        state = self.state
        return state.models_reached.union(state.models_tried) if state.models_tried else state.models_reached

    @property
    def voters(self) -> frozenset[str]:
        """The models that are not asked again: those that answered the question, or all that have seen it."""
        return self.models_met if self.only_new_models else self.state.voters


Parcel: TypeAlias = tuple[Task, ...]
"""The tasks of one request."""
