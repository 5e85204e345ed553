"""Accuracy, precision, recall and confusion of answers that have an expected value, for all answers and per model."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from batchfree.core.chat import Json
from batchfree.quality.intervals import Interval, Proportion, Z
from batchfree.quality.normalise import normalise
from batchfree.quality.scoring import ScoringRule, field_of, is_correct, scored_text

MOST_LABELS = 100
"""Most different values that still count as labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredAnswer:
    """An answer beside its expected value, both as text."""

    model: str | None
    expected: str
    answer: str
    correct: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScore:
    """The precision and recall of one label."""

    label: str
    precision: Proportion
    """Share of the answers with this label that are right."""
    recall: Proportion
    """Share of the answers that should have this label and do."""

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall (van Rijsbergen 1979, Information Retrieval, chapter 7).

        0 for a label that is never right, None for a label that never occurs.
        """
        together = self.precision.total + self.recall.total
        return 2 * self.recall.count / together if together else None

    @property
    def rows(self) -> int:
        """Number of rows that should have this label or were given it."""
        return self.precision.total + self.recall.total - round(self.recall.count)

    @property
    def f1_interval(self) -> Interval | None:
        """The 95 % interval of F1; None if the label never occurs.

        F1 is 2 J / (1 + J), where J is the share of right answers among `rows`. So the ends follow from the ends of
        Wilson's interval of J.
        """
        if not self.rows:
            return None
        ends = Proportion(count=self.recall.count, total=self.rows).interval
        return Interval(low=2 * ends.low / (1 + ends.low), high=2 * ends.high / (1 + ends.high))


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The figures of a set of answers."""

    accuracy: Proportion
    labels: tuple[LabelScore, ...]
    """Each expected or given label in alphabetical order; empty if the answers are not labels (see `evaluate`)."""
    confusion: Mapping[tuple[str, str], int]
    """Number of answers by (expected label, given label); pairs that never occur are left out."""

    @property
    def macro_f1(self) -> float | None:
        """The mean F1 of the labels that are expected; None if there is none."""
        scores = [each.f1 for each in self._expected if each.f1 is not None]
        return sum(scores) / len(scores) if scores else None

    @property
    def macro_f1_interval(self) -> Interval | None:
        """The 95 % interval of the mean F1; None if no label is expected.

        The variance comes from the delta method over the cells of the confusion matrix, which are taken as independent
        Poisson counts.
        """
        mean, labels = self.macro_f1, {each.label: each for each in self._expected}
        if mean is None:
            return None

        def slope(label: LabelScore | None, *, right: bool) -> float:
            """The change of a label's F1 with one more row that is expected or given this label; `right`: both."""
            if label is None:
                return 0.0
            together, count = label.precision.total + label.recall.total, label.recall.count
            return (2 * right * together - 2 * count * (1 + right)) / together**2

        variance = 0.0
        for (expected, given), rows in self.confusion.items():
            if expected == given:
                change = slope(labels.get(expected), right=True)
            else:
                change = slope(labels.get(expected), right=False) + slope(labels.get(given), right=False)
            variance += rows * (change / len(labels)) ** 2
        half = Z * math.sqrt(variance)
        return Interval(low=max(0.0, mean - half), high=min(1.0, mean + half))

    @property
    def _expected(self) -> list[LabelScore]:
        """The labels that are expected of some row."""
        return [each for each in self.labels if each.recall.total]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The figures of all answers and those of each model, by its id."""

    overall: Score
    models: Mapping[str, Score]


def score_answer(answer: Json, expected: Json, rule: ScoringRule, model: str | None = None) -> ScoredAnswer | None:
    """The answer with its score; None if there is no answer or no expected value."""
    correct = is_correct(answer, expected, rule)
    if correct is None:
        return None
    given = scored_text(field_of(answer, rule.field))
    return ScoredAnswer(model=model, expected=scored_text(expected), answer=given, correct=correct)


def evaluate(answers: Iterable[ScoredAnswer | None]) -> Evaluation:
    """The figures of the answers. Answers that could not be scored are left out."""
    counter = EvaluationCounter()
    for each in answers:
        counter.add(each)
    return counter.evaluation()


class EvaluationCounter:
    """Counts scored answers one by one. Its memory grows with models and labels, not with answers.

    Labels are compared as `normalise` says. Of several spellings the first in alphabetical order is shown, of expected
    values if possible. There are no figures per label if there are more than `MOST_LABELS` labels, or if equal texts
    and right answers are not the same thing, as with `numeric` or `contains`.
    """

    def __init__(self) -> None:
        self._all, self._models = _Counts(), defaultdict[str, _Counts](_Counts)

    def add(self, scored: ScoredAnswer | None) -> None:
        """Counts an answer; None is an answer that could not be scored."""
        if scored is not None:
            self._all.add(scored)
            if scored.model is not None:
                self._models[scored.model].add(scored)

    def evaluation(self) -> Evaluation:
        """The figures so far."""
        if not self._all.are_labels:
            for counts in self._models.values():
                counts.drop_labels()
        spelling = self._all.spelling
        models = {model: counts.score(spelling) for model, counts in sorted(self._models.items())}
        return Evaluation(overall=self._all.score(spelling), models=models)


class _Counts:
    """Counts answers by their labels, as long as they are labels."""

    def __init__(self) -> None:
        self.correct = Counter[bool]()
        self.pairs = Counter[tuple[str, str]]()
        self.spelling: dict[str, tuple[bool, str]] = {}
        self.are_labels = True

    def add(self, scored: ScoredAnswer) -> None:
        self.correct[scored.correct] += 1
        if not self.are_labels:
            return
        expected, answer = normalise(scored.expected), normalise(scored.answer)
        self.pairs[expected, answer] += 1
        for label, text, is_answer in ((expected, scored.expected, False), (answer, scored.answer, True)):
            self.spelling[label] = min(self.spelling.get(label, (True, text)), (is_answer, text))
        if len(self.spelling) > MOST_LABELS or scored.correct != (expected == answer):
            self.drop_labels()

    def drop_labels(self) -> None:
        self.are_labels = False
        self.pairs.clear()

    def score(self, spelling: Mapping[str, tuple[bool, str]]) -> Score:
        expected, given = Counter[str](), Counter[str]()
        for (wanted, answer), number in self.pairs.items():
            expected[wanted] += number
            given[answer] += number
        labels = []
        for label in sorted({*expected, *given}):
            right = self.pairs[label, label]
            labels.append(
                LabelScore(
                    label=spelling[label][1],
                    precision=Proportion(count=right, total=given[label]),
                    recall=Proportion(count=right, total=expected[label]),
                )
            )
        return Score(
            accuracy=Proportion(count=self.correct[True], total=self.correct.total()),
            labels=tuple(labels),
            confusion={(spelling[a][1], spelling[b][1]): number for (a, b), number in sorted(self.pairs.items())},
        )
