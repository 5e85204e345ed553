"""The one decision of an attempt: what comes of these rows, these models, this moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from batchfree.core.chat import Completion, Failure, Kind, Usage
from batchfree.core.routes import FREE_ROUTER
from batchfree.core.stops import StopReason
from batchfree.service.routing import (
    STRUCTURED,
    Ask,
    Criteria,
    Draw,
    Health,
    Model,
    ModelPool,
    NoVoterLeft,
    Reject,
    Requirements,
    RoutingPolicy,
    Situation,
    Stop,
    Wait,
    context_too_small,
    decide,
    stop_after,
)

NOON = 1_791_374_400.0
LOCAL = RoutingPolicy(route=("local",))


@dataclass(frozen=True)
class Row:
    number: int
    models_met: frozenset[str] = frozenset()
    attempts: int = 0
    voters: frozenset[str] = frozenset()
    only_new_models: bool = False


def model(letter: str, **facts: Any) -> Model:
    listed = {"free": True, "context_length": 100_000, "parameters": frozenset({STRUCTURED}), **facts}
    return Model(id=f"m/{letter}:free", **listed)


POOL = tuple(model(letter) for letter in "abcdef")


def decided(
    rows: int | list[Row] = 1,
    models: tuple[Model, ...] | None = POOL,
    *,
    policy: RoutingPolicy = LOCAL,
    health: dict[str, Health] | None = None,
    barren: int = 0,
    barren_for: float = 0.0,
    **criteria: Any,
) -> Any:
    rows = [Row(number) for number in range(rows)] if isinstance(rows, int) else rows
    situation = Situation(
        pool=ModelPool(models, policy),
        now=NOON,
        health=health or {},
        barren=barren,
        barren_since=NOON - barren_for,
        last_failure="502 Bad Gateway",
    )
    wanted: dict[str, Any] = {"needs": Requirements(), "salt": "1", **criteria}
    return decide(rows, Criteria(**wanted), situation, policy)


def resting(seconds: float, letters: str = "abcdef", **facts: Any) -> dict[str, Health]:
    return {f"m/{letter}:free": Health(rests_until=NOON + seconds, **facts) for letter in letters}


@pytest.mark.parametrize(
    ("asked", "of_the_job", "prompt", "expected"),
    [
        (50_000, 50_000, 1, Stop),
        (50_000, None, 1, Kind.INVALID_REQUEST),
        (50_000, 40_000, 1, Kind.INVALID_REQUEST),
        (4_000, 4_000, 1, Ask),
        (4_000, 4_000, 9_000, Kind.CONTEXT_LENGTH),
        (9_990, 9_990, 50, Stop),
        (None, None, 20_000, Kind.CONTEXT_LENGTH),
        (50_000, 50_000, 20_000, Stop),
    ],
)
def test_max_tokens_beyond_every_model_is_the_jobs_fault_and_not_the_rows(
    asked: int | None, of_the_job: int | None, prompt: int, expected: object
) -> None:
    models = (model("a", context_length=10_000), model("b", context_length=4_000, max_completion_tokens=2_000))
    found = decided(
        models=models,
        policy=RoutingPolicy(route=("local",), token_limit=of_the_job),
        needs=Requirements(prompt_tokens=prompt, completion_tokens=asked),
    )
    if isinstance(expected, Kind):
        assert isinstance(found, Reject)
        assert found.failure.kind is expected
    else:
        assert isinstance(found, expected)  # type: ignore[arg-type]
    if isinstance(found, Stop):
        assert found.stopped is not None
        assert found.stopped.exit_code == 2
        assert "request.max_tokens" in found.stopped.message
        assert " 99" in found.stopped.message  # the largest value beside the prompt


def test_the_same_situation_gives_the_same_decision_and_another_salt_another_draw() -> None:
    assert decided() == decided()
    assert len({decided(salt=str(n)).draw.models for n in range(20)}) > 5


@pytest.mark.parametrize(
    ("situation", "reason"),
    [
        ({"health": resting(301)}, StopReason.POOL_DOWN),
        ({"barren": 40}, StopReason.POOL_DOWN),
        ({"needs": Requirements(inputs=frozenset({"image"}))}, StopReason.NO_MODEL),
        ({"models": ()}, StopReason.NO_MODEL),
        ({"health": resting(0, refused=frozenset({"seed"})), "needs": Requirements(parameters=frozenset({"seed"}))},
         StopReason.NO_MODEL),
    ],
    ids=["all rest for long", "no answer for long", "no ability", "empty catalogue", "refused by all"],
)  # fmt: skip
def test_a_run_stops_where_no_model_can_answer(situation: dict[str, Any], reason: StopReason) -> None:
    if "needs" in situation and situation["needs"].parameters:
        models = tuple(model(letter, parameters=frozenset({"seed"})) for letter in "abcdef")
        situation = {**situation, "models": models}
    stop = decided(**situation)
    assert isinstance(stop, Stop)
    assert stop.stopped is not None
    assert stop.stopped.reason is reason


@pytest.mark.parametrize(
    "situation", [{"health": resting(301, "abcde")}, {"barren": 39}, {"models": None, "policy": RoutingPolicy()}]
)
def test_a_run_goes_on_while_one_model_may_answer(situation: dict[str, Any]) -> None:
    assert isinstance(decided(**situation), Ask)


OWN = RoutingPolicy(route=("llama3",), own_endpoint=True)


@pytest.mark.parametrize(("barren", "barren_for", "stops"), [(400, 59, False), (4, 600, False), (5, 60, True)])
def test_the_only_model_of_an_own_endpoint_is_given_up_after_a_minute_of_failures(
    barren: int, barren_for: float, stops: bool
) -> None:
    decision = decided(models=(), policy=OWN, barren=barren, barren_for=barren_for)
    assert isinstance(decision, Stop if stops else Ask)
    if stops:
        assert decision.stopped.reason is StopReason.SERVICE_DOWN
        assert decision.stopped.message.startswith("502 Bad Gateway; 5 requests in a row")


def test_the_reasons_why_no_model_can_answer_are_counted() -> None:
    stop = decided(needs=Requirements(inputs=frozenset({"image"})))
    assert "6 × it takes no image input" in stop.stopped.message


def test_named_models_that_are_gone_stop_the_run() -> None:
    policy = RoutingPolicy(route=("m/a:free", "m/b:free"))
    stop = decided(policy=policy, health=resting(9000, "ab", gone=True))
    assert stop.stopped.reason is StopReason.NO_MODEL
    assert "router.route" in stop.stopped.message
    assert isinstance(decided(policy=policy, health=resting(9000, "a", gone=True)), Ask)


def test_rows_wait_while_every_model_rests_for_a_short_time() -> None:
    rows = [Row(0), Row(1)]
    assert decided(rows, health=resting(30)) == Wait(rows=tuple(rows), until=NOON + 30)


def test_rows_that_are_too_long_for_every_model_are_rejected_and_not_the_models_fault() -> None:
    decision = decided(needs=Requirements(prompt_tokens=200_000))
    assert isinstance(decision, Reject)
    assert decision.failure.kind is Kind.CONTEXT_LENGTH
    both = Requirements(prompt_tokens=200_000, inputs=frozenset({"image"}))
    assert isinstance(decided(needs=both), Stop)


def met(*letters: str) -> frozenset[str]:
    return frozenset(f"m/{letter}:free" for letter in letters)


def test_a_request_carries_the_rows_that_its_model_has_not_met() -> None:
    rows = [Row(number, met(letter), 1) for number, letter in enumerate("abca")]
    for salt in range(30):
        decision = decided(rows, POOL[:3], pack_size=lambda model_id: 9, salt=str(salt))
        (drawn,) = decision.draw.models
        assert drawn != "m/a:free"
        assert decision.rows[0] is rows[0]
        assert all(drawn not in row.models_met for row in decision.rows)
        assert all(drawn in row.models_met for row in decision.spared)


def test_rows_that_have_met_every_model_may_meet_one_again_but_never_a_voter() -> None:
    rows = [Row(0, met("a", "b"), 1, met("a"))]
    assert {decided(rows, POOL[:2], salt=str(n)).draw.models for n in range(20)} == {("m/b:free",)}


def test_a_row_on_which_every_model_has_voted_is_asked_no_more() -> None:
    rows = [Row(0, met("a", "b"), 1, met("a", "b")), Row(1)]
    assert decided(rows, POOL[:2]) == NoVoterLeft(rows=(rows[0],), spared=(rows[1],))


@pytest.mark.parametrize(
    ("criteria", "rows"),
    [
        ({"pack_size": lambda model_id: 1}, 1),
        ({"pack_size": lambda model_id: 4}, 4),
        ({"pack_size": lambda model_id: 99}, 9),
        ({"pack_size": lambda model_id: 99, "rows_that_fit": lambda rows, models: 3}, 3),
        ({"pack_size": lambda model_id: 99, "rows_that_fit": lambda rows, models: 0}, 1),
    ],
)
def test_a_request_carries_what_the_models_are_given_and_what_fits(criteria: dict[str, Any], rows: int) -> None:
    decision = decided(9, **criteria)
    assert (len(decision.rows), len(decision.spared)) == (rows, 9 - rows)
    assert [row.number for row in (*decision.rows, *decision.spared)] == list(range(9))


def test_of_the_services_draw_half_of_the_models_take_the_rows() -> None:
    sizes = {f"m/{letter}:free": size for letter, size in zip("abcdef", (1, 2, 3, 5, 8, 9), strict=True)}
    decision = decided(9, policy=RoutingPolicy(), pack_size=sizes.__getitem__)
    assert decision.draw.models == (FREE_ROUTER,)
    assert len(decision.rows) == 5


@pytest.mark.parametrize(
    ("models", "criteria", "native"),
    [
        (POOL, {"wants_schema": True}, True),
        (POOL, {"wants_schema": False}, False),
        (None, {"wants_schema": True}, False),
        ((model("a", parameters=frozenset()),), {"wants_schema": True}, False),
        (POOL, {"wants_schema": True, "needs": Requirements(parameters=frozenset({STRUCTURED}))}, True),
    ],
    ids=["all list it", "not wanted", "no catalogue", "not listed", "schema only"],
)
def test_a_schema_goes_along_where_the_models_take_it(
    models: tuple[Model, ...] | None, criteria: dict[str, Any], native: bool
) -> None:
    policy = RoutingPolicy() if models is None else LOCAL
    assert decided(models=models, policy=policy, **criteria).native is native


def test_a_model_that_refused_a_schema_is_asked_in_words() -> None:
    health = {"m/a:free": Health(refused=frozenset({"response_format"}))}
    assert decided(models=POOL[:1], health=health, wants_schema=True).native is False


@pytest.mark.parametrize(
    ("judged", "reason"),
    [
        (Completion(model="m", content="x", usage=Usage(cost=0.01)), StopReason.CHARGED),
        (Failure(kind=Kind.KEY_REFUSED, message="no"), StopReason.KEY_REFUSED),
        (Failure(kind=Kind.CREDITS_OWED, message="no"), StopReason.CREDITS_OWED),
        (Failure(kind=Kind.PRIVACY_SETTING, message="no"), StopReason.PRIVACY_SETTING),
        (Failure(kind=Kind.UPSTREAM_ERROR, message="no"), None),
        (Completion(model="m", content="x"), None),
    ],
)
def test_what_only_a_person_can_resolve_stops_the_run(judged: Any, reason: StopReason | None) -> None:
    stopped = stop_after(judged)
    assert (stopped and stopped.reason) == reason


@pytest.mark.parametrize(
    ("refusing", "left", "tokens"), [("m/small:free", True, 1000), ("m/large:free", False, 9000), (None, True, None)]
)
def test_a_row_that_is_too_long_for_one_model_goes_to_a_larger_one(
    refusing: str | None, left: bool, tokens: int | None
) -> None:
    models = (model("small", context_length=1000), model("large", context_length=9000))
    situation = Situation(pool=ModelPool(models, LOCAL), now=NOON)
    failure = Failure(kind=Kind.CONTEXT_LENGTH, message="too long", model=refusing)
    draw = Draw(route="local", models=("m/small:free", "m/large:free"))
    found = context_too_small(failure, draw, Requirements(prompt_tokens=5000), situation)
    assert (found.larger_left, found.tokens) == (left, tokens)
