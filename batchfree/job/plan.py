"""What a run of a job would take: rows to do, requests, the quota, the finishing day, and what would make it faster.

Sends no request of the quota: only `GET /key` and `GET /models`, and nothing without a network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from batchfree.answers import packs
from batchfree.core.chat import JsonObject
from batchfree.core.errors import UnavailableError
from batchfree.core.stops import Stopped
from batchfree.core.text import iso
from batchfree.job.consensus_table import ConsensusTable, voting_rule
from batchfree.job.endpoint import Endpoint
from batchfree.job.forecast import ASSUMED_AGREEMENT, ASSUMED_SECONDS, ASSUMED_YIELD, Experience, Pace, Work
from batchfree.job.forecast import expected_votes as votes_expected
from batchfree.job.models_report import model_entries
from batchfree.job.own_route import with_route
from batchfree.job.row_survey import RowSurvey, survey_rows
from batchfree.job.state import JobState, read_state
from batchfree.jobspec import JobSpec
from batchfree.jobspec.job import Job
from batchfree.journal.attempts import Status
from batchfree.service.connection import Transport, connect, find_api_key
from batchfree.service.quota.account import QuotaUsage
from batchfree.service.quota.limits import FREE_DAY, next_day

BOUGHT_DAY = 1_000
"""Free requests per UTC day of an account that has ever bought ten credits (OpenRouter docs, limits page)."""
WORTH_TELLING = 60.0
"""Seconds by which another setting must change the end to be worth telling."""
FASTER_PACK = 10
"""The pack size that a plan proposes to a job without packs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another setting of the job or of the account, and what it would take."""

    change: str
    requests: int
    finishes_at: float | None

    def to_json(self) -> JsonObject:
        """As `plan --json` prints it."""
        return {"change": self.change, "requests": self.requests, "finishes_at": iso(self.finishes_at)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run would take; times in epoch seconds. `usage` is None on an endpoint that keeps no count."""

    job: str
    rows: int
    answered: int
    failed: int
    unrenderable: int
    reasked: int | None
    to_do: int
    questions: int
    """Different questions that are still to be asked: equal rows share one."""
    rehearsed: int
    checks: int
    """Rows of packs that are also asked alone."""
    pack: float
    """Rows in a request."""
    requests: int
    usage: QuotaUsage | None
    finishes_at: float | None
    models: Sequence[str]
    refused: int
    catalogue_at: float | None
    """When the catalogue of models was fetched; None if there is none."""
    seconds_each: float
    assumptions: Sequence[str] = ()
    faster: Sequence[Alternative] = ()
    warnings: Sequence[str] = ()

    def to_json(self) -> JsonObject:
        """As `plan --json` prints it."""
        usage = self.usage
        return {
            "job": self.job,
            "rows": self.rows,
            "answered": self.answered,
            "failed": self.failed,
            "unrenderable": self.unrenderable,
            "reasked": self.reasked,
            "to_do": self.to_do,
            "questions": self.questions,
            "pack_checks": self.checks,
            "rehearsed": self.rehearsed,
            "rows_per_request": round(self.pack, 1),
            "requests_needed": self.requests,
            "quota": {
                "day_limit": usage and usage.day_limit,
                "day_left": usage and usage.left("day"),
                "minute_limit": usage and usage.minute_limit,
                "resets_at": usage and iso(usage.day_resets_at),
            },
            "finishes_at": iso(self.finishes_at),
            "models": list(self.models),
            "catalogue_fetched_at": iso(self.catalogue_at),
            "assumptions": list(self.assumptions),
            "faster": [each.to_json() for each in self.faster],
            "warnings": list(self.warnings),
        }


