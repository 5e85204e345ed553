"""What a run of a job would take: rows to do, requests, the quota, the finishing day, and what would make it faster.

A plan costs no request of the quota: only `GET /key` and `GET /models` are sent. It also works without a network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from batchfree.answers import packs
from batchfree.core.chat import JsonObject
from batchfree.core.text import iso
from batchfree.job.consensus_table import ConsensusTable, voting_rule
from batchfree.job.faster_settings import Alternative, faster_settings
from batchfree.job.forecast import ASSUMED_AGREEMENT, ASSUMED_SECONDS, ASSUMED_YIELD, Experience, Pace, Work
from batchfree.job.forecast import expected_votes as votes_expected
from batchfree.job.market import Market, ask_service
from batchfree.job.row_survey import RowSurvey, survey_rows
from batchfree.job.state import JobState, read_state
from batchfree.jobspec import JobSpec
from batchfree.jobspec.job import Job
from batchfree.journal.attempts import Status
from batchfree.service.connection import Transport
from batchfree.service.quota.account import QuotaUsage
from batchfree.service.quota.limits import next_day


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
    market = await ask_service(job, survey, clock, transport)
    return _plan(state, survey, market, clock())


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
        faster=tuple(faster_settings(spec, work, size, experience, pace, now)),
        warnings=(*market.warnings, *state.warnings),
    )


def _agreement(state: JobState) -> float | None:
    """The mean share of votes for the answer, over the questions with several votes; None if there are none."""
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
    """The assumptions behind the number of requests, in sentences."""
    if experience.requests:
        share = 1 - experience.share_answered
        yield f"{share:.0%} of the rows asked bring no answer (shown by {experience.requests:,} requests of this job)"
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
