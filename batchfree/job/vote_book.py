"""The votes on the questions of a job, in a few bytes each, kept while the journal is read and written."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence

import polars as pl

from batchfree.core.chat import Json
from batchfree.core.parts import Part
from batchfree.journal.attempts import Attempt
from batchfree.journal.digest_numbers import DigestNumbers
from batchfree.quality.normalise import answer_key


class VoteBook:
    """The models that voted, and their answers. Questions are numbered from zero in order of their first attempt."""

    def __init__(self, labels: Sequence[str] | None, part: Part | None = None) -> None:
        """`labels` are the labels of the job. Without labels answers can only be equal or different.

        With a part, votes on questions of other parts are left out.
        """
        self._part = part
        self._labels = labels
        self._label_numbers = {label: number for number, label in enumerate(labels or ())}
        self._numbers = DigestNumbers()
        self._counts, self._closed = array("H"), bytearray()
        self._models: dict[str, int] = {}
        self._questions, self._voters, self._answers = array("I"), array("H"), array("Q")

    def __len__(self) -> int:
        """The number of votes."""
        return len(self._questions)

    @property
    def questions(self) -> int:
        """The number of questions that had an attempt."""
        return len(self._counts)

    def add(self, attempt: Attempt) -> None:
        """Adds the answers of an attempt. A final failure closes a question that has votes."""
        for outcome in attempt.outcomes:
            if self._part is not None and not self._part.has(outcome.question):
                continue
            number = self._number_of(outcome.question)
            if outcome.kind is None:
                self._questions.append(number)
                self._voters.append(self._models.setdefault(attempt.model_or_route, len(self._models)))
                self._answers.append(self._answer_number(outcome.answer))
                self._counts[number] += 1
            elif outcome.final:
                self._closed[number] = 1

    def number(self, question: str) -> int | None:
        """The number of a question, by its digest; None if it had no attempt."""
        return self._numbers.get(question)

    def count(self, question: str) -> int:
        """The number of votes on a question."""
        number = self._numbers.get(question)
        return 0 if number is None else self._counts[number]

    def is_closed(self, question: str) -> bool:
        """Whether the question is no longer asked: no model is left, or too many answers were unusable."""
        number = self._numbers.get(question)
        return number is not None and bool(self._closed[number])

    def closed(self) -> list[int]:
        """The numbers of the closed questions."""
        return [number for number, is_closed in enumerate(self._closed) if is_closed]

    def key(self, answer: Json) -> str:
        """The text that stands for an answer in `frame`; equal for answers that count as equal."""
        return self._text(self._answer_number(answer))

    def frame(self) -> pl.DataFrame:
        """The votes: columns `row` (the question's number), `model`, `answer`. The first vote of a model counts."""
        answers = pl.Series("answer", self._answers, dtype=pl.UInt64)
        labels = pl.Series(list(self._labels or ()), dtype=pl.String)
        texts = answers.cast(pl.String) if self._labels is None else labels.gather(answers)
        models = pl.Series(list(self._models), dtype=pl.String)
        return pl.DataFrame(
            {
                "row": pl.Series(self._questions, dtype=pl.UInt32),
                "model": models.gather(pl.Series(self._voters, dtype=pl.UInt32)),
                "answer": texts.alias("answer"),
            }
        ).unique(["row", "model"], keep="first", maintain_order=True)

    def _number_of(self, question: str) -> int:
        number = self._numbers.add(question)
        if number == len(self._counts):
            self._counts.append(0)
            self._closed.append(0)
        return number

    def _answer_number(self, answer: Json) -> int:
        if self._labels is not None:
            return self._label_numbers.get(str(answer), 0)
        return int.from_bytes(hashlib.blake2b(answer_key(answer).encode(), digest_size=8).digest())

    def _text(self, number: int) -> str:
        return str(number) if self._labels is None else self._labels[number]
