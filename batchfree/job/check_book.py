"""The pack checks of a job: the same model is asked again, alone, for some rows that it has answered in packs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from batchfree.core.chat import Json
from batchfree.journal.attempts import Attempt, Outcome
from batchfree.journal.digest_numbers import DigestNumbers
from batchfree.journal.question_state import QuestionState
from batchfree.quality.normalise import answer_key
from batchfree.quality.pack_comparison import PackedPair
from batchfree.quality.scoring import ScoringRule, is_correct


@dataclass(frozen=True, slots=True, kw_only=True)
class PackCheck:
    """A finished check of one question: the model that was asked, and its outcome for the question alone."""

    model: str
    outcome: Outcome


class CheckBook:
    """Which questions were answered in packs, and which of them were checked, from all attempts of a job."""

    def __init__(self, wanted: int) -> None:
        """`wanted` is the number of rows to check. With 0 nothing is remembered."""
        self.wanted = wanted
        self._packed = DigestNumbers()
        self._checks = dict[str, PackCheck]()

    def add(self, attempt: Attempt) -> None:
        """Adds an attempt. An answer or a final failure finishes a check."""
        if not self.wanted:
            return
        for outcome in attempt.outcomes:
            if attempt.pack_check:
                if outcome.kind is None or outcome.final:
                    check = PackCheck(model=attempt.model_or_route, outcome=outcome)
                    self._checks.setdefault(outcome.question, check)
            elif outcome.kind is None and len(attempt.outcomes) > 1:
                self._packed.add(outcome.question)

    @property
    def is_open(self) -> bool:
        """Whether more checks are wanted, and there are rows for them."""
        return len(self._checks) < min(self.wanted, len(self._packed))

    def finished(self) -> Iterator[tuple[str, PackCheck]]:
        """The finished checks with their questions."""
        yield from self._checks.items()

    def check_of(self, question: str) -> PackCheck | None:
        """The finished check of a question; None if there is none."""
        return self._checks.get(question)

    def may_be_checked(self, question: str) -> bool:
        """Whether a pack has answered the question and no check of it is finished."""
        return question in self._packed and question not in self._checks

    def rank(self, question: str, seed: Any) -> int:
        """The place of a question in the random order in which questions are checked."""
        return int.from_bytes(hashlib.blake2b(f"{seed} {question}".encode(), digest_size=8).digest())


def packed_pair(
    check: PackCheck, state: QuestionState, expected: Json = None, rule: ScoringRule | None = None
) -> PackedPair | None:
    """The answer of the checked model in a pack, and its answer alone; None if it gave no answer in a pack."""
    answered = (
        own for attempt, own in state.answers if len(attempt.outcomes) > 1 and attempt.model_or_route == check.model
    )
    packed = next(answered, None)
    if packed is None:
        return None
    is_answered = check.outcome.kind is None
    return PackedPair(
        packed=answer_key(packed.answer),
        alone=answer_key(check.outcome.answer) if is_answered else None,
        packed_right=None if rule is None or not is_answered else is_correct(packed.answer, expected, rule),
        alone_right=None if rule is None or not is_answered else is_correct(check.outcome.answer, expected, rule),
    )


def packed_answers(attempts: Iterator[Attempt], question: str) -> Iterator[tuple[str, Outcome]]:
    """The answers to a question that were given in packs, each with its model, from the attempts of the question."""
    for attempt in attempts:
        for outcome in attempt.outcomes:
            if outcome.question == question and outcome.kind is None and len(attempt.outcomes) > 1:
                yield attempt.model_or_route, outcome
