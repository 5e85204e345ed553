"""What one attempt means to the rows that it carried, and where each of them goes next. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from batchfree import answers, packing
from batchfree.answers import Answer, AnswerRule, Complaint
from batchfree.attempts import MISSING, Attempt, Outcome, Status
from batchfree.chat import Completion, Failure, Judged, Kind
from batchfree.parcels import Parcel, Task, halves
from batchfree.retry import CONSEQUENCES, Consequence

Result: TypeAlias = Answer | Failure

BISECTED = frozenset({Kind.INVALID_REQUEST, Kind.CONTEXT_LENGTH, Kind.CONTENT_POLICY, Kind.REFUSED})
"""Failures of a whole pack that one of its rows may have brought on all."""
PACK_FAILURES_UNTIL_ALONE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a row is asked: requests per run, and how often the error is shown when asking again."""

    max_attempts: int
    reask: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A judged response with what it says to each row of the parcel, in the parcel's order."""

    judged: Judged
    results: tuple[Result, ...]
    cut_off: bool = False
    unknown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """Where the rows go: `keep` is tried again at once by the same worker, `back` look for new company, `again` go
    out just so; the others are done, for good or for this run."""

    keep: Parcel = ()
    back: Parcel = ()
    again: tuple[Parcel, ...] = ()

    def with_context_above(self, tokens: int | None) -> Next:
        """The same, with rows that go to models of more context than so many tokens only."""

        def moved(parcel: Parcel) -> Parcel:
            return tuple(replace(task, context_above=tokens) for task in parcel)

        return Next(keep=moved(self.keep), back=moved(self.back), again=tuple(map(moved, self.again)))


def read(judged: Judged, parcel: Parcel, codes: Sequence[str], rule: AnswerRule) -> Reply:
    """What the response says to each row; `codes` name the rows of a pack."""
    if isinstance(judged, Failure):
        return Reply(judged=judged, results=tuple(judged for _ in parcel))
    if len(parcel) == 1:
        tools = answers.tool_schemas(parcel[0].question.request.parameters)
        rule = rule if tools is None else replace(rule, tools=True, tool_schemas=tools)
        return Reply(judged=judged, results=(answers.read(judged, rule),))
    reading = packing.read(judged, codes, rule)
    nothing = reading.failure or _missing(judged)
    results = tuple(reading.results.get(code) or nothing for code in codes)
    return Reply(judged=judged, results=results, cut_off=reading.cut_off, unknown=reading.unknown)


def _missing(completion: Completion) -> Failure:
    kind = Kind.TRUNCATED if completion.finish_reason == "length" else Kind.BAD_ANSWER
    return Failure(kind=kind, message=MISSING, model=completion.model)


def outcomes(reply: Reply, parcel: Parcel, patience: Patience, *, larger_left: bool) -> tuple[Outcome, ...]:
    """One outcome per row. `larger_left`: an eligible model has more context than the one that refused."""
    return tuple(
        _outcome(result, task, final=_finishes(result, task, parcel, patience, larger_left))
        for task, result in zip(parcel, reply.results, strict=True)
    )


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


def _finishes(result: Result, task: Task, parcel: Parcel, patience: Patience, larger_left: bool) -> bool:
    """Whether a failure finishes the row for good."""
    if isinstance(result, Answer):
        return False
    match CONSEQUENCES[result.kind]:
        case Consequence.REJECT:
            return len(parcel) == 1 and not (result.kind is Kind.CONTEXT_LENGTH and larger_left)
        case Consequence.ANOTHER_ANSWER:
            wrong = 0 if task.state.status is Status.FAILED else task.state.wrong_answers
            return wrong + 1 >= patience.max_attempts
        case _:
            return False


def follow(parcel: Parcel, attempt: Attempt, reply: Reply, patience: Patience) -> Next:
    """Where the rows of a parcel go after an attempt."""
    if not attempt.counts:
        account = attempt.kind is not None and CONSEQUENCES[attempt.kind] is Consequence.ACCOUNT
        return Next(keep=parcel) if account else Next()
    moved = tuple(
        _after(task, attempt, outcome, result, patience)
        for task, outcome, result in zip(parcel, attempt.outcomes, reply.results, strict=True)
    )
    left = tuple(
        task
        for task, outcome in zip(moved, attempt.outcomes, strict=True)
        if outcome.kind is not None and not outcome.final and task.attempts < patience.max_attempts
    )
    if len(parcel) == 1:
        return Next(keep=left)
    if attempt.kind in BISECTED:
        return Next(again=halves(left))
    if attempt.kind is not None and attempt.kind is not Kind.TRUNCATED:
        return Next(keep=left)
    return Next(back=tuple(_for_company(task, len(parcel), reply.cut_off or attempt.kind is not None) for task in left))


def _after(task: Task, attempt: Attempt, outcome: Outcome, result: Result, patience: Patience) -> Task:
    complaint = None
    if isinstance(result, Failure) and len(attempt.outcomes) == 1 and result.kind is Kind.BAD_ANSWER:
        shown = task.state.wrong_answers  # the first bad answer is followed by the plain question
        if 1 <= shown <= patience.reask:
            complaint = Complaint(answer=attempt.content or "", error=result.message)
    models = task.avoid | ({attempt.model} if attempt.model else set(attempt.models))
    state = task.state.after(attempt, outcome)
    return replace(task, state=state, attempts=task.attempts + 1, complaint=complaint, avoid=frozenset(models))


def _for_company(task: Task, size: int, cut_off: bool) -> Task:
    """The task ready for another pack: half as large after a reply that was cut off, alone after two failures."""
    if task.state.pack_failures >= PACK_FAILURES_UNTIL_ALONE:
        return replace(task, at_most=1)
    return replace(task, at_most=max(1, size // 2)) if cut_off else task
