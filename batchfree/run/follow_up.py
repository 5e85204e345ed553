"""What one attempt means to the rows that it carried, and where each of them goes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from batchfree import answers
from batchfree.answers import Answer, AnswerRule, Complaint
from batchfree.answers import packs as packing
from batchfree.core.chat import Completion, Failure, JsonObject, Judged, Kind
from batchfree.core.consequences import CONSEQUENCES, Consequence
from batchfree.journal.attempts import MISSING, Attempt, Outcome, Status
from batchfree.run.tasks import Parcel, Task, halves
from batchfree.service.routing import Draw

Result: TypeAlias = Answer | Failure

BISECTED = frozenset({Kind.INVALID_REQUEST, Kind.CONTEXT_LENGTH, Kind.CONTENT_POLICY, Kind.REFUSED})
"""Failures of a whole pack that one of its rows may have brought on all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a row is asked: requests per run, and how often the error is shown when asking again."""

    max_attempts: int
    reask: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A judged response with what it says to each row of the parcel, in the parcel's order; `failure`: why it says
    nothing to any of them."""

    judged: Judged
    results: tuple[Result, ...]
    failure: Failure | None = None
    unknown: int = 0

    @property
    def refuses(self) -> bool:
        """Whether all rows were refused together, perhaps for the sake of one."""
        return self.failure is not None and self.failure.kind in BISECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """Where the rows go: `keep` is tried again at once by the same worker, `back` look for new company, `again` go
    out just so; the others are done, for good or for this run."""

    keep: Parcel = ()
    back: Parcel = ()
    again: tuple[Parcel, ...] = ()

    def with_context_above(self, tokens: int | None) -> Next:
        """The same, where the one row that is kept goes to models of more context than so many tokens only."""
        return replace(self, keep=tuple(replace(task, context_above=tokens) for task in self.keep))


def read(judged: Judged, parcel: Parcel, codes: Sequence[str], rule: AnswerRule) -> Reply:
    """What the response says to each row; `codes` name the rows of a pack."""
    if isinstance(judged, Failure):
        return Reply(judged=judged, results=tuple(judged for _ in parcel), failure=judged)
    if len(parcel) == 1:
        tools = answers.tool_schemas(parcel[0].question.request.parameters)
        rule = rule if tools is None else replace(rule, tools=True, tool_schemas=tools)
        return Reply(judged=judged, results=(answers.read(judged, rule),))
    reading = packing.read(judged, codes, rule)
    nothing = reading.failure or _missing(judged, cut_off=reading.cut_off)
    results = tuple(reading.results.get(code) or nothing for code in codes)
    return Reply(judged=judged, results=results, failure=reading.failure, unknown=reading.unknown)


def _missing(completion: Completion, *, cut_off: bool) -> Failure:
    kind = Kind.TRUNCATED if cut_off else Kind.BAD_ANSWER
    return Failure(kind=kind, message=MISSING, model=completion.model)


def outcomes(reply: Reply, parcel: Parcel, patience: Patience, *, larger_left: bool) -> tuple[Outcome, ...]:
    """One outcome per row. `larger_left`: an eligible model has more context than the one that refused. What a whole
    pack was refused for finishes none of its rows: it may be another row's fault."""
    shared = reply.refuses and len(parcel) > 1
    return tuple(
        _outcome(result, task, final=not shared and _finishes(result, task, patience, larger_left=larger_left))
        for task, result in zip(parcel, reply.results, strict=True)
    )


def attempt_of(
    reply: Reply,
    each: tuple[Outcome, ...],
    *,
    draw: Draw,
    at: datetime,
    latency: float = 0.0,
    pack_seed: int | None = None,
) -> Attempt:
    """The attempt as it goes into the journal, with `each` row's outcome. Long: one line for each fact."""
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
        outcomes=each,
    )


def _told(router: JsonObject | None) -> JsonObject | None:
    """The service's account of its routing, without the list of all on offer, which would be most of the line."""
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


def _finishes(result: Result, task: Task, patience: Patience, *, larger_left: bool) -> bool:
    """Whether a failure finishes the row for good."""
    if isinstance(result, Answer):
        return False
    match CONSEQUENCES[result.kind]:
        case Consequence.REJECT:
            return not (result.kind is Kind.CONTEXT_LENGTH and larger_left)
        case Consequence.ANOTHER_ANSWER:
            wrong = 0 if task.state.status is Status.FAILED else task.state.wrong_answers
            return wrong + 1 >= patience.max_attempts
        case _:
            return False


def follow(parcel: Parcel, attempt: Attempt, reply: Reply, patience: Patience) -> Next:
    """Where the rows of a parcel go after an attempt."""
    if not attempt.is_counted:
        account = attempt.kind is not None and CONSEQUENCES[attempt.kind] is Consequence.ACCOUNT
        return Next(keep=parcel) if account else Next()
    moved = (_after(task, attempt, outcome) for task, outcome in zip(parcel, attempt.outcomes, strict=True))
    left = tuple(
        task
        for task, outcome in zip(moved, attempt.outcomes, strict=True)
        if outcome.kind is not None and not outcome.final and task.attempts < patience.max_attempts
    )
    if len(parcel) == 1:
        return Next(keep=left)
    if reply.refuses:
        return Next(again=_taken_apart(left, patience))
    if attempt.kind is not None and attempt.kind is not Kind.TRUNCATED:
        return Next(keep=left)
    return Next(back=left)


def _taken_apart(parcel: Parcel, patience: Patience) -> tuple[Parcel, ...]:
    """The halves of a pack that was refused as a whole; single rows where they are asked for the last time in this
    run, since then it must come out whose fault it is."""
    if any(task.attempts + 1 >= patience.max_attempts for task in parcel):
        return tuple((task,) for task in parcel)
    return halves(parcel)


def _after(task: Task, attempt: Attempt, outcome: Outcome) -> Task:
    state = task.state.after(attempt, outcome)
    return replace(task, state=state, attempts=task.attempts + 1, at_most=_at_most(task, attempt, outcome))


def _at_most(task: Task, attempt: Attempt, outcome: Outcome) -> int | None:
    """The size of pack that a row may travel in from now on: half of one whose reply was cut off, or of the second one
    whose reply says little to any row."""
    size = len(attempt.outcomes)
    poor = attempt.kind is None and 2 * attempt.answered < size and task.attempts > 0
    return max(1, size // 2) if outcome.kind is Kind.TRUNCATED or poor else task.at_most


def complaint(task: Task, patience: Patience) -> Complaint | None:
    """What to show when a row is asked again: after its first bad answer nothing, since another model gets the plain
    question; then, `reask` times, the last bad answer and what is wrong with it."""
    last_bad_answer = task.state.last_bad_answer
    if last_bad_answer is None or not 2 <= task.state.wrong_since_bad <= patience.reask + 1:
        return None
    return Complaint(answer=last_bad_answer.content or "", error=last_bad_answer.outcomes[0].error or "")