async def plan(job: Job, clock: Callable[[], float], transport: Transport = None) -> Plan:
    """The plan of a job. Raises MistakesError and StorageError; a service out of reach is only a warning.

    `clock` gives epoch seconds. A cancellation leaves nothing behind.
    """
    state = read_state(job)
    survey = survey_rows(state)
    market = await _ask_service(job, survey, clock, transport)
    return _plan(state, survey, market, clock())


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What the service offers: the quota, and the models that may answer."""

    usage: QuotaUsage | None = None
    reserve: int = 0
    models: Sequence[str] = ()
    refused: int = 0
    catalogue_at: float | None = None
    warnings: Sequence[str] = ()


async def _ask_service(job: Job, survey: RowSurvey, clock: Callable[[], float], transport: Transport) -> Market:
    spec = job.spec
    if spec.endpoint.is_llama:  # asking it would mean to start it
        return Market(models=spec.router.route or ())
    warnings = list[str]()
    async with connect(spec.endpoint, job.environment, clock, transport=transport) as connection:
        routed = await with_route(spec, connection, warnings.append)
        if isinstance(routed, Stopped):
            return Market(warnings=[routed.message])
        job, spec = replace(job, spec=routed), routed
        limits = Endpoint(spec=spec, connection=connection).limits
        if limits.per_day is not None:
            if spec.endpoint.is_openrouter and find_api_key(spec.endpoint, job.environment) is None:
                warnings.append("no API key: the quota is that of a new account")
            elif (failure := await connection.refresh_quota()) is not None:
                warnings.append(f"the service does not say what is left of the quota: {failure.message}")
        try:
            models = await connection.catalogue.models()
        except UnavailableError as error:
            models = ()
            warnings.append(str(error))
        entries = model_entries(models, survey.needs, job, clock())
        able = tuple(entry.model.id for entry in entries if entry.reason is None)
        return Market(
            usage=None if limits.per_day is None and limits.per_minute is None else connection.ledger.usage(limits),
            reserve=limits.reserve,
            models=able,
            refused=len(entries) - len(able),
            catalogue_at=connection.catalogue.fetched_at,
            warnings=warnings,
        )


def _plan(state: JobState, survey: RowSurvey, market: Market, now: float) -> Plan:
    spec, experience = state.opened.spec, Experience.of(state.recent)
    agreement = _agreement(state)
    work = _work(spec, survey, market, agreement)
    size = _pack_size(spec, experience)
    requests = work.requests(size, experience)
    pace = _pace(spec, market, experience, now)
    return Plan(
        job=spec.name,
        rows=survey.counts.total() + survey.unrenderable,
        answered=survey.counts[Status.OK],
        failed=survey.counts[Status.FAILED],
        unrenderable=survey.unrenderable,
        reasked=None if state.opened.dataset.id is None else survey.reasked,
        to_do=survey.counts[Status.PENDING],
        questions=survey.questions,
        checks=work.checks,
        rehearsed=state.index.left_out,
        pack=size,
        requests=requests,
        usage=market.usage,
        finishes_at=pace.finishes_at(requests, now),
        models=market.models,
        refused=market.refused,
        catalogue_at=market.catalogue_at,
        seconds_each=pace.seconds_each,
        assumptions=tuple(_assumptions(spec, experience, work, agreement)),
        faster=tuple(
            each
            for each in _alternatives(spec, work, pace, experience, now)
            if requests and _matters(each, requests, pace.finishes_at(requests, now))
        ),
        warnings=(*market.warnings, *state.warnings),
    )


def _agreement(state: JobState) -> float | None:
    """The mean share of votes for the answer, over questions that have several; None without any."""
    if state.votes is None or len(state.votes) <= state.votes.questions:
        return None
    return ConsensusTable(state.votes, state.opened.spec, state.votes.questions).mean_agreement()


def _work(spec: JobSpec, survey: RowSurvey, market: Market, agreement: float | None) -> Work:
    open_questions = survey.alone + survey.groups.total()
    passes, first = 1.0, 1.0
    if spec.asks_votes and open_questions:
        rule = voting_rule(spec)
        given = survey.votes_given / open_questions
        each = votes_expected(rule, ASSUMED_AGREEMENT if agreement is None else agreement) - given
        if rule.budget is not None:
            of_pilot = (survey.pilot_alone + survey.pilot_groups.total()) * len(market.models)
            left = rule.budget * survey.counts.total() - of_pilot
            each = min(each, max(left / open_questions, rule.min) - given)
        passes, first = max(each, 1.0 / open_questions), max(0.0, rule.min - given)
    return Work(
        groups=survey.groups,
        alone=survey.alone,
        passes=passes,
        first=first,
        pilot_groups=survey.pilot_groups,
        pilot_alone=survey.pilot_alone,
        pilot_models=len(market.models),
        checks=survey.checks_left(spec.pack_checks),
    )


def _pack_size(spec: JobSpec, experience: Experience) -> float:
    if spec.pack == "auto":
        return experience.pack_size(packs.first_sizes("auto").start, grows=True)
    return spec.pack


def _pace(spec: JobSpec, market: Market, experience: Experience, now: float) -> Pace:
    usage, seconds = market.usage, experience.seconds_each / spec.limits.concurrency
    if usage is None:
        return Pace(left=None, per_day=None, resets_at=next_day(now), seconds_each=seconds)
    if usage.minute_limit:
        seconds = max(seconds, 60.0 / usage.minute_limit)
    left, per_day = usage.left("day"), usage.day_limit
    return Pace(
        left=None if left is None else max(0, left - market.reserve),
        per_day=None if per_day is None else max(0, per_day - market.reserve),
        resets_at=usage.day_resets_at,
        seconds_each=seconds,
    )


def _assumptions(spec: JobSpec, experience: Experience, work: Work, agreement: float | None) -> Iterator[str]:
    """What the number of requests rests on, in sentences."""
    if experience.requests:
        share = 1 - experience.share_answered
        yield f"{share:.0%} of the rows asked bring no answer (shown by {experience.requests} requests of this job)"
        yield f"a request takes {experience.seconds_each:.1f} s"
    else:
        yield f"{1 - ASSUMED_YIELD:.0%} of the rows asked bring no answer (assumed: this job has no history yet)"
        yield f"a request takes {ASSUMED_SECONDS:.0f} s (assumed)"
    if spec.asks_votes:
        known = "as the votes up to now show" if agreement is not None else "assumed"
        share = ASSUMED_AGREEMENT if agreement is None else agreement
        yield f"{share:.0%} of the votes agree on an answer ({known}); {work.passes:.1f} more votes per row"
    if work.pilot_alone or work.pilot_groups:
        half = ", in packs that are half full" if work.pilot_groups and spec.pack != 1 else ""
        yield f"every one of {work.pilot_models} models answers the rows of the pilot{half}"


def _matters(each: Alternative, requests: int, finishes_at: float | None) -> bool:
    """Whether another setting changes the requests, or the end by more than a minute."""
    if each.finishes_at is None or finishes_at is None:
        return each.finishes_at is not finishes_at
    return each.requests != requests or abs(each.finishes_at - finishes_at) > WORTH_TELLING


def _alternatives(spec: JobSpec, work: Work, pace: Pace, experience: Experience, now: float) -> Iterator[Alternative]:
    """Settings that would make the job faster, with their figures."""
    size = _pack_size(spec, experience)

    def alternative(change: str, work: Work, size: float, pace: Pace) -> Alternative:
        requests = work.requests(size, experience)
        return Alternative(change=change, requests=requests, finishes_at=pace.finishes_at(requests, now))

    if spec.pack == 1 and (work.groups or work.pilot_groups) and work.packs(FASTER_PACK) < work.packs(1):
        yield alternative(f"pack: {FASTER_PACK}", work, FASTER_PACK, pace)
    if spec.asks_votes and work.passes > 1:
        yield alternative("votes: 1", replace(work, passes=1.0, pilot_models=1), size, pace)
    if spec.limits.requests_per_day == "auto" and spec.endpoint.is_openrouter:
        other = FREE_DAY if (pace.per_day or 0) >= BOUGHT_DAY - spec.limits.reserve else BOUGHT_DAY
        used = max(0, (pace.per_day or 0) - (pace.left or 0))
        per_day = max(0, other - spec.limits.reserve)
        tier = "an account without credits" if other == FREE_DAY else "an account that has ever bought 10 credits"
        changed = replace(pace, per_day=per_day, left=max(0, per_day - used))
        yield alternative(f"{other:,} requests a day ({tier})", work, size, changed)
    if pace.left is None and pace.seconds_each * spec.limits.concurrency >= 1:
        twice = replace(pace, seconds_each=pace.seconds_each / 2)
        yield alternative(f"limits.concurrency: {2 * spec.limits.concurrency}", work, size, twice)
