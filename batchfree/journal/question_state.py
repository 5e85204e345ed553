"""The state of a question: a fold over its attempts."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from batchfree.core.chat import Kind
from batchfree.core.consequences import CONSEQUENCES, Consequence
from batchfree.journal.attempts import UNCOUNTED, Attempt, Outcome, Status

NOBODY = frozenset[str]()
"""The voters of a question without answers."""


def next_status(status: Status, outcome: Outcome) -> Status:
    """The status of a question after one more outcome. An answer is final; asking again reopens a failed question."""
    if outcome.kind is None or status is Status.OK:
        return Status.OK
    if outcome.final:
        return Status.FAILED
    return status if outcome.kind in UNCOUNTED else Status.PENDING


class QuestionState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The state of a question after some attempts. A struct, because a table makes one for each of its rows."""

    status: Status = Status.PENDING
    attempts: int = 0
    models_tried: tuple[str, ...] = ()
    """One name per counted attempt, in order: the column of the same name."""
    models_reached: frozenset[str] = frozenset()
    """Every model that received the question, also as a fallback within a request."""
    answers: tuple[tuple[Attempt, Outcome], ...] = ()
    """The attempts that answered the question, in order: its votes."""
    wrong_answers: int = 0
    """Unusable answers since the question was last opened."""
    pack_failures: int = 0
    """Packs that left the question without a usable answer although at least half of their rows got one."""
    last_bad_answer: Attempt | None = None
    """The last `bad_answer` when the question was asked alone. The next request can show it to the model."""
    wrong_since_bad: int = 0
    """Unusable answers from the first `bad_answer` on; all unusable answers in packs count as one."""
    shown: Attempt | None = None
    """The attempt that answered the question; if none did, the last counted attempt."""
    outcome: Outcome | None = None
    """This question's outcome in `shown`."""

    @property
    def voters(self) -> frozenset[str]:
        """The models that answered the question."""
        return frozenset([attempt.model_or_route for attempt, _ in self.answers]) if self.answers else NOBODY

    def after(self, attempt: Attempt, outcome: Outcome) -> QuestionState:
        """The state after one more attempt that included this question."""
        if attempt.kind in UNCOUNTED:
            return self
        return self._after_answer(attempt, outcome) if outcome.kind is None else self._after_failure(attempt, outcome)

    def _after_answer(self, attempt: Attempt, outcome: Outcome) -> QuestionState:
        reopened = self.status is Status.FAILED
        return QuestionState(
            status=Status.OK,
            attempts=self.attempts + attempt.is_counted,
            models_tried=self._tried_with(attempt),
            models_reached=self._reached_with(attempt),
            answers=(*self.answers, (attempt, outcome)),
            wrong_answers=0 if reopened else self.wrong_answers,
            pack_failures=0 if reopened else self.pack_failures,
            last_bad_answer=self.last_bad_answer,
            wrong_since_bad=0 if reopened else self.wrong_since_bad,
            shown=attempt,
            outcome=outcome,
        )

    def _after_failure(self, attempt: Attempt, outcome: Outcome) -> QuestionState:
        reopened = self.status is Status.FAILED
        wrong = outcome.kind is not None and CONSEQUENCES[outcome.kind] is Consequence.ANOTHER_ANSWER
        packed = wrong and outcome.kind is not Kind.TRUNCATED and 2 * attempt.answered >= len(attempt.outcomes)
        alone, bad = len(attempt.outcomes) == 1, outcome.kind is Kind.BAD_ANSWER
        since = 0 if reopened else self.wrong_since_bad
        since = since + (bad or (wrong and since > 0)) if alone else max(since, int(bad))
        shows = self.status is not Status.OK
        return QuestionState(
            status=next_status(self.status, outcome),
            attempts=self.attempts + attempt.is_counted,
            models_tried=self._tried_with(attempt),
            models_reached=self._reached_with(attempt),
            answers=self.answers,
            wrong_answers=(0 if reopened else self.wrong_answers) + wrong,
            pack_failures=(0 if reopened else self.pack_failures) + packed,
            last_bad_answer=attempt if bad and alone else self.last_bad_answer,
            wrong_since_bad=since,
            shown=attempt if shows else self.shown,
            outcome=outcome if shows else self.outcome,
        )

    def _tried_with(self, attempt: Attempt) -> tuple[str, ...]:
        return (*self.models_tried, attempt.model_or_route) if attempt.is_counted else self.models_tried

    def _reached_with(self, attempt: Attempt) -> frozenset[str]:
        return self.models_reached | attempt.models_reached if self.models_reached else attempt.models_reached


UNASKED = QuestionState()
"""The state of a question before its first attempt."""


def fold(question: str, attempts: Iterable[Attempt]) -> QuestionState:
    """The state of a question after `attempts`, given in the order of time."""
    state = UNASKED
    for attempt in attempts:
        for outcome in attempt.outcomes:
            if outcome.question == question:
                state = state.after(attempt, outcome)
    return state
