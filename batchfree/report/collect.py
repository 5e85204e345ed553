"""Everything that a report says about a job. It reads files only, and asks no service."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

import polars as pl
import yaml

from batchfree.core.chat import Failure, JsonObject
from batchfree.core.version import __version__
from batchfree.data.openai_batch import row_name
from batchfree.job.check_book import packed_pair
from batchfree.job.open_job import SMALL_BATCH
from batchfree.job.row_values import RowValues, scoring_rule
from batchfree.job.run_history import first_wait
from batchfree.job.state import JobState, read_state
from batchfree.jobspec.job import Job
from batchfree.journal.event_log import events_in, read_events
from batchfree.journal.journal_lines import read_header
from batchfree.journal.questions import digest
from batchfree.quality.agreement import gwet_ac1, krippendorff_alpha
from batchfree.quality.intervals import Proportion
from batchfree.quality.paired_votes import pairwise_kappa
from batchfree.quality.reliability import fit_reliability
from batchfree.report.advice import forecast, models_to_exclude, next_steps
from batchfree.report.count_attempts import AttemptCounter
from batchfree.report.count_rows import ReportedRow, RowCounter, row_record
from batchfree.report.figures import (
    Advice,
    AgreementFigures,
    DoubtfulRow,
    EstimatedModel,
    JobOutcome,
    PairAgreement,
    Provenance,
    Report,
)
from batchfree.report.pack_figures import pack_figures
from batchfree.report.pilot_figures import pilot_figures
from batchfree.report.timeline import pauses
from batchfree.run.summary import Tally
from batchfree.service.openrouter.catalogue import cache_dir, read_copy


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedReport:
    """The figures of a job, and the rows for the page in the form that its script reads."""

    report: Report
    rows: list[JsonObject]
    shown: int
    """Number of rows in the even sample. Doubtful rows outside the sample are not counted."""


@dataclass(slots=True, kw_only=True)
class _CountedJob:
    """The counters after the journal and every row of the input were read."""

    state: JobState
    attempts: AttemptCounter
    rows: RowCounter
    values: RowValues
    tally: Tally = field(default_factory=Tally)


def collect(job: Job, now: float) -> CollectedReport:
    """Reads job, input and journal; `now` in epoch seconds. Raises MistakesError and StorageError."""
    attempts = AttemptCounter()
    state = read_state(job, attempts.add)
    spec = job.spec
    rows = RowCounter(rows=state.opened.dataset.count(), labels=spec.answer.labels, scoring=scoring_rule(spec))
    counted = _CountedJob(state=state, attempts=attempts, rows=rows, values=state.values())
    records = _count_rows(counted)
    shown, doubtful = len(records), rows.doubtful()
    for _, row in doubtful:
        if row.number not in records:
            records[row.number] = _record(state, row)
    report = _report(job, counted, [each for each, _ in doubtful], now)
    return CollectedReport(report=report, rows=[records[number] for number in sorted(records)], shown=shown)


def _report(job: Job, counted: _CountedJob, doubtful: Sequence[DoubtfulRow], now: float) -> Report:
    state, attempts, rows, spec = counted.state, counted.attempts, counted.rows, job.spec
    evaluation, models, labels = rows.evaluation(), attempts.models(), spec.answer.labels
    votes = None if state.votes is None or not len(state.votes) else state.votes.frame()
    waits = [wait for folder in state.folder.all() for wait in pauses(events_in(folder.log))]
    return Report(
        job=spec.name,
        written_at=datetime.fromtimestamp(now, UTC),
        outcome=_outcome(counted, now),
        forecast=_forecast(counted),
        labels=rows.labels(),
        evaluation=evaluation,
        models=models,
        estimates=[] if votes is None else _estimates(counted.values, votes, labels),
        pilot=pilot_figures(state.pilots[-1]) if state.pilots else None,
        exclude=models_to_exclude(models, evaluation, spec.router.exclude, least=spec.votes.min),
        agreement=None if votes is None else _agreement(votes),
        timeline=attempts.starts.timeline(waits),
        failures=attempts.failures(),
        account_limits=attempts.account_limits,
        packs=pack_figures(state.packs.statistics(), labels or ()),
        pack_check=rows.pack_check() if spec.pack_checks else None,
        doubtful=doubtful,
        provenance=_provenance(job, state),
        warnings=state.warnings,
    )


def _count_rows(counted: _CountedJob) -> dict[int, JsonObject]:
    """Counts every row. Returns the records of the rows in the even sample, by their numbers from zero."""
    records = dict[int, JsonObject]()
    for row in _rows(counted):
        counted.rows.add(row)
        if counted.rows.is_shown(row.number):
            records[row.number] = _record(counted.state, row)
    return records


def _rows(counted: _CountedJob) -> Iterator[ReportedRow]:
    """Every row of the input with its values in the table. The tally counts them on the way."""
    state, values, tally = counted.state, counted.values, counted.tally
    opened = state.opened
    spec, id_column = opened.spec, opened.dataset.id
    expected, scoring = spec.expected, scoring_rule(spec)
    left = enumerate(opened.rows())
    while batch := list(islice(left, SMALL_BATCH)):
        rows = [row for _, row in batch]
        requests = [opened.prompts.render(row) for row in rows]
        questions = [each if isinstance(each, Failure) else digest(each, opened.rule) for each in requests]
        states = [values.state(question) for question in questions]
        columns = values.of_states(rows, questions, states)
        tally.add((), columns)
        described = (dict(zip(columns, each, strict=True)) for each in zip(*columns.values(), strict=True))
        for (number, row), request, question, question_state, row_values in zip(
            batch, requests, questions, states, described, strict=True
        ):
            check = None if isinstance(question, Failure) else state.checks.check_of(question)
            yield ReportedRow(
                number=number,
                name=None if id_column is None else row_name(row.get(id_column)),
                request=request,
                question=question,
                expected=None if expected is None else row.get(expected),
                values=row_values,
                pair=None if check is None else packed_pair(check, question_state, row.get(expected or ""), scoring),
                answers=[(attempt.model_or_route, outcome.answer) for attempt, outcome in question_state.answers],
            )
    tally.may_get_votes = values.consensus is not None and values.consensus.has_open


def _record(state: JobState, row: ReportedRow) -> JsonObject:
    question = row.question
    return row_record(row, [] if isinstance(question, Failure) else list(state.index.attempts(question)))


def _outcome(counted: _CountedJob, now: float) -> JobOutcome:
    state, attempts, tally = counted.state, counted.attempts, counted.tally
    spec, counts = state.opened.spec, tally.counts()
    waiting_for, until = first_wait((read_events(folder.log) for folder in state.folder.all()), now)
    steps = next_steps(
        os.path.relpath(spec.file),
        counts,
        requests=attempts.requests,
        begun=state.begun,
        may_get_votes=tally.may_get_votes,
    )
    return JobOutcome(
        counts=counts,
        requests=attempts.requests,
        days=len(attempts.busiest),
        models=attempts.answering,
        first=attempts.first,
        last=attempts.last,
        waiting_for=waiting_for if counts.pending else None,
        until=until if counts.pending else None,
        next=steps,
    )


def _forecast(counted: _CountedJob) -> Advice | None:
    """The requests and days that the pending rows still need."""
    limit, attempts = counted.state.opened.spec.limits.requests_per_day, counted.attempts
    busiest = max(attempts.busiest.values(), default=0)
    return forecast(counted.tally.counts(), attempts.requests, limit if isinstance(limit, int) else None, busiest)


def _estimates(values: RowValues, votes: pl.DataFrame, labels: tuple[str, ...] | None) -> list[EstimatedModel]:
    """The accuracy of each model, estimated from the votes alone; the best first."""
    reliability = (values.consensus and values.consensus.reliability) or fit_reliability(votes, labels)
    found = [
        EstimatedModel(model=model, right=Proportion(count=accuracy * number, total=number))
        for model, number, accuracy in reliability.models.iter_rows()
        if model is not None
    ]
    return sorted(found, key=lambda each: (-each.right.interval.low, each.model))


def _agreement(votes: pl.DataFrame) -> AgreementFigures:
    pairs = [
        PairAgreement(first=first, second=second, kappa=kappa)
        for (first, second), kappa in pairwise_kappa(votes).items()
    ]
    pairs.sort(key=lambda each: (each.kappa.value is None, each.kappa.value or 0.0, each.first, each.second))
    return AgreementFigures(alpha=krippendorff_alpha(votes), ac1=gwet_ac1(votes), pairs=pairs)


def _provenance(job: Job, state: JobState) -> Provenance:
    spec = job.spec
    headers = map(read_header, state.folder.all_journals())
    header = next((each for each in headers if each is not None), None)
    catalogue = None
    if not spec.endpoint.embedded:
        catalogue = read_copy(cache_dir(job.environment), spec.endpoint.base_url)
    free = [] if catalogue is None else [each for each in catalogue.models if each.free]
    return Provenance(
        job_file=os.path.relpath(spec.file),
        run_dir=os.path.relpath(spec.run_dir),
        version=__version__,
        journal_version=None if header is None else header.version,
        libraries={"Python": platform.python_version(), "Polars": pl.__version__},
        spec=yaml.safe_dump(spec.resolved(), sort_keys=False, allow_unicode=True),
        catalogue_at=None if catalogue is None else datetime.fromtimestamp(catalogue.fetched_at, UTC),
        catalogue={each.id: each.context_length for each in islice(free, 1_000)},
    )
