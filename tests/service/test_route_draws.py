"""Whole runs by route and endpoint: who is asked, with what, and by whom nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.rehearsal import UNLIMITED, Rehearsal, scenario

from batchfree.core.stops import StopReason
from batchfree.emulator.scenario.scenario_file import presets

CALM = """
limits: {per_minute: null, per_day: null}
router: {draws_classifier: false}
pool: {follows: 1.0, models: [{id: "emulated/inkling:free", nature: chat}]}
"""
BARE = "limits: {per_minute: null, per_day: null}\n"
LABELS = {"answer": {"labels": ["good", "bad"]}}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def rehearse(folder: Path, text: str = CALM, rows: int = 12, **spec: Any) -> Rehearsal:
    folder.mkdir(exist_ok=True)
    prompts = [{"prompt": f"Is trip {n} to Berlin good or bad?"} for n in range(rows)]
    router = {"seed": 1, **spec.pop("router", {})}
    return Rehearsal(folder, prompts, {"limits": UNLIMITED, "router": router, **spec}, scenario(text))


def asked(job: Rehearsal) -> set[str]:
    return {each for post in job.posts for each in (post.body["model"], *post.body.get("models", ()))}


# Repeatable draws


@pytest.mark.parametrize("route", ["local", "openrouter/free"])
@pytest.mark.parametrize("pack", [1, 5])
def test_a_seed_draws_the_same_models_for_every_row(tmp_path: Path, route: str, pack: int) -> None:
    text = presets()["half-dead"] + "\npool: {latency: {median: 2, sigma: 0.5}}"
    draws = []
    for name in ("one", "two"):
        job = rehearse(tmp_path / name, text, 80, router={"route": route, "seed": 7}, pack=pack, **LABELS)
        job.run()
        draws.append((job.table()["models_tried"].to_list(), [post.body for post in job.posts]))
    assert draws[0] == draws[1]
    other = rehearse(tmp_path / "three", text, 80, router={"route": route, "seed": 8}, pack=pack, **LABELS)
    other.run()
    assert other.table()["models_tried"].to_list() != draws[0][0]


def test_a_rows_draws_do_not_hang_on_its_neighbours(tmp_path: Path) -> None:
    spec: dict[str, Any] = {"router": {"route": "local", "seed": 7}, "answer": {"labels": ["good", "bad"]}}
    whole = rehearse(tmp_path / "whole", rows=60, **spec)
    whole.run()
    part = rehearse(tmp_path / "part", rows=60, **spec)
    part.write_rows(part.rows[::-3])
    part.run()
    draws = dict(whole.table().select("prompt", "models_tried").iter_rows())
    assert all(draws[prompt] == tried for prompt, tried in part.table().select("prompt", "models_tried").iter_rows())


# Concrete ids


@pytest.mark.parametrize("route", ["emulated/glm-5.2:free", ["emulated/glm-5.2:free", "emulated/laguna-s-2.1:free"]])
def test_a_concrete_id_or_list_is_all_that_is_ever_asked(tmp_path: Path, route: str | list[str]) -> None:
    text = CALM + "faults: [{fault: upstream_502, chance: 0.3}, {fault: content_null, chance: 0.1}]"
    job = rehearse(tmp_path, text, 40, router={"route": route})
    summary = job.run()
    assert asked(job) == {route} if isinstance(route, str) else asked(job) == set(route)
    assert summary.counts.ok >= 36
    rows = job.table().to_dicts()
    assert {row["route"] for row in rows} <= asked(job)


@pytest.mark.parametrize(
    ("endpoint", "message", "posts"),
    [
        ("https://openrouter.ai/api/v1", "1 × emulated/never-was:free is not in the catalogue", 0),
        ("http://localhost/api/v1", "the models that router.route names are not there", 8),
    ],
)
def test_a_named_model_that_is_not_there_stops_the_run_and_nobody_else_is_asked(
    tmp_path: Path, endpoint: str, message: str, posts: int
) -> None:
    job = rehearse(tmp_path, rows=100, router={"route": "emulated/never-was:free"}, endpoint=endpoint)
    summary = job.run()
    assert summary.stopped is not None
    assert (summary.stopped.reason, summary.exit_code) == (StopReason.NO_MODEL, 3)
    assert message in summary.stopped.message
    assert len(job.posts) <= posts


# Endpoints of one's own


class Server(httpx.AsyncBaseTransport):
    """A bare OpenAI-like server: no catalogue, no state of a key."""

    def __init__(self, reply: Callable[[dict[str, Any]], httpx.Response]) -> None:
        self.reply, self.requests, self.bodies = reply, list[httpx.Request](), list[dict[str, Any]]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if not request.url.path.endswith("/chat/completions"):
            return httpx.Response(404, text="Not Found")
        self.bodies.append(json.loads(await request.aread()))
        return self.reply(self.bodies[-1])


def says(content: str, model: str = "/models/llama-3-8b.gguf") -> httpx.Response:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return httpx.Response(200, json={"id": "cmpl-1", "object": "chat.completion", "model": model, "choices": [choice]})


OWN: dict[str, Any] = {"endpoint": "http://localhost:8080/v1", "router": {"route": "llama-3-8b"}, "limits": {}}


def test_a_bare_server_without_catalogue_and_key_is_enough(tmp_path: Path) -> None:
    job, server = rehearse(tmp_path, **OWN), Server(lambda body: says("It is good."))
    del job.environment["OPENROUTER_API_KEY"]
    summary = job.run_over(server)
    assert (summary.counts.ok, summary.exit_code, summary.requests) == (12, 0, 12)
    assert all("authorization" not in request.headers for request in server.requests)
    assert {body["model"] for body in server.bodies} == {"llama-3-8b"}
    assert set(job.table()["model"].to_list()) == {"/models/llama-3-8b.gguf"}
    assert set(job.table()["route"].to_list()) == {"llama-3-8b"}
    assert not any(request.url.path.endswith("/key") for request in server.requests)


def test_parameters_go_to_ones_own_server_as_they_are(tmp_path: Path) -> None:
    request = {"temperature": 0.1, "top_k": 3, "chat_template_kwargs": {"enable_thinking": False}}
    job, server = rehearse(tmp_path, request=request, **OWN), Server(lambda body: says("Good."))
    assert job.run_over(server).counts.ok == 12
    assert all(request.items() <= body.items() for body in server.bodies)


def test_a_server_that_takes_no_schema_is_asked_without_one_after_it_said_so(tmp_path: Path) -> None:
    def reply(body: dict[str, Any]) -> httpx.Response:
        if "response_format" in body:
            error = {"message": "response_format of type json_schema is not supported", "type": "BadRequestError"}
            return httpx.Response(400, json={"error": error})
        return says('{"city": "Berlin"}')

    job, server = rehearse(tmp_path, answer={"schema": CITY}, **OWN), Server(reply)
    assert job.run_over(server).counts.ok == 12
    assert sum("response_format" in body for body in server.bodies) <= 8, "those that were in flight"


def test_the_only_model_there_is_is_asked_again_after_a_failure(tmp_path: Path) -> None:
    turns = iter(range(10_000))
    job = rehearse(tmp_path, rows=60, **OWN)
    server = Server(lambda body: says("Good.") if next(turns) % 4 else httpx.Response(500, text="oops"))
    assert job.run_over(server).counts.ok == 60
    assert job.time.elapsed < 300


def test_models_of_ones_own_need_not_be_free(tmp_path: Path) -> None:
    route = ["emulated/glm-5.2", "emulated/gemma-4-31b-it:free"]
    job = rehearse(tmp_path, rows=200, router={"route": route})
    summary = job.run()
    assert "emulated/glm-5.2" in asked(job) <= set(route)
    assert summary.stopped is not None
    assert summary.stopped.reason == "charged", "the emulated one wants money"


# Contexts


def contexts(**sizes: int) -> str:
    models = ", ".join(f'{{id: "emulated/{name}:free", context_length: {size}}}' for name, size in sizes.items())
    return BARE + f"pool: {{replace: true, models: [{models}]}}"


def long_rows(job: Rehearsal, *lengths: int) -> None:
    job.write_rows([{"prompt": f"Is it good? {n} " + "word " * (length // 5)} for n, length in enumerate(lengths)])


def test_a_row_that_one_model_finds_too_long_goes_to_a_larger_one(tmp_path: Path) -> None:
    text = contexts(small=32_000, large=200_000) + '\nfaults: [{fault: context_400, model: "*small*"}]'
    job = rehearse(tmp_path, text, router={"route": "local", "seed": 1, "fallbacks": 0})
    long_rows(job, *[60_000] * 8)
    assert job.run().counts.ok == 8
    tried = job.table()["models_tried"].to_list()
    assert any(len(each) == 2 for each in tried)
    assert {each[-1] for each in tried} == {"emulated/large:free"}


def test_a_row_that_the_largest_model_finds_too_long_fails_at_once(tmp_path: Path) -> None:
    text = contexts(small=32_000, large=64_000) + "\nfaults: [{fault: context_400}]"
    job = rehearse(tmp_path, text, rows=6, router={"route": "local", "fallbacks": 0})
    assert job.run().exit_code == 1
    rows = job.table().to_dicts()
    assert {(row["status"], row["error_kind"]) for row in rows} == {("failed", "context_length")}
    assert all(1 <= row["attempts"] <= 2 and row["models_tried"][-1] == "emulated/large:free" for row in rows)


def test_rows_too_long_for_every_model_fail_without_a_request(tmp_path: Path) -> None:
    job = rehearse(tmp_path, contexts(small=8_000, large=16_000))
    long_rows(job, 100, 200_000, 200, 300_000)
    summary = job.run()
    assert (summary.exit_code, len(job.posts)) == (1, 2)
    assert job.table()["error_kind"].to_list() == [None, "context_length", None, "context_length"]
    assert job.table()["attempts"].to_list() == [1, 0, 1, 0]
    assert job.run().requests == 0


def test_what_no_model_can_do_is_said_with_the_reasons_and_the_other_rows_are_answered(tmp_path: Path) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    rows: list[dict[str, Any]] = [{"messages": [{"role": "user", "content": "Is it good?"}]}]
    rows += [{"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]}]}]
    job = rehearse(tmp_path, contexts(blind=32_000, dull=32_000), router={"route": "local"})
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps({"messages": json.dumps(row["messages"])}) + "\n" for row in rows)
    )
    summary = job.run()
    assert summary.stopped is not None
    assert (summary.stopped.reason, summary.exit_code) == (StopReason.NO_MODEL, 3)
    assert "2 × it takes no image input" in summary.stopped.message
    assert job.table()["status"].to_list() == ["ok", "pending"]
    assert len(job.posts) == 1


# How the answer is asked for


def formats(job: Rehearsal) -> set[bool]:
    return {"response_format" in post.body for post in job.posts}


@pytest.mark.parametrize(
    ("answer", "pack", "sent"),
    [
        ({"labels": ["good", "bad"]}, 1, {False}),
        ({"labels": ["good", "bad"], "mode": "native"}, 1, {True}),
        ({"labels": ["good", "bad"], "mode": "prompt"}, 4, {False}),
        ({"labels": ["good", "bad"]}, 4, {True}),
        ({"schema": CITY}, 1, {True}),
        ({"schema": CITY, "mode": "prompt"}, 1, {False}),
        ({"schema": CITY, "mode": "native"}, 4, {True}),
    ],
    ids=str,
)
def test_the_mode_decides_whether_response_format_is_sent(
    tmp_path: Path, answer: dict[str, Any], pack: int, sent: set[bool]
) -> None:
    text = BARE + 'pool: {models: [{id: "emulated/*:free", nature: chat, add: [structured_outputs], json: enforces}]}'
    job = rehearse(tmp_path, text, answer=answer, pack=pack)
    assert job.run().counts.ok == 12
    assert formats(job) == sent


def test_models_that_list_no_schemas_are_asked_in_words(tmp_path: Path) -> None:
    job = rehearse(tmp_path, rows=80, answer={"schema": CITY}, router={"route": "local", "fallbacks": 2, "seed": 2})
    assert job.run().counts.ok == 80
    listing = {model.id: "structured_outputs" in model.parameters for model in job.service.models}
    for post in job.posts:
        models = post.body.get("models", [post.body["model"]])
        assert {listing[each] for each in models} == {"response_format" in post.body}
    assert formats(job) == {True, False}


def test_native_mode_goes_to_models_that_list_schemas_only(tmp_path: Path) -> None:
    answer = {"labels": ["good", "bad"], "mode": "native"}
    job = rehearse(tmp_path, rows=40, answer=answer, router={"route": "local", "fallbacks": 0})
    assert job.run().counts.ok == 40
    assert formats(job) == {True}
    listing = {model.id for model in job.service.models if "structured_outputs" in model.parameters}
    assert asked(job) <= listing
    assert len(asked(job)) > 2


def test_a_model_that_refuses_response_format_is_asked_without_it_from_then_on(tmp_path: Path) -> None:
    refuses = ", ".join(f'"emulated/{name}:free"' for name in ("glm-5.2", "dots-3-note"))

    text = (
        CALM
        + f"""
