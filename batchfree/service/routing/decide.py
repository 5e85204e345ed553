"""The routing decision: what to do with some rows, from their needs and the state of the models.

`decide` is asked before a request and says what to do with the rows; `stop_after` and `context_too_small` are asked
after a response.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import msgspec
from msgspec.structs import replace

from batchfree.core.chat import Failure, Judged, Kind
from batchfree.core.stops import Stopped, StopReason
from batchfree.service.routing.draw import PATIENCE_S, Draw, Nothing, Rest, draw
from batchfree.service.routing.eligibility import is_large_enough, longest_answer
from batchfree.service.routing.health import is_available
from batchfree.service.routing.model import Model
from batchfree.service.routing.outage import outage
from batchfree.service.routing.policy import RoutingPolicy
from batchfree.service.routing.requirements import Requirements
from batchfree.service.routing.situation import Criteria, RoutedRow, Situation

TOO_LONG = "the prompt is longer than the context of every free model"
SHORT_PROMPT = 100
"""Tokens of a prompt that every model takes: if none has room for it beside `max_tokens`, `max_tokens` is at fault."""

FOR_A_PERSON = {
    Kind.KEY_REFUSED: StopReason.KEY_REFUSED,
    Kind.CREDITS_OWED: StopReason.CREDITS_OWED,
    Kind.PRIVACY_SETTING: StopReason.PRIVACY_SETTING,
}

RowT = TypeVar("RowT", bound=RoutedRow)


class Ask(msgspec.Struct, Generic[RowT], frozen=True, kw_only=True):
    """Send `rows` to the models of `draw`; the `spared` rows need another request.

    `models` are all models that may answer, as far as they are known. `native`: with a `response_format`.
    """

    draw: Draw
    rows: tuple[RowT, ...]
    spared: tuple[RowT, ...] = ()
    models: tuple[Model, ...] = ()
    native: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(Generic[RowT]):
    """Ask for `rows` again at `until`, in epoch seconds: every model that may answer them rests."""

    rows: tuple[RowT, ...]
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject(Generic[RowT]):
    """No model can ever answer `rows` together. A single row has then failed."""

    rows: tuple[RowT, ...]
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class NoVoterLeft(Generic[RowT]):
    """Every model that may be asked about `rows` has voted, is gone or rests for long.

    The `spared` rows need another decision.
    """

    rows: tuple[RowT, ...]
    spared: tuple[RowT, ...] = ()
    for_good: bool = True
    """False: a model is left, but rests for long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The rows stay pending, and the run ends for this reason; None: the run is ending already."""

    stopped: Stopped | None


Decision: TypeAlias = Ask[RowT] | Wait[RowT] | Reject[RowT] | NoVoterLeft[RowT] | Stop


def decide(rows: Sequence[RowT], criteria: Criteria, situation: Situation, policy: RoutingPolicy) -> Decision[RowT]:
    """What to do with rows that may share a request. The same arguments always give the same decision.

    The model is drawn for the first row; the request then carries the rows that this model has not met. Long, because
    the order of the cases is the rule.
    """
    eligible = situation.pool.eligible(criteria.needs, situation.today)
    voters = rows[0].voters
    models = eligible
    if eligible is not None and voters:
        models = tuple(model for model in eligible if model.id not in voters)
    if criteria.only is not None:
        models = tuple(model for model in models or () if model.id == criteria.only)
        if not models:
            return NoVoterLeft(rows=(rows[0],), spared=tuple(rows[1:]), for_good=False)
    if eligible and not models:
        return NoVoterLeft(rows=(rows[0],), spared=tuple(rows[1:]))
    drawn = draw(models, rows, criteria, situation, policy)
    if not isinstance(drawn, Draw) and (rows[0].only_new_models or criteria.only) and _is_far(drawn, situation):
        return NoVoterLeft(rows=(rows[0],), spared=tuple(rows[1:]), for_good=False)
    if isinstance(drawn, Nothing):
        return _nothing(rows, drawn, models, criteria.needs, situation, policy)
    if situation.has_failures and (stopped := outage(eligible, situation, policy)) is not None:
        return Stop(stopped=stopped)
    if isinstance(drawn, Rest):
        return Wait(rows=tuple(rows), until=drawn.until)
    return _ask(drawn, rows, models, criteria, situation)


def _ask(
    drawn: Draw, rows: Sequence[RowT], models: tuple[Model, ...] | None, criteria: Criteria, situation: Situation
) -> Ask[RowT]:
    """The request to the drawn models, with as many of the rows as it can carry."""
    known = models or ()
    asked = known if drawn.is_services else tuple([model for model in known if model.id in drawn.models])
    native = criteria.wants_schema and _native(models, asked, drawn, criteria, situation)
    if len(rows) == 1:
        return Ask(draw=drawn, rows=tuple(rows), models=asked, native=native)
    together = _unmet_by(drawn, rows, known, situation)
    carried = together[: _rows_for(together, drawn, asked, criteria)]
    left = () if len(carried) == len(rows) else tuple(row for row in rows if not any(row is each for each in carried))
    return Ask(draw=drawn, rows=carried, spared=left, models=asked, native=native)


def _is_far(drawn: Rest | Nothing, situation: Situation) -> bool:
    """Whether it is not worth waiting for a model."""
    return isinstance(drawn, Nothing) or drawn.until > situation.now + PATIENCE_S


def _unmet_by(drawn: Draw, rows: Sequence[RowT], models: Sequence[Model], situation: Situation) -> tuple[RowT, ...]:
    """The rows that may go to the drawn model: it has not met them, or they have no other model left."""
    available = {model.id for model in models if is_available(situation.health_of(model.id), situation.now)}
    primary = drawn.models[0]
    return tuple(
        row
        for row in rows
        if row is rows[0]
        or (primary not in row.voters and (primary not in row.models_met or not available - row.models_met))
    )


def _nothing(
    rows: Sequence[RowT],
    nothing: Nothing,
    models: Sequence[Model] | None,
    needs: Requirements,
    situation: Situation,
    policy: RoutingPolicy,
) -> Reject[RowT] | Stop:
    """The rows are too long for every model, or ask what no model can do."""
    if models == () and (able := situation.pool.able(needs, situation.today)):
        return _too_long(rows, needs, able, policy)
    why = nothing.reason if models else f"{nothing.reason}: {situation.pool.why_none(needs, situation.today)}"
    return Stop(stopped=Stopped(reason=StopReason.NO_MODEL, message=why))


def _too_long(
    rows: Sequence[RowT], needs: Requirements, able: Sequence[Model], policy: RoutingPolicy
) -> Reject[RowT] | Stop:
    """No model has room for prompt and answer: the rows are at fault, or the job's `max_tokens` for all rows."""
    short = replace(needs, prompt_tokens=min(needs.prompt_tokens, SHORT_PROMPT), context_above=None)
    if needs.completion_tokens is None or any(is_large_enough(model, short) for model in able):
        return Reject(rows=tuple(rows), failure=Failure(kind=Kind.CONTEXT_LENGTH, message=TOO_LONG))
    most = max((longest_answer(model, short) or 0 for model in able), default=0)
    message = f"max_tokens is {needs.completion_tokens}, but no model that may answer takes more than {most}"
    if needs.completion_tokens != policy.token_limit:
        return Reject(rows=tuple(rows), failure=Failure(kind=Kind.INVALID_REQUEST, message=message))
    return Stop(stopped=Stopped(reason=StopReason.REQUEST, message=f"request.{message}; lower it in the job"))


