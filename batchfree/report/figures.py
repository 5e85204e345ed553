"""The figures of a report, as values. `as_json` turns them into what `report --json` prints.

Shares and coefficients carry their number of cases and a 95 % interval. Below ten cases only the counts are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any

from batchfree.core.chat import Json, JsonObject
from batchfree.core.stops import Counts
from batchfree.core.text import iso, without_surrogates
from batchfree.journal.attempts import PilotDecision
from batchfree.journal.pack_statistics import PackStatistics
from batchfree.quality.agreement import Coefficient
from batchfree.quality.evaluation import Evaluation, Score
from batchfree.quality.intervals import LEAST_FOR_SHARE, Median, Proportion
from batchfree.quality.pack_comparison import PackComparison


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutcome:
    """What came out of the job so far. `days` counts the UTC days on which requests were sent."""

    counts: Counts
    requests: int
    days: int
    models: int
    """Number of models that gave at least one answer."""
    first: datetime | None
    last: datetime | None
    waiting_for: str | None
    until: float | None
    """Epoch seconds."""
    next: Sequence[Advice]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A sentence, and what to type or to paste if there is something."""

    text: str
    line: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFigures:
    """How often each label was given, over all answers of the table and in all answers of each model."""

    labels: Sequence[str]
    overall: Mapping[str, Proportion]
    models: Mapping[str, Mapping[str, Proportion]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFigures:
    """How one model did. An `openrouter/free` among the models stands for requests whose model is unknown."""

    model: str
    requests: int
    valid: Proportion
    """Share of the asked rows that got a usable answer. Limits of the account do not count."""
    failures: Mapping[str, int]
    """Rows by kind of failure."""
    latency: Median
    """Seconds of a request that was answered."""
    prompt_tokens: int
    completion_tokens: int
    metered: int
    """Number of requests whose tokens are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatedModel:
    """A model's accuracy as the agreement of all votes suggests it. It orders the models; its level is often too high.

    `right` is a number of votes that is estimated, not counted.
    """

    model: str
    right: Proportion


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotRank:
    """A model in the ranking of a pilot. Without `measured`, `right` is estimated and not counted."""

    model: str
    right: Proportion
    measured: bool
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotFigures:
    """What a pilot decided: the models that stay, and all models, the best first."""

    kept: Sequence[str]
    ranking: Sequence[PilotRank]

    @property
    def is_measured(self) -> bool:
        """Whether the models were ranked by expected values, and not by an estimate."""
        return any(each.measured for each in self.ranking)


def pilot_figures(decision: PilotDecision) -> PilotFigures:
    """The figures of a pilot's decision."""
    ranking = [
        PilotRank(
            model=each.model,
            right=Proportion(count=each.right * each.votes, total=each.votes),
            measured=each.measured,
            kept=each.model in decision.kept,
        )
        for each in decision.ranking
    ]
    return PilotFigures(kept=decision.kept, ranking=ranking)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAgreement:
    """Cohen's kappa of two models."""

    first: str
    second: str
    kappa: Coefficient


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementFigures:
    """How much the models agree beyond chance; the pairs that agree least first."""

    alpha: Coefficient
    ac1: Coefficient
    pairs: Sequence[PairAgreement]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The requests that started in one stretch of time; `at` in epoch seconds."""

    at: float
    starts: int
    failed: int
    """Those that brought no answer to any row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineWait:
    """A wait of the whole run, in epoch seconds."""

    start: float
    end: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The requests over time; every bar is `seconds` wide."""

    start: float
    end: float
    seconds: float
    bars: Sequence[Bar]
    pauses: Sequence[TimelineWait]
    resets: Sequence[float]
    """The UTC midnights in between, when the requests of a new day begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureFigures:
    """One kind of failure: how many of all asked rows it hit, and an example of it."""

    kind: str
    rows: Proportion
    example: str
    model: str
    row: int
    """The example's row, counted from one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackSizeFigures:
    """How many rows of one model's packs of one size were answered."""

    model: str
    size: int
    packs: int
    answered: Proportion


@dataclass(frozen=True, slots=True, kw_only=True)
class PackFigures:
    """What packs did to the rows in them."""

    packs: int
    rows: int
    sizes: Sequence[PackSizeFigures]
    """By model and size."""
    all_sizes: Sequence[PackSizeFigures]
    """By size, over all models; `model` is empty."""
    places: Sequence[Mapping[str, Proportion]]
    """The share of each label at each place of a pack, from the first place on; empty without labels."""


def pack_figures(statistics: PackStatistics | None, labels: Sequence[str]) -> PackFigures | None:
    """The figures of packs; None without packs."""
    if statistics is None:
        return None
    sizes = sorted({each.size for each in statistics.yields})
    return PackFigures(
        packs=statistics.packs,
        rows=statistics.rows,
        all_sizes=[_of_size(statistics, size) for size in sizes],
        sizes=[
            PackSizeFigures(
                model=each.model,
                size=each.size,
                packs=each.packs,
                answered=Proportion(count=each.answered, total=each.rows),
            )
            for each in statistics.yields
        ],
        places=[
            {label: Proportion(count=place.get(label, 0), total=sum(place.values())) for label in labels}
            for place in statistics.places
            if labels
        ],
    )


def _of_size(statistics: PackStatistics, size: int) -> PackSizeFigures:
    """The figures of all packs of one size."""
    alike = [each for each in statistics.yields if each.size == size]
    answered = Proportion(count=sum(each.answered for each in alike), total=sum(each.rows for each in alike))
    return PackSizeFigures(model="", size=size, packs=sum(each.packs for each in alike), answered=answered)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtfulRow:
    """A row that is worth a look; `row` counts from one."""

    row: int
    why: str
    prompt: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """How the answers came about."""

    job_file: str
    run_dir: str
    version: str
    """The version of batchfree that wrote the report."""
    journal_version: str | None
    """The version that began the journal."""
    libraries: Mapping[str, str]
    spec: str
    """The whole job with all defaults, as YAML."""
    catalogue_at: datetime | None
    """When the catalogue of models on this machine was fetched; None if there is none of this endpoint."""
    catalogue: Mapping[str, int | None]
    """The free models in it, with their context in tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Every figure of a report."""

    job: str
    written_at: datetime
    outcome: JobOutcome
    labels: LabelFigures | None
    evaluation: Evaluation | None
    """Measured against expected values: all answers of the table, and all answers of each model."""
    models: Sequence[ModelFigures]
    estimates: Sequence[EstimatedModel]
    pilot: PilotFigures | None
    exclude: Sequence[Advice]
    agreement: AgreementFigures | None
    timeline: Timeline | None
    forecast: Advice | None
    """What the pending rows still need; None if nothing is known or pending."""
    failures: Sequence[FailureFigures]
    account_limits: Mapping[str, int]
    """Refusals by a limit of the account, which are nobody's failure."""
    packs: PackFigures | None
    pack_check: PackComparison | None
    """Rows of packs that were also asked alone; None without `evaluate.pack_check`."""
    doubtful: Sequence[DoubtfulRow]
    provenance: Provenance
    warnings: Sequence[str]


def as_json(value: Any) -> Json:
    """A value of this module as plain JSON data; times are ISO 8601."""
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, Evaluation):
        return {"overall": _score_json(value.overall), "models": {k: _score_json(v) for k, v in value.models.items()}}
    if is_dataclass(value) and not isinstance(value, Mapping):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(each) for key, each in value.items()}
    if isinstance(value, datetime):
        return iso(value.timestamp())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [as_json(each) for each in value]
    return without_surrogates(value)


def _score_json(score: Score) -> JsonObject:
    is_shown = score.accuracy.is_shown
    return {
        "accuracy": score.accuracy.to_json(),
        "macro_f1": score.macro_f1 if is_shown else None,
        "macro_f1_interval": as_json(score.macro_f1_interval) if is_shown else None,
        "labels": [
            {
                "label": each.label,
                "precision": each.precision.to_json(),
                "recall": each.recall.to_json(),
                "rows": each.rows,
                "f1": each.f1 if each.rows >= LEAST_FOR_SHARE else None,
                "f1_interval": as_json(each.f1_interval) if each.rows >= LEAST_FOR_SHARE else None,
            }
            for each in score.labels
        ],
        "confusion": [
            {"expected": expected, "answer": answer, "rows": number}
            for (expected, answer), number in score.confusion.items()
        ],
    }
