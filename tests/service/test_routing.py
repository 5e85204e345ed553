"""The free router: who may answer, who is drawn, and what failures teach.

Long because most of it is tables.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from batchfree.core.chat import ChatRequest, Completion, Failure, Kind
from batchfree.core.routes import FREE_ROUTER, is_free_id
from batchfree.service.openrouter import wire
from batchfree.service.openrouter.wire import read_catalogue
from batchfree.service.routing import (
    Criteria,
    Draw,
    Health,
    Model,
    ModelPool,
    Nothing,
    PilotRating,
    Requirements,
    Rest,
    RoutingPolicy,
    Situation,
    analyze,
    claim,
    is_safety_classifier,
    learn,
    refusal,
    release,
)
from batchfree.service.routing.draw import choose
from batchfree.service.routing.draw import draw as draw_for_route
from batchfree.service.routing.eligibility import (
    beyond,
    eligible,
    is_large_enough,
    larger,
    why_none,
    without_lengths,
)
from batchfree.service.routing.health import after, is_available, weight

TODAY = date(2026, 10, 7)
NOON = datetime(2026, 10, 7, 12, tzinfo=UTC).timestamp()
ALL = frozenset(
    {"temperature", "max_tokens", "tools", "tool_choice", "response_format", "structured_outputs", "reasoning"}
)


def model(name: str = "a/b:free", **changes: Any) -> Model:
    facts = {"free": True, "context_length": 100_000, "max_completion_tokens": 8000, "parameters": ALL, **changes}
    return Model(id=name, **facts)


def request(content: Any = "Hi", **parameters: Any) -> ChatRequest:
    return ChatRequest(messages=({"role": "user", "content": content},), parameters=parameters)


def failed(kind: Kind = Kind.UPSTREAM_ERROR, **facts: Any) -> Failure:
    return Failure(kind=kind, message="x", **facts)


POOL = tuple(model(f"m/{letter}:free") for letter in "abcdefghij")


# What a request needs


@pytest.mark.parametrize(
    ("parameters", "needed"),
    [
        ({}, set()),
        ({"temperature": 0, "seed": 7, "top_p": None}, {"temperature", "seed"}),
        ({"max_completion_tokens": 9}, {"max_tokens"}),
        ({"max_tokens": 9}, {"max_tokens"}),
        ({"response_format": {"type": "text"}}, set()),
        ({"response_format": {"type": "json_object"}}, {"response_format"}),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, {"structured_outputs"}),
        ({"tools": [{"type": "function"}]}, {"tools"}),
        ({"tools": [{"type": "function"}], "tool_choice": "auto"}, {"tools"}),
        ({"tools": [{"type": "function"}], "tool_choice": "required"}, {"tools", "tool_choice"}),
        ({"tools": [], "tool_choice": "required"}, set()),
        ({"reasoning": {"effort": "high"}}, {"reasoning"}),
        ({"reasoning_effort": "low"}, {"reasoning"}),
        ({"reasoning": {"enabled": False}}, set()),
        ({"reasoning": {"exclude": True}}, set()),
        ({"reasoning_effort": "none"}, set()),
        (
            {"logprobs": True, "top_logprobs": 3, "logit_bias": {"1": 2}, "stop": ["x"]},
            {"logprobs", "top_logprobs", "logit_bias", "stop"},
        ),
        ({"user": "me", "provider": {"sort": "price"}, "unheard_of": 1}, set()),
    ],
)
def test_parameters_say_what_a_model_must_list(parameters: dict[str, Any], needed: set[str]) -> None:
    assert analyze(request(**parameters)).parameters == needed


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}, "image"),
        ({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}, "audio"),
        ({"type": "video_url", "video_url": {"url": "https://x"}}, "video"),
        ({"type": "file", "file": {"filename": "a.pdf"}}, "file"),
    ],
)
def test_parts_say_what_a_model_must_read(part: dict[str, Any], kind: str) -> None:
    needs = analyze(request([{"type": "text", "text": "What is it?"}, part]))
    assert needs.inputs == {kind}
    assert needs.prompt_tokens < 1100


def test_lengths_are_prompt_and_answer() -> None:
    needs = analyze(request("word " * 4000, max_tokens=500, max_completion_tokens=700))
    assert needs.prompt_tokens == 5000
    assert needs.context == 5700


@given(st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_no_content_is_too_odd_to_analyze(content: Any) -> None:
    analyze(request(content, tools=content, reasoning=content, response_format=content, tool_choice="x"))


# Who may answer

REASONS = [
    ("fits", model(), {}, {}, None),
    ("paid id", model("a/b"), {}, {}, "does not end in :free"),
    ("priced", model(free=False), {}, {}, "price that is not zero"),
    ("classifier", model("nvidia/nemotron-3.5-content-safety:free"), {}, {}, "safety classifier"),
    ("classifier by name", model("x/y:free"), {}, {"route": ("x/z:free",)}, "does not name it"),
    ("for agents", model("thinkingmachines/inkling-small:free"), {}, {}, "reserved for coding agents"),
    ("agents by name", model("thinkingmachines/inkling:free"), {}, {"route": ("thinkingmachines/inkling:free",)}, None),
    ("music", model(output_modalities=frozenset({"text", "audio"})), {}, {}, "not a chat model"),
    ("listens only", model(input_modalities=frozenset({"audio"})), {}, {}, "not a chat model"),
    ("embeddings", model("x/qwen-embedding-8b:free"), {}, {}, "not a chat model"),
    ("expires today", model(expires=TODAY), {}, {}, "expired on 2026-10-07"),
    ("expires tomorrow", model(expires=date(2026, 10, 8)), {}, {}, None),
    ("blind", model(), {"content": [{"type": "image_url"}]}, {}, "no image input"),
    ("a file is parsed for it", model(), {"content": [{"type": "file"}]}, {}, None),
    ("no seed", model(), {"seed": 1}, {}, "does not support seed"),
    ("budget by its other name", model(parameters=frozenset({"max_completion_tokens"})), {"max_tokens": 5}, {}, None),
    ("no budget", model(parameters=frozenset()), {"max_tokens": 5}, {}, "does not support max_tokens"),
    ("must think", model(reasoning_mandatory=True), {"reasoning_effort": "none"}, {}, "cannot be switched off"),
    ("too small", model(context_length=10), {"content": "x" * 400}, {}, "context of 10 tokens is too small"),
    ("unknown size", model(context_length=None, max_completion_tokens=None), {"content": "x" * 400}, {}, None),
    ("writes little", model(), {"max_tokens": 9000}, {}, "writes at most 8000"),
    ("only others", model(), {}, {"only": ("google/*",)}, "router.only"),
    ("only such", model("Google/gemma:free"), {}, {"only": ("x/*", "google/GEMMA")}, None),
    ("excluded", model(), {}, {"exclude": ("A/*",)}, "router.exclude names it (A/*)"),
    ("below the least context", model(), {}, {"min_context": 200_000}, "below router.min_context"),
    ("paid on one's own", model("qwen3", free=False), {}, {"route": ("qwen3",), "own_endpoint": True}, None),
]


@pytest.mark.parametrize(
    ("one", "asked", "policy", "reason"), [row[1:] for row in REASONS], ids=[r[0] for r in REASONS]
)
def test_every_refusal_has_its_reason(
    one: Model, asked: dict[str, Any], policy: dict[str, Any], reason: str | None
) -> None:
    told = refusal(one, analyze(request(**asked)), RoutingPolicy(**policy), TODAY)
    assert (told is None) == (reason is None), told
    assert (reason or "") in (told or "")


@pytest.mark.parametrize(
    "name",
    [
        "nvidia/nemotron-3.5-content-safety:free",
        "meta-llama/llama-guard-4-12b",
        "google/shieldgemma-9b:free",
        "openai/gpt-oss-safeguard-20b:free",
        "ibm/granite-guardian-3:free",
        "Qwen/Qwen3Guard-Gen-8B",
        "emulated/content-safety-4b:free",
        "x/omni-moderation:free",
    ],
)
def test_a_safety_classifier_is_known_by_its_id(name: str) -> None:
    assert is_safety_classifier(name)
    assert refusal(model(name), Requirements(), RoutingPolicy(route=(name,), own_endpoint=True), TODAY) is not None


@pytest.mark.parametrize("name", ["google/gemma-4-31b-it:free", "x/vanguard-7b:free", "z-ai/glm-5.2:free"])
def test_a_chat_model_is_no_safety_classifier(name: str) -> None:
    assert not is_safety_classifier(name)


def test_a_model_with_more_context_is_looked_for_after_one_was_too_small() -> None:
    small, large = model("m/s:free", context_length=8000), model("m/l:free", context_length=9000)
    needs = beyond(Requirements(), small, [small, large])
    assert eligible([small, large], needs, RoutingPolicy(), TODAY) == (large,)
    assert eligible([small, large], beyond(needs, large, [small, large]), RoutingPolicy(), TODAY) == ()
    assert larger([small, large], small) == (large,)
    assert larger([small, large], None) == (large,), "not named: the smallest has spoken"


def test_a_context_that_is_not_known_is_not_larger() -> None:
    small, unknown = model("m/s:free", context_length=8000), model("m/u:free", context_length=None)
    assert larger([unknown], unknown) == ()
    assert larger([unknown], None) == ()
    assert larger([small, unknown], unknown) == ()
    assert larger([small, unknown], small) == ()
    assert eligible([small, unknown], Requirements(context_above=8000), RoutingPolicy(), TODAY) == ()


def test_a_request_that_is_only_too_long_is_told_from_one_that_nobody_can_answer() -> None:
    long = analyze(request("x" * 4_000_000))
    assert eligible(POOL, long, RoutingPolicy(), TODAY) == ()
    assert eligible(POOL, without_lengths(long), RoutingPolicy(), TODAY) == tuple(POOL)
    assert not any(is_large_enough(each, long) for each in POOL)
    assert eligible(POOL, without_lengths(analyze(request("x" * 4_000_000, seed=1))), RoutingPolicy(), TODAY) == ()


def test_where_no_model_is_eligible_the_reasons_are_counted() -> None:
    told = why_none((*POOL, model("a/paid")), analyze(request(seed=1)), RoutingPolicy(route=("x/gone:free",)), TODAY)
    assert "10 × the route does not name it" in told
    assert "1 × x/gone:free is not in the catalogue" in told


def test_an_endpoint_of_ones_own_is_trusted_with_what_it_does_not_list() -> None:
    own = RoutingPolicy(route=("llama3", "qwen"), own_endpoint=True)
    needs = analyze(request([{"type": "image_url"}], seed=1, tools=[{"type": "function"}]))
    assert [m.id for m in eligible([Model(id="llama3", context_length=9000)], needs, own, TODAY)] == ["llama3", "qwen"]


# Free stays free

ZERO = {"prompt": "0", "completion": "0"}
TRAPS = [
    ("priced at zero, no suffix", "google/lyria-3-clip-preview", ZERO),
    ("a price behind the suffix", "a/b:free", {"prompt": "0", "completion": "0.000001"}),
    ("a price per request", "x:free", {**ZERO, "request": "0.1"}),
    ("a price per image", "x/y:free", {**ZERO, "image": 0.01}),
    ("another case", "Foo:FREE", ZERO),
    ("blanks", " a/b:free", ZERO),
    ("a blank at the end", "a/b:free ", ZERO),
    ("a line break", "a/b:free\n", ZERO),
    ("two ids", "a/b:free,openai/gpt-5", ZERO),
    ("two ids, free last", "openai/gpt-5,a/b:free", ZERO),
    ("a paid helper", "a/b:online:free", ZERO),
    ("free of thinking", "a/b:free:thinking", ZERO),
    ("an alias", "~google/gemma-latest:free", ZERO),
    ("a preset", "a/b@preset/mine:free", ZERO),
    ("letters that look alike", "a/b:frее", ZERO),
    ("no name", ":free", ZERO),
    ("variable", "a/b:free", {"prompt": "-1", "completion": "-1"}),
    ("no number", "a/b:free", {"prompt": "NaN", "completion": "0"}),
    ("NaN", "a/b:free", {"prompt": float("nan"), "completion": 0}),
    ("infinite", "a/b:free", {**ZERO, "request": float("inf")}),
    ("too large to read", "a/b:free", {**ZERO, "request": 10**400}),
    ("a truth", "a/b:free", {"prompt": False, "completion": "0"}),
    ("nothing", "a/b:free", {"prompt": None, "completion": None}),
    ("an empty text", "a/b:free", {"prompt": "", "completion": ""}),
    ("half a list", "a/b:free", {"prompt": "0"}),
    ("no list", "a/b:free", None),
    ("a list of another kind", "a/b:free", ["0", "0"]),
    ("dearer when long", "a/b:free", {**ZERO, "overrides": [{"min_prompt_tokens": 9, "prompt": "0.1"}]}),
    ("nested", "a/b:free", {**ZERO, "extra": {"prompt": "0"}}),
    ("a new price", "a/b:free", {**ZERO, "per_smile": "1"}),
]


def entry(name: Any, pricing: Any, **more: Any) -> dict[str, Any]:
    return {"id": name, "pricing": pricing, "context_length": 9000, "supported_parameters": ["tools"], **more}


@pytest.mark.parametrize(("name", "pricing"), [trap[1:] for trap in TRAPS], ids=[trap[0] for trap in TRAPS])
@pytest.mark.parametrize(
    "policy", [RoutingPolicy(), RoutingPolicy(only=("*", "a/*", "*:free")), RoutingPolicy(route=("a/b:free", "x:free"))]
)
def test_no_catalogue_brings_in_a_model_that_costs_anything(name: str, pricing: Any, policy: RoutingPolicy) -> None:
    models = read_catalogue(json.dumps({"data": [entry(name, pricing)]}))
    assert eligible(models, Requirements(), policy, TODAY) == ()


def test_of_an_id_told_twice_the_dearer_stands() -> None:
    entries = [entry("a/b:free", ZERO), entry("a/b:free", {"prompt": "1", "completion": "1"}), entry("a/b:free", ZERO)]
    assert eligible(read_catalogue(json.dumps(entries)), Requirements(), RoutingPolicy(), TODAY) == ()


@pytest.mark.parametrize("name", [trap[1] for trap in TRAPS if trap[1] not in ("a/b:free", "x:free", "x/y:free")])
@pytest.mark.parametrize("beside", [(), ("a/b:free",)])
def test_no_body_is_written_for_a_model_that_may_cost_anything(name: str, beside: tuple[str, ...]) -> None:
    assert not is_free_id(name)
    with pytest.raises(ValueError, match="not a free model"):
        wire.body(request(), (*beside, name))


def test_parameters_cannot_lead_away_from_free_models_or_to_paid_helpers() -> None:
    nasty = request(
        [{"type": "text", "text": "Sum up"}, {"type": "file", "file": {"filename": "a.pdf"}}],
        model="openai/gpt-5",
        models=["openai/gpt-5"],
        route="fallback",
        preset="mine",
        stream=True,
        web_search_options={},
        plugins=[
            {"id": "web"},
            {"id": "file-parser", "pdf": {"engine": "mistral-ocr"}},
            {"id": "auto-router", "allowed_models": ["*"]},
            {"id": "response-healing"},
            "web",
        ],
        tools=[{"type": "openrouter:web_search"}, {"type": "function", "function": {"name": "f"}}],
        temperature=0,
    )
    body = wire.body(nasty, ("a/b:free", "c/d:free"))
    assert body == {
        "model": "a/b:free",
        "models": ["a/b:free", "c/d:free"],
        "messages": list(nasty.messages),
        "temperature": 0,
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "plugins": [{"id": "response-healing"}, {"id": "file-parser", "pdf": {"engine": "cloudflare-ai"}}],
    }


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}},
        {"type": "input_file"},
        {"type": "image_url", "image_url": {"url": "data:application/pdf;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/A.PDF"}},
    ],
)
def test_whatever_may_be_a_file_switches_on_the_free_parser(part: dict[str, Any]) -> None:
    assert wire.body(request([part]), (FREE_ROUTER,))["plugins"] == [wire.FREE_PARSER]


def test_only_server_tools_leave_no_tools() -> None:
    body = wire.body(request(tools=[{"type": "web_search"}], tool_choice="required"), ("a/b:free",))
    assert body.keys() == {"model", "messages"}


def test_ones_own_endpoint_gets_what_was_asked_for() -> None:
    body = wire.body(request(plugins=[{"id": "x"}], stream=True), ("llama3",), any_model=True)
    assert body == {"model": "llama3", "messages": [{"role": "user", "content": "Hi"}], "plugins": [{"id": "x"}]}


def test_at_most_three_models_travel() -> None:
    with pytest.raises(ValueError, match="4 models"):
        wire.body(request(), ("a:free", "b:free", "c:free", "d:free"))


# Who is drawn


@dataclass(frozen=True)
class Row:
    models_met: frozenset[str] = frozenset()
    voters: frozenset[str] = frozenset()
    only_new_models: bool = False
    attempts: int = 0


def draw(models: Any = POOL, **changes: Any) -> Draw | Rest | Nothing:
    salt = str(changes.pop("rng", random.Random(1)).getrandbits(64))
    pool = ModelPool(models, changes.pop("policy", RoutingPolicy()))
    situation = Situation(pool=pool, now=changes.pop("now", NOON), health=changes.pop("health", {}))
    rows = [Row(frozenset(changes.pop("tried", ())))] * changes.pop("rows", 1)
    fallbacks = changes.pop("fallbacks", 0)
    criteria = Criteria(needs=Requirements(), salt=salt, **changes)
    return choose(models, rows, criteria, situation, fallbacks=fallbacks)


def chi_square(counts: Counter[str], cells: int) -> float:
    mean = counts.total() / cells
    return sum((counts[each.id] - mean) ** 2 / mean for each in POOL[:cells])


def test_eligible_healthy_models_are_drawn_uniformly() -> None:
    rng = random.Random(20261007)
    draws = [draw(rng=rng, fallbacks=2) for _ in range(10_000)]
    assert all(isinstance(each, Draw) and len(set(each.models)) == 3 for each in draws)
    for place in range(3):
        counts = Counter(each.models[place] for each in draws if isinstance(each, Draw))
        assert chi_square(counts, 10) < 27.88, "9 degrees of freedom: 27.88 is exceeded once in a thousand"


def test_the_same_seed_draws_the_same_however_the_catalogue_is_sorted() -> None:
    first = [draw(rng=random.Random(n), fallbacks=2) for n in range(50)]
    assert first == [draw(POOL[::-1], rng=random.Random(n), fallbacks=2) for n in range(50)]


HEALTHS = st.builds(
    Health,
    strikes=st.integers(0, 5),
    failing=st.floats(0, 1),
    failed_at=st.floats(NOON - 3600, NOON),
    rests_until=st.sampled_from([0.0, NOON - 1, NOON + 1, NOON + 59, NOON + 1000]),
    trial_until=st.sampled_from([0.0, NOON + 100]),
)


@settings(max_examples=300)
@given(
    size=st.integers(0, 10),
    tried=st.sets(st.sampled_from([each.id for each in POOL])),
    healths=st.lists(HEALTHS, min_size=10, max_size=10),
    healthy=st.booleans(),
    seed=st.integers(),
)
def test_no_model_is_tried_twice_while_another_is_left(
    size: int, tried: set[str], healths: list[Health], healthy: bool, seed: int
) -> None:
    models = POOL[:size]
    health = {} if healthy else {each.id: one for each, one in zip(POOL, healths, strict=True)}
    drawn = draw(models, tried=tried, health=health, rng=random.Random(seed), fallbacks=2)
    known = {each.id: health.get(each.id, Health()) for each in models}
    ready = {each for each, one in known.items() if is_available(one, NOON)}
    if not models:
        assert isinstance(drawn, Nothing)
    elif ready - tried:
        assert isinstance(drawn, Draw)
        assert set(drawn.models) <= ready - tried
        assert len(set(drawn.models)) == len(drawn.models) <= 3
    elif not ready:
        assert isinstance(drawn, Rest)
        assert drawn.until > NOON
    elif any(known[each].rests_until <= NOON + 60 for each in known.keys() - tried):
        assert isinstance(drawn, Rest)
        assert NOON < drawn.until <= NOON + 60
    else:
        assert isinstance(drawn, Draw)
        assert set(drawn.models) <= (known.keys() - tried or ready)


def test_before_a_row_goes_back_to_a_model_it_has_tried_a_resting_one_is_tried_early() -> None:
    resting, gone = Health(strikes=3, rests_until=NOON + 1000), Health(strikes=1, rests_until=NOON + 9 * 3600)
    health = {"m/b:free": resting, "m/c:free": gone}
    assert draw(POOL[:3], tried=["m/a:free"], health=health) == Draw(route="local", models=("m/b:free",), of=3)
    assert draw(POOL[:3], tried=["m/a:free"], health=health, now=NOON + 950) == Rest(until=NOON + 1000)
    assert draw(POOL[:3], tried=["m/a:free", "m/b:free"], health=health).models == ("m/a:free",)
    assert draw(POOL[1:3], health=health) == Rest(until=NOON + 1000), "in an outage everybody waits"


def test_when_all_were_tried_the_draw_is_among_all_again() -> None:
    drawn = {draw(tried=[m.id for m in POOL], rng=random.Random(n)).models[0] for n in range(200)}
    assert drawn == {each.id for each in POOL}


def test_models_that_have_lately_failed_are_drawn_less() -> None:
    rng = random.Random(3)
    shaky = Health(failing=0.5, failed_at=NOON)
    counts = Counter(draw(rng=rng, health={POOL[0].id: shaky}).models[0] for _ in range(10_000))
    assert 0.15 < counts[POOL[0].id] / (counts.total() - counts[POOL[0].id]) * 9 < 0.35
    assert weight(shaky, NOON) == 0.25
    assert weight(shaky, NOON + 3600) == 1.0, "what is long past is forgotten"


def test_siblings_are_asked_in_the_same_words_and_are_healthy() -> None:
    struck = {POOL[0].id: Health(strikes=1)}

    pool = [replace(each, parameters=ALL if each.id < "m/e" else frozenset()) for each in POOL]
    for n in range(100):
        drawn = draw(pool, rng=random.Random(n), fallbacks=2, wants_schema=True, health=struck)
        assert len({name < "m/e" for name in drawn.models}) == 1
        assert POOL[0].id not in drawn.models[1:]


def test_models_from_which_a_request_brings_less_are_drawn_less() -> None:
    rng = random.Random(4)
    few = {POOL[0].id: 1}
    draws = (draw(rng=rng, rows=10, pack_size=lambda model_id: few.get(model_id, 10)) for _ in range(10_000))
    counts = Counter(drawn.models[0] for drawn in draws)
    assert 80 < counts[POOL[0].id] < 140


def test_after_a_pilot_better_models_are_drawn_more_and_doubtful_ones_still_now_and_then() -> None:
    def counted(better: PilotRating, **changes: Any) -> Counter[str]:
        worse = {each.id: PilotRating(right=20, wrong=20) for each in POOL}
        policy = RoutingPolicy(kept={**worse, POOL[0].id: better})
        rng = random.Random(4)
        return Counter(draw(rng=rng, policy=policy, **changes).models[0] for _ in range(2_000))

    equal = counted(PilotRating(right=20, wrong=20))
    assert all(abs(number - 2_000 / len(POOL)) < 150 for number in equal.values())
    better = PilotRating(right=24, wrong=16)
    drawn = counted(better)
    assert 2 * 2_000 / len(POOL) < drawn[POOL[0].id] < 1_900
    assert min(drawn.values()) > 0
    shaky = after(Health(), failed(), NOON - 40)
    assert counted(better, health={POOL[0].id: shaky})[POOL[0].id] < drawn[POOL[0].id] / 2


def test_only_free_models_get_siblings() -> None:
    assert draw([Model(id="llama3"), Model(id="qwen")], fallbacks=2).models[1:] == ()


# Routes


ANY_MODEL = RoutingPolicy()
NO_NEEDS = Requirements()


def planned(
    route: tuple[str, ...] = (FREE_ROUTER,),
    models: Any = POOL,
    *,
    policy: RoutingPolicy = ANY_MODEL,
    requirements: Requirements = NO_NEEDS,
    fallbacks: int = 2,
    health: dict[str, Health] | None = None,
    now: float = NOON,
    rng: random.Random | None = None,
    tried: Any = (),
    first: bool = True,
) -> Draw | Rest | Nothing:
    policy = dataclasses.replace(policy, route=route, fallbacks=fallbacks)
    criteria = Criteria(needs=requirements, salt=str((rng or random.Random(1)).getrandbits(64)))
    situation = Situation(pool=ModelPool(models, policy), now=now, health=health or {})
    return draw_for_route(models, [Row(frozenset(tried), attempts=int(not first))], criteria, situation, policy)


def test_the_service_draws_first_and_retries_are_drawn_here() -> None:
    assert planned() == Draw(route="openrouter/free", models=("openrouter/free",))
    again = planned(first=False, tried=["m/a:free"])
    assert again.route == "local"
    assert len(again.models) == 3
    assert "m/a:free" not in again.models


@pytest.mark.parametrize(
    "changes",
    [
        {"tried": ["m/a:free"]},
        {"policy": RoutingPolicy(only=("m/*",))},
        {"policy": RoutingPolicy(exclude=("x/*",))},
        {"policy": RoutingPolicy(min_context=1)},
        {"requirements": Requirements(prompt_tokens=40_000)},
        {"health": {FREE_ROUTER: Health(strikes=1, rests_until=NOON + 60)}},
    ],
    ids=["tried before", "only", "exclude", "min_context", "long prompt", "router down"],
)
def test_a_first_attempt_is_drawn_here_where_the_service_would_not_know_better(changes: dict[str, Any]) -> None:
    assert planned(**changes).route == "local"


def test_without_a_catalogue_the_service_draws_retries_too() -> None:
    assert planned(models=None, first=False, tried=["m/a:free"]).models == (FREE_ROUTER,)
    resting = {FREE_ROUTER: Health(rests_until=NOON + 60)}
    assert planned(models=None, health=resting) == Rest(until=NOON + 60)
    assert isinstance(planned(("local",), models=None), Nothing)


def test_a_concrete_id_is_all_that_is_asked() -> None:
    drawn = planned(("m/a:free",), models=POOL[:1])
    assert drawn == Draw(route="m/a:free", models=("m/a:free",), of=1)
    assert planned(("m/a:free",), models=None) == drawn


def test_a_list_of_ids_is_drawn_from_and_never_left() -> None:
    drawn = planned(("m/a:free", "m/b:free"), models=POOL[:2])
    assert drawn.route == drawn.models[0]
    assert set(drawn.models) == {"m/a:free", "m/b:free"}


def test_nobody_eligible_is_nothing_and_says_so() -> None:
    assert isinstance(planned(models=()), Nothing)
    refused = {each.id: Health(refused=frozenset({"tools"})) for each in POOL}
    drawn = planned(("local",), health=refused, requirements=Requirements(parameters=frozenset({"tools"})))
    assert isinstance(drawn, Nothing)
    assert "refused" in drawn.reason


def test_a_model_that_refused_a_parameter_is_left_out_only_where_it_is_needed() -> None:
    health = {each.id: Health(refused=frozenset({"seed"})) for each in POOL[1:]}
    needs = Requirements(parameters=frozenset({"seed"}))
    assert planned(("local",), health=health, requirements=needs).models == (POOL[0].id,)
    assert len(planned(("local",), health=health).models) == 3


# Health


def fail_again_and_again(times: int, **facts: Any) -> list[float]:
    """The rests that a model earns when every trial after a rest fails."""
    health, now, rests = Health(), NOON, []
    for _ in range(times):
        health = after(health, failed(**facts), now)
        rests.append(health.rests_until - now)
        now = health.rests_until
    return rests


def test_rests_triple_up_to_half_an_hour() -> None:
    assert fail_again_and_again(6) == [20, 60, 180, 540, 1620, 1800]


def test_a_hint_is_obeyed_up_to_a_quarter_of_an_hour() -> None:
    assert fail_again_and_again(2, retry_after=120.0) == [120, 120]
    assert fail_again_and_again(1, retry_after=1e9) == [900]
    assert fail_again_and_again(1, resets_at=NOON + 77) == [77]


def test_failures_of_one_burst_are_one_strike() -> None:
    health = Health()
    for second in range(8):
        health = after(health, failed(), NOON + second)
    assert (health.strikes, health.rests_until) == (1, NOON + 20)


def test_what_is_gone_rests_for_the_rest_of_the_day() -> None:
    assert fail_again_and_again(1, permanent=True) == [12 * 3600]
    before_midnight = NOON + 12 * 3600 - 5
    assert after(Health(), failed(permanent=True), before_midnight).rests_until == before_midnight + 3600


VERDICT = failed(Kind.NOT_CHAT)


@pytest.mark.parametrize(
    ("verdicts", "rest"),
    [
        ([(VERDICT, "q1")], 20),
        ([(VERDICT, "q1"), (VERDICT, "q1")], 20),
        ([(VERDICT, "q1"), (VERDICT, "q2")], 12 * 3600),
        ([(VERDICT, "q1"), (failed(), "q2"), (VERDICT, "q2")], 12 * 3600),
        ([(VERDICT, "q1"), (None, "q3"), (VERDICT, "q2")], 20),
    ],
)
def test_a_stray_safety_verdict_is_one_failure_and_two_from_different_rows_end_the_day(
    verdicts: list[tuple[Failure | None, str]], rest: float
) -> None:
    health = Health()
    for failure, question in verdicts:
        health = after(health, failure, NOON, question=question)
    assert health.rests_until == NOON + rest


def test_a_model_that_is_known_to_classify_rests_for_the_day_after_one_verdict() -> None:
    guard = "meta-llama/llama-guard-4:free"
    draw = Draw(route="openrouter/free", models=("openrouter/free",))
    health = learn(draw, failed(Kind.NOT_CHAT, model=guard), {}, NOON, question="q1")
    assert health[guard].rests_until == NOON + 12 * 3600


def test_a_claim_is_released_without_a_lesson() -> None:
    draw, before = Draw(route="local", models=("m/a:free", "m/b:free")), after(Health(), failed(), NOON)
    health = {"m/a:free": before}
    health |= claim(draw, health, NOON + 20)
    assert not is_available(health["m/a:free"], NOON + 21)
    health |= release(draw, health)
    assert health == {"m/a:free": before}


def test_after_a_rest_one_request_tries_it_and_an_answer_brings_it_back() -> None:
    health = {POOL[0].id: after(Health(), failed(), NOON)}
    then = NOON + 21
    first = draw(POOL[:1], health=health, now=then)
    assert isinstance(first, Draw)
    health |= claim(first, health, then)
    assert draw(POOL[:1], health=health, now=then) == Rest(until=then + 1)
    health |= learn(first, Completion(model=POOL[0].id, content="x"), health, then + 2)
    assert health[POOL[0].id].strikes == 0
    assert isinstance(draw(POOL[:1], health=health, now=then + 2), Draw)


def test_a_trial_that_never_comes_back_does_not_bar_a_model_for_good() -> None:
    health = {POOL[0].id: Health(strikes=1)}
    health |= claim(Draw(route="local", models=(POOL[0].id,)), health, NOON)
    assert not is_available(health[POOL[0].id], NOON + 149)
    assert is_available(health[POOL[0].id], NOON + 151)


@pytest.mark.parametrize(
    "kind",
    [
        *(Kind.INVALID_REQUEST, Kind.CONTEXT_LENGTH, Kind.CONTENT_POLICY, Kind.REFUSED),
        *(Kind.MINUTE_LIMIT, Kind.DAY_LIMIT, Kind.KEY_REFUSED, Kind.CREDITS_OWED, Kind.PRIVACY_SETTING),
    ],
)
def test_what_is_not_the_models_fault_leaves_its_health_alone(kind: Kind) -> None:
    assert after(Health(), failed(kind, permanent=False), NOON) == Health()


def test_doubtful_failures_put_a_model_to_rest_only_when_they_are_frequent() -> None:
    first = after(Health(), failed(Kind.BAD_ANSWER), NOON)
    assert is_available(first, NOON)
    assert weight(first, NOON) < 1
    assert not is_available(after(first, failed(Kind.TRUNCATED), NOON), NOON)


def test_a_refused_parameter_is_remembered_and_costs_a_rest_only_when_told_twice() -> None:
    once = after(Health(), failed(Kind.MODEL_UNAVAILABLE, unsupported="seed"), NOON)
    assert once == Health(refused=frozenset({"seed"}))
    assert not is_available(after(once, failed(Kind.MODEL_UNAVAILABLE, unsupported="seed"), NOON), NOON)


def test_the_only_free_model_is_not_put_to_rest_by_a_single_failure() -> None:
    alone = Draw(route="m/a:free", models=("m/a:free",), of=1)
    health: dict[str, Health] = {}
    for turn in range(40):
        judged = failed() if turn % 5 == 4 else Completion(model="m/a:free", content="x")
        health |= learn(alone, judged, health, NOON)
        assert is_available(health.get("m/a:free", Health()), NOON)
    health = {}
    for _ in range(3):
        health |= learn(alone, failed(), health, NOON)
    assert health["m/a:free"].rests_until == NOON + 1


@pytest.mark.parametrize("kind", sorted(Kind))
def test_the_only_model_of_an_own_endpoint_never_rests_and_has_no_trial(kind: Kind) -> None:
    own, health = Draw(route="llama3", models=("llama3",), of=1), dict[str, Health]()
    for _ in range(20):
        health |= claim(own, health, NOON)
        health |= learn(own, failed(kind, retry_after=60.0), health, NOON)
        assert is_available(health.get("llama3", Health()), NOON)


def test_one_of_two_or_three_models_rests_for_less_than_five_minutes() -> None:
    health, now, rests = dict[str, Health](), NOON, []
    for _ in range(6):
        health |= learn(Draw(route="m/a:free", models=("m/a:free",), of=2), failed(), health, now)
        rests.append(health["m/a:free"].rests_until - now)
        now = health["m/a:free"].rests_until
    assert rests == [5, 15, 45, 135, 240, 240]


def test_a_server_that_names_its_model_otherwise_still_gets_the_credit() -> None:
    alone = Draw(route="llama3", models=("llama3",), of=1)
    health = {"llama3": Health(strikes=1, failing=0.5, failed_at=NOON, rests_until=NOON + 5)}
    assert learn(alone, Completion(model="meta/Llama-3-8B", content="x"), health, NOON)["llama3"].rests_until == 0


# What a response teaches

TRIO = Draw(route="local", models=("m/a:free", "m/b:free", "m/c:free"))


def struck(judged: Completion | Failure, drawn: Draw = TRIO, **changes: Any) -> set[str]:
    return {name for name, one in learn(drawn, judged, {}, NOON, **changes).items() if one.strikes or one.failing}


@pytest.mark.parametrize(
    ("judged", "names"),
    [
        (Completion(model="m/a:free", content="x"), ""),
        (Completion(model="m/c:free", content="x"), "ab"),
        (Completion(model=None, content="x"), ""),
        (failed(model="x/other:free"), "abc"),
        (failed(), "abc"),
        (failed(model="m/b:free"), "ab"),
        (failed(Kind.EMPTY, model="m/b:free"), "ab"),
        (failed(Kind.TIMEOUT), "a"),
        (failed(Kind.CONNECTION), "a"),
        (failed(Kind.INVALID_REQUEST), ""),
        (failed(Kind.MINUTE_LIMIT), ""),
    ],
)
def test_of_models_sent_along_those_are_blamed_that_failed(judged: Any, names: str) -> None:
    assert struck(judged) == {f"m/{letter}:free" for letter in names}


def test_a_bad_answer_is_blamed_on_who_gave_it() -> None:
    assert struck(Completion(model="m/a:free", content="x"), answer=failed(Kind.BAD_ANSWER)) == {"m/a:free"}


def test_what_one_of_three_is_not_named_for_does_not_last() -> None:
    learned = learn(TRIO, failed(permanent=True, unsupported="seed"), {}, NOON)
    assert all(one.rests_until == NOON + 20 and not one.refused for one in learned.values())
    named = learn(TRIO, failed(permanent=True, model="m/b:free"), {}, NOON)
    assert named["m/b:free"].rests_until > NOON + 3600 > named["m/a:free"].rests_until


def test_a_response_through_the_router_teaches_about_the_model_that_it_drew() -> None:
    service = Draw(route=FREE_ROUTER, models=(FREE_ROUTER,))
    learned = learn(service, failed(Kind.MODEL_UNAVAILABLE, permanent=True, model="x/y:free"), {}, NOON)
    assert learned["x/y:free"].rests_until > NOON + 3600
    assert is_available(learned[FREE_ROUTER], NOON), "one failure is no habit"


def test_the_router_is_left_alone_while_it_keeps_failing_and_taken_back_when_it_recovers() -> None:
    service = Draw(route=FREE_ROUTER, models=(FREE_ROUTER,))
    health: dict[str, Health] = {}
    now = NOON
    for _ in range(2):
        health |= learn(service, failed(Kind.EMPTY, model="x/y:free"), health, now)
    assert not is_available(health[FREE_ROUTER], now)
    assert planned(health=health, now=now).route == "local"
    now = health[FREE_ROUTER].rests_until
    for _ in range(6):
        trial = planned(health=health, now=now)
        assert trial == service
        health |= claim(trial, health, now)
        health |= learn(trial, Completion(model="m/a:free", content="x"), health, now)
    assert health[FREE_ROUTER].strikes == 0


def test_rests_of_a_router_that_goes_on_failing_grow() -> None:
    service = Draw(route=FREE_ROUTER, models=(FREE_ROUTER,))
    health, now, rests = {FREE_ROUTER: Health(failing=0.9, failed_at=NOON)}, NOON, []
    for _ in range(7):
        health |= learn(service, failed(), health, now)
        rests.append(health[FREE_ROUTER].rests_until - now)
        now = health[FREE_ROUTER].rests_until
    assert rests == [60, 180, 540, 1620, 1800, 1800, 1800]
    assert all(later >= earlier for earlier, later in pairwise(rests))


def test_a_pool_of_which_most_are_dead_costs_few_requests() -> None:
    """A thousand rows at twenty a minute, six of ten models dead: below 1.15 requests a row, 1.05 with siblings."""
    assert requests_per_row(fallbacks=0) < 1.15
    assert requests_per_row(fallbacks=2) < 1.05


def requests_per_row(fallbacks: int, rows: int = 1000) -> float:
    rng, health, now, spent = random.Random(11), dict[str, Health](), NOON, 0
    dead = {f"m/{letter}:free": kind for letter, kind in zip("abcdef", DEATHS, strict=True)}
    for _ in range(rows):
        tried: list[str] = []
        while True:
            drawn = planned(("local",), tried=tried, health=health, now=now, rng=rng, fallbacks=fallbacks)
            assert isinstance(drawn, Draw)
            assert drawn.models[0] not in tried
            health |= claim(drawn, health, now)
            spent, now = spent + 1, now + 3
            said = next((name for name in drawn.models if dead.get(name) not in PASSED), drawn.models[-1])
            failure = failed(dead[said], model=said) if said in dead else None
            health |= learn(drawn, failure or Completion(model=said, content="x"), health, now)
            if failure is None:
                break
            tried.append(said)
    return spent / rows


DEATHS = (
    *(Kind.UPSTREAM_ERROR, Kind.UPSTREAM_RATE_LIMIT, Kind.MODEL_UNAVAILABLE),
    *(Kind.EMPTY, Kind.BAD_ANSWER, Kind.TIMEOUT),
)
PASSED = DEATHS[:3]
"""Failures after which the service itself goes on to the next of `models`."""
