"""The meaning of one attempt for each of its rows, and where each row goes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, TypeGuard

import msgspec
from msgspec.structs import replace

from batchfree import answers
from batchfree.answers import Answer, AnswerRule, Complaint, packs
from batchfree.core.chat import Completion, Failure, JsonObject, Judged, Kind
from batchfree.core.consequences import CONSEQUENCES, Consequence
from batchfree.journal.attempts import MISSING, Attempt, Outcome, Status
from batchfree.journal.rehearsals import rehearsal_at
from batchfree.run.packer import bisected, largest_pack_after
from batchfree.run.tasks import Parcel, Task
from batchfree.service.routing import Draw

Result: TypeAlias = Answer | Failure

BISECTED = frozenset({Kind.INVALID_REQUEST, Kind.CONTEXT_LENGTH, Kind.CONTENT_POLICY, Kind.REFUSED})
"""Failures of a whole pack that a single row may have caused."""


SAME_AGAIN = "at temperature 0 the same model answers the same again: change the prompt, or raise request.temperature"
ADVICE = {Kind.TRUNCATED: "raise request.max_tokens, since at temperature 0 the same model is cut off there again"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a row is asked in one run, and how often the model is shown its last bad answer (`reask`)."""

    max_attempts: int
    reask: int


class RowResults(msgspec.Struct, frozen=True, kw_only=True):
    """A judged response, and its result for each row, in the order of the parcel.

    `failure` is set if no row has a result of its own; `unknown` counts the codes in the reply that belong to no row.
    """

    judged: Judged
    results: tuple[Result, ...]
    failure: Failure | None = None
    unknown: int = 0

    @property
    def refuses(self) -> bool:
        """Whether all rows were refused together; a single one may be the cause."""
        return self.failure is not None and self.failure.kind in BISECTED


class FollowUp(msgspec.Struct, frozen=True, kw_only=True):
    """Where the rows go next. A row that is in none of the three fields is done, for good or for this run."""

    retry: Parcel = ()
    """The same worker asks them again."""
    requeue: Parcel = ()
    """They return to the queue as single rows and join other packs."""
    resend: tuple[Parcel, ...] = ()
    """They return to the queue as these parcels."""

    def with_context_above(self, tokens: int | None) -> FollowUp:
        """The same, but the retried rows go only to models whose context is larger than this number of tokens."""
        return replace(self, retry=tuple(replace(task, context_above=tokens) for task in self.retry))


def read_results(judged: Judged, parcel: Parcel, codes: Sequence[str], rule: AnswerRule) -> RowResults:
    """The result of a response for each row; `codes` name the rows of a pack."""
    if isinstance(judged, Failure):
        return RowResults(judged=judged, results=tuple(judged for _ in parcel), failure=judged)
    if len(parcel) == 1:
        rule = answers.with_tools(rule, parcel[0].question.request.parameters)
        return RowResults(judged=judged, results=(answers.read(judged, rule),))
    reading = packs.read(judged, codes, rule)
    nothing = reading.failure or _missing(judged, cut_off=reading.cut_off)
    results = tuple(reading.results.get(code) or nothing for code in codes)
    return RowResults(judged=judged, results=results, failure=reading.failure, unknown=reading.unknown)


def _missing(completion: Completion, *, cut_off: bool) -> Failure:
    kind = Kind.TRUNCATED if cut_off else Kind.BAD_ANSWER
    return Failure(kind=kind, message=MISSING, model=completion.model)


def repeats(draw: Draw, parcel: Parcel) -> bool:
    """Whether the same request would get the same answer again: one row at temperature 0, and one model to ask."""
    return (
        draw.of == 1
        and len(parcel) == 1
        and parcel[0].check_of is None
        and parcel[0].question.request.parameters.get("temperature") == 0
    )


def outcomes(
    reply: RowResults, parcel: Parcel, policy: RetryPolicy, *, larger_left: bool, repeats: bool = False
) -> tuple[Outcome, ...]:
    """One outcome per row. `larger_left`: an eligible model has a larger context than the model that refused.

    The refusal of a whole pack finishes none of its rows, because another row may be the cause. `repeats`: the same
    request would get the same answer again. Then a row fails as soon as its next request would be the same.
    """
    shared = reply.refuses and len(parcel) > 1
    each = []
    for task, result in zip(parcel, reply.results, strict=True):
        if repeats and _is_last_word(result, task, policy):
            result = replace(result, message=f"{result.message}; {ADVICE.get(result.kind, SAME_AGAIN)}")
            each.append(_outcome(result, task, final=True))
        else:
            final = not shared and _finishes(result, task, policy, larger_left=larger_left)
            each.append(_outcome(result, task, final=final))
    return tuple(each)


