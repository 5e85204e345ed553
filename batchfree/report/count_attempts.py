"""What the attempts of a job say about each model, about failures, and about the time."""

from __future__ import annotations

import random
from array import array
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime

from batchfree.core.chat import Kind
from batchfree.journal.attempts import UNCOUNTED, Attempt
from batchfree.quality.intervals import Median, Proportion, median
from batchfree.report.figures import FailureFigures, ModelFigures
from batchfree.report.timeline import StartCounter

MOST_LATENCIES = 5_000
"""Most latencies that are kept for one model. If there are more, a random sample is kept."""


@dataclass(slots=True)
class ModelCount:
    """The counts of one model."""

    requests: int = 0
    answered: int = 0
    asked: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    latencies: array[float] = field(default_factory=lambda: array("f"))
    timed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    metered: int = 0

    def add_latency(self, seconds: float, rng: random.Random) -> None:
        """Keeps a latency in seconds. Each latency has the same chance to stay (Vitter 1985, algorithm R)."""
        self.timed += 1
        if len(self.latencies) < MOST_LATENCIES:
            self.latencies.append(seconds)
        elif (place := rng.randrange(self.timed)) < MOST_LATENCIES:
            self.latencies[place] = seconds

    def latency(self) -> Median:
        """The median of the latencies."""
        return median(self.latencies)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureExample:
    """The first failure of its kind."""

    error: str
    model: str
    row: int


class AttemptCounter:
    """Folds the attempts of a journal into figures. Its memory grows with models and minutes, not with attempts."""

    def __init__(self) -> None:
        self.starts = StartCounter()
        self.requests = 0
        self.busiest = Counter[date]()
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.account_limits = Counter[str]()
        self._models = dict[str, ModelCount]()
        self._kinds, self._examples, self._asked = Counter[str](), dict[str, FailureExample](), 0
        self._rng = random.Random(0)

    def add(self, attempt: Attempt) -> None:
        """Counts one attempt. Lines of a pilot's decision and lines that only close a tied row are left out."""
        if all(outcome.kind is Kind.TIED for outcome in attempt.outcomes):
            return
        if attempt.models:
            self._count_request(attempt)
        if attempt.kind in UNCOUNTED:
            self.account_limits[str(attempt.kind)] += 1
            return
        self._count_rows(attempt)

    def _count_request(self, attempt: Attempt) -> None:
        self.requests += 1
        self.busiest[attempt.at.date()] += 1
        self.first, self.last = self.first or attempt.at, attempt.at
        self.starts.add(attempt.at.timestamp() - attempt.latency_s, answered=attempt.answered > 0)

    def _count_rows(self, attempt: Attempt) -> None:
        self._asked += len(attempt.outcomes)
        name = attempt.model_or_route
        model = self._models.setdefault(name, ModelCount()) if attempt.models else ModelCount()
        model.requests += 1
        model.asked += len(attempt.outcomes)
        model.answered += attempt.answered
        if attempt.kind is None:
            model.add_latency(attempt.latency_s, self._rng)
        if attempt.prompt_tokens is not None or attempt.completion_tokens is not None:
            model.prompt_tokens += attempt.prompt_tokens or 0
            model.completion_tokens += attempt.completion_tokens or 0
            model.metered += 1
        for outcome in attempt.outcomes:
            if outcome.kind is not None:
                model.failures[outcome.kind] += 1
                self._kinds[outcome.kind] += 1
                example = FailureExample(error=outcome.error or attempt.error or "", model=name, row=outcome.row + 1)
                self._examples.setdefault(outcome.kind, example)

    @property
    def answering(self) -> int:
        """Number of models that gave an answer."""
        return sum(each.answered > 0 for each in self._models.values())

    def models(self) -> list[ModelFigures]:
        """The figures of every model; the model with the most answers first."""
        return [
            ModelFigures(
                model=name,
                requests=each.requests,
                valid=Proportion(count=each.answered, total=each.asked),
                failures=dict(each.failures.most_common()),
                latency=each.latency(),
                prompt_tokens=each.prompt_tokens,
                completion_tokens=each.completion_tokens,
                metered=each.metered,
            )
            for name, each in sorted(self._models.items(), key=lambda item: (-item[1].answered, item[0]))
        ]

    def failures(self) -> list[FailureFigures]:
        """The kinds of failure, the most frequent first."""
        return [
            FailureFigures(
                kind=kind,
                rows=Proportion(count=number, total=self._asked),
                example=self._examples[kind].error,
                model=self._examples[kind].model,
                row=self._examples[kind].row,
            )
            for kind, number in self._kinds.most_common()
        ]