def _rows_for(rows: Sequence[RowT], drawn: Draw, models: Sequence[Model], criteria: Criteria) -> int:
    """The number of rows that one request carries. If the service draws, at least half of the models take that many."""
    sizes = sorted(criteria.pack_size(model.id) for model in models) or [criteria.pack_size("")]
    proved = sizes[len(sizes) // 2] if drawn.is_services else sizes[0]
    return max(1, min(criteria.rows_that_fit(rows, models), proved, len(rows)))


def _native(
    models: Sequence[Model] | None, asked: Sequence[Model], drawn: Draw, criteria: Criteria, situation: Situation
) -> bool:
    """Whether a wanted `response_format` is sent: all models asked take it, or any model if the service draws."""
    if criteria.needs_schema or models is None:
        return criteria.needs_schema
    takes = [situation.takes_schema(model) for model in asked]
    return any(takes) if drawn.is_services else all(takes)


def stop_after(judged: Judged) -> Stopped | None:
    """The reason to end the run after a response: it was charged, or only a person can resolve what it says."""
    if judged.usage.cost > 0:
        message = f"{judged.model or 'a model'} charged {judged.usage.cost:g} USD; its answer is kept, the run stops"
        return Stopped(reason=StopReason.CHARGED, message=message)
    if isinstance(judged, Failure) and judged.kind in FOR_A_PERSON:
        return Stopped(reason=FOR_A_PERSON[judged.kind], message=judged.message)
    return None
