"""The figures of a report, as values.

Shares and coefficients carry their number of cases and a 95 % interval. Below ten cases only the counts are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from batchfree.core.stops import Counts
from batchfree.quality.agreement import Coefficient
from batchfree.quality.evaluation import Evaluation
from batchfree.quality.intervals import Median, Proportion
from batchfree.quality.pack_comparison import PackComparison
from batchfree.report.pack_figures import PackFigures
from batchfree.report.pilot_figures import PilotFigures


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
    """How often each label was given: in the answers of the table, and in all answers of each model."""

    labels: Sequence[str]
    overall: Mapping[str, Proportion]
    models: Mapping[str, Mapping[str, Proportion]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFigures:
    """How one model did. The entry `openrouter/free` stands for requests whose model is unknown."""

    model: str
    requests: int
    valid: Proportion
    """Share of the asked rows that got a usable answer. Limits of the account do not count."""
    failures: Mapping[str, int]
    """Rows by kind of failure."""
    latency: Median
    """Seconds of an answered request."""
    prompt_tokens: int
    completion_tokens: int
    metered: int
    """Number of requests whose tokens are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatedModel:
    """A model's accuracy, estimated from the agreement of all votes. It orders the models; its level is often too high.

    The count of `right` is an estimated number of votes.
    """

    model: str
    right: Proportion


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAgreement:
    """Cohen's kappa of two models."""

    first: str
    second: str
    kappa: Coefficient


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementFigures:
    """How much the models agree beyond chance. `pairs` begins with the two models that agree least."""

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
    """One kind of failure: its share of all asked rows, and an example."""

    kind: str
    rows: Proportion
    example: str
    model: str
    row: int
    """The example's row, counted from one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtfulRow:
    """A row whose answer is doubtful; `row` counts from one."""

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
    """When this machine's copy of the endpoint's catalogue was fetched; None if there is no copy."""
    catalogue: Mapping[str, int | None]
    """The free models in that catalogue, with their context in tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Every figure of a report."""

    job: str
    written_at: datetime
    outcome: JobOutcome
    labels: LabelFigures | None
    evaluation: Evaluation | None
    """The answers of the table, and all answers of each model, compared with expected values."""
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
    """Refusals by a limit of the account, by kind. They count against no row and no model."""
    packs: PackFigures | None
    pack_check: PackComparison | None
    """The comparison of rows that were asked in a pack and alone; None without `evaluate.pack_check`."""
    doubtful: Sequence[DoubtfulRow]
    provenance: Provenance
    warnings: Sequence[str]