def _is_last_word(result: Result, task: Task, policy: RetryPolicy) -> TypeGuard[Failure]:
    """Whether the next request would be the same. After a bad answer the model is shown the error `reask` times."""
    if isinstance(result, Answer) or CONSEQUENCES[result.kind] is not Consequence.ANOTHER_ANSWER:
        return False
    shown = 0 if task.state.status is Status.FAILED else task.state.wrong_since_bad
    return result.kind is not Kind.BAD_ANSWER or shown >= policy.reask


def attempt_of(
    reply: RowResults,
    each: tuple[Outcome, ...],
    *,
    draw: Draw,
    at: datetime,
    latency: float = 0.0,
    pack_seed: int | None = None,
    endpoint: str = "",
    pack_check: bool = False,
) -> Attempt:
    """The attempt as it goes into the journal, with the outcome of `each` row; `endpoint` is the base URL of the job.

    Long, because each fact has a line.
    """
    judged = reply.judged
    failure = judged if isinstance(judged, Failure) else None
    return Attempt(
        at=at,
        route=draw.route,
        models=draw.models,
        model=judged.model,
        provider=judged.provider,
        request_id=judged.request_id,
        status=200 if failure is None else failure.status,
        finish_reason=judged.finish_reason,
        native_finish_reason=judged.native_finish_reason,
        kind=None if failure is None else failure.kind,
        error=None if failure is None else failure.message,
        permanent=failure is not None and failure.permanent,
        unsupported=None if failure is None else failure.unsupported,
        prompt_tokens=judged.usage.prompt_tokens,
        completion_tokens=judged.usage.completion_tokens,
        cost=judged.usage.cost,
        latency_s=latency,
        content=judged.content if failure is None or failure.content else None,
        router=_told(judged.router),
        pack_seed=pack_seed,
        unknown=reply.unknown,
        rehearsal=rehearsal_at(endpoint, judged.model, draw.models),
        pack_check=pack_check,
        outcomes=each,
    )


def _told(router: JsonObject | None) -> JsonObject | None:
    """The service's report on its routing. The list of all endpoints is left out: it would be most of the line."""
    return None if router is None else {key: value for key, value in router.items() if key != "endpoints"}


def _outcome(result: Result, task: Task, *, final: bool) -> Outcome:
    question = task.question
    if isinstance(result, Answer):
        return Outcome(
            question=question.digest, row=question.row, id=question.id, answer=result.value, repaired=result.repaired
        )
    return Outcome(
        question=question.digest,
        row=question.row,
        id=question.id,
        kind=result.kind,
        error=result.message,
        final=final,
    )


def _finishes(result: Result, task: Task, policy: RetryPolicy, *, larger_left: bool) -> bool:
    """Whether a failure finishes the row for good."""
    if isinstance(result, Answer):
        return False
    match CONSEQUENCES[result.kind]:
        case Consequence.REJECT:
            return task.check_of is not None or not (result.kind is Kind.CONTEXT_LENGTH and larger_left)
        case Consequence.ANOTHER_ANSWER:
            wrong = 0 if task.state.status is Status.FAILED else task.state.wrong_answers
            return task.check_of is not None or wrong + 1 >= policy.max_attempts
        case _:
            return False


def follow(parcel: Parcel, attempt: Attempt, reply: RowResults, policy: RetryPolicy) -> FollowUp:
    """Where the rows of a parcel go after an attempt."""
    if not attempt.is_counted:
        account = attempt.kind is not None and CONSEQUENCES[attempt.kind] is Consequence.ACCOUNT
        return FollowUp(retry=parcel) if account else FollowUp()
    left = tuple(
        _after(task, attempt, outcome)
        for task, outcome in zip(parcel, attempt.outcomes, strict=True)
        if outcome.kind is not None and not outcome.final and task.attempts + 1 < policy.max_attempts
    )
    if len(parcel) == 1:
        return FollowUp(retry=left)
    if reply.refuses:
        return FollowUp(resend=bisected(left, policy.max_attempts))
    if attempt.kind is not None and attempt.kind is not Kind.TRUNCATED:
        return FollowUp(retry=left)
    return FollowUp(requeue=left)


def _after(task: Task, attempt: Attempt, outcome: Outcome) -> Task:
    state = task.state.after(attempt, outcome)
    return replace(task, state=state, attempts=task.attempts + 1, at_most=largest_pack_after(task, attempt, outcome))


def complaint(task: Task, policy: RetryPolicy, *, repeats: bool = False) -> Complaint | None:
    """What to show a model when a row is asked again: its last bad answer and what is wrong with it; else None.

    After the first bad answer another model gets the plain question, so nothing is shown, unless the answer `repeats`.
    After that the last bad answer is shown `reask` times.
    """
    last_bad_answer, plain = task.state.last_bad_answer, 0 if repeats else 1
    if last_bad_answer is None or not plain < task.state.wrong_since_bad <= policy.reask + plain:
        return None
    return Complaint(answer=last_bad_answer.content or "", error=last_bad_answer.outcomes[0].error or "")