faults:
  - {{fault: response_format_400, model: [{refuses}], nth: 1, per: model}}
"""
    )
    job = rehearse(
        tmp_path,
        text,
        rows=120,
        answer={"schema": CITY},
        router={"route": "local", "fallbacks": 0},
        limits={**UNLIMITED, "concurrency": 1},
    )
    assert job.run().counts.ok == 120
    refused = [post for post in job.posts if post.fault == "response_format_400"]
    names = {post.body["model"] for post in refused}
    assert len(names) == len(refused) > 0
    last = max(post.number for post in refused)
    later = [post for post in job.posts if post.number > last and post.body["model"] in names]
    assert later
    assert not any("response_format" in post.body for post in later)
    assert all(len(set(tried)) == len(tried) for tried in job.table()["models_tried"].to_list())


def test_a_bad_answer_goes_to_another_model_plainly_and_then_with_the_error_shown(tmp_path: Path) -> None:
    text = CALM + 'faults: [{fault: wrong_label, nth: "1-3"}]'
    job = rehearse(tmp_path, text, rows=1, router={"route": "local", "fallbacks": 0}, **LABELS)
    assert job.run().exit_code == 0
    first, second, third, fourth = (post.body["messages"] for post in job.posts[:4])
    assert first == second, "another model gets the plain question"
    assert third[: len(first)] == first
    assert [message["role"] for message in third[len(first) :]] == [
        "assistant",
        "user",
    ]
    assert third[-2]["content"] == "perhaps"
    assert "none of the labels" in third[-1]["content"]
    assert fourth == first, "the error is shown once"
    assert len({post.body["model"] for post in job.posts}) == 4
    (row,) = job.table().to_dicts()
    assert (row["attempts"], row["status"]) == (4, "ok")


@pytest.mark.parametrize(("reask", "shown"), [(0, 0), (1, 1), (2, 2), (9, 3)])
def test_the_error_is_shown_at_most_as_often_as_wanted(tmp_path: Path, reask: int, shown: int) -> None:
    answer = {"labels": ["good", "bad"], "reask": reask}
    job = rehearse(tmp_path, CALM + "faults: [{fault: wrong_label}]", rows=1, answer=answer, router={"fallbacks": 0})
    assert job.run().exit_code == 1
    lengths = [len(post.body["messages"]) for post in job.posts]
    assert len(lengths) == 5
    assert sum(length > lengths[0] for length in lengths) == shown


def test_json_that_was_mended_says_so(tmp_path: Path) -> None:
    text = CALM + 'faults: [{fault: trailing_comma, nth: "1-4"}]'
    job = rehearse(tmp_path, text, rows=8, answer={"schema": CITY}, limits={**UNLIMITED, "concurrency": 1})
    assert job.run().counts.ok == 8
    assert sorted(job.table()["repaired"].to_list()) == [False] * 4 + [True] * 4
    strict = rehearse(tmp_path / "strict", text, rows=8, answer={"schema": CITY, "repair": False})
    strict.run()
    assert not any(strict.table()["repaired"].to_list())
    assert len(strict.posts) == 12
