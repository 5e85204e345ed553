"""Chat calls through the gateway: answers, failover, limits, clients that leave."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from support.gateway import KEY, asking_for, in_virtual_time, spec_of

CHAT = "/chat/completions"


def test_the_reply_of_the_service_is_passed_on_as_it_came(tmp_path):
    async def act(served):
        return await served.http.post(CHAT, json=asking_for()), served.posts

    reply, posts = in_virtual_time(act, tmp_path)
    body = reply.json()
    assert reply.status_code == 200
    assert body["model"] == posts[0].model == reply.headers["x-batchfree-attempts"]
    assert body["id"] == posts[0].generation
    assert body["provider"].startswith("Emulated ")
    assert body["usage"]["completion_tokens_details"]["reasoning_tokens"] >= 0


@pytest.mark.parametrize("model", ["openrouter/free", "local", "emulated/glm-5.2:free"])
def test_routers_and_free_ids_are_served(model, tmp_path):
    async def act(served):
        return (await served.http.post(CHAT, json=asking_for(model=model))).json()["model"]

    found = in_virtual_time(act, tmp_path)
    assert found.endswith(":free")
    assert model in ("openrouter/free", "local", found)


@pytest.mark.parametrize("prefix", ["/api/v1", "/v1", ""])
def test_the_base_url_may_have_the_prefix_or_leave_it_out(prefix, tmp_path):
    async def act(served):
        site = served.http.base_url.copy_with(path="")
        answered = await served.http.post(f"{site}{prefix}{CHAT}", json=asking_for())
        asked = [await served.http.get(f"{site}{prefix}{path}") for path in ("/models", "/key")]
        return [answered.status_code, *(reply.status_code for reply in asked)]

    assert in_virtual_time(act, tmp_path) == [200, 200, 200]


REFUSED = [
    ({"model": "emulated/glm-5.2"}, 400, "is not free"),
    ({"model": "openai/gpt-4o"}, 400, "is not free"),
    ({"model": "openrouter/auto"}, 400, "is not free"),
    ({"model": "emulated/glm-5.2:online:free"}, 400, "is not free"),
    ({"model": None}, 400, "`model` is missing"),
    ({"model": 7}, 400, "named by a text"),
    ({"model": "emulated/nobody:free"}, 404, "No endpoints found for emulated/nobody:free"),
    ({"models": ["emulated/glm-5.2:free", "openai/gpt-4o"]}, 400, "'openai/gpt-4o' is not free"),
    ({"models": ["a/b:free"] * 4}, 400, "3 items or fewer"),
    ({"messages": []}, 400, "`messages` must be a list"),
    ({"messages": [{"role": "king", "content": "x"}]}, 400, "messages[0]"),
    ({"messages": [{"role": "user", "content": None}]}, 400, "messages[0] has no content"),
    ({"messages": [{"role": "user", "content": ["x"]}]}, 400, "messages[0].content"),
    ({"n": 2}, 400, "one answer"),
    ({"temperature": 9}, 400, "temperature"),
    ({"stream": "yes"}, 400, "`stream`"),
    ({"plugins": [{"id": "web"}]}, 400, "web"),
    ({"preset": "mine"}, 400, "preset"),
    ({"web_search_options": {}}, 400, "web search"),
    ({"tools": [{"type": "openrouter:web_search"}]}, 400, "cost money"),
    ({"modalities": ["image"]}, 400, "text"),
]


@pytest.mark.parametrize(("members", "status", "says"), REFUSED)
def test_what_is_not_free_or_not_right_is_refused_without_a_request(members, status, says, tmp_path):
    async def act(served):
        return await served.http.post(CHAT, json=asking_for() | members), served.posts

    reply, posts = in_virtual_time(act, tmp_path)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, status)
    assert says in reply.json()["error"]["message"]
    assert posts == []


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(raw, tmp_path):
    async def act(served):
        return await served.http.post(CHAT, content=raw)

    assert in_virtual_time(act, tmp_path).status_code == 400


def test_unknown_parameters_and_settings_of_providers_are_left_out(tmp_path):
    more: Any = {"temperature": 0, "service_tier": "priority", "store": True, "provider": {"sort": "price", "pay": 1}}

    async def act(served):
        await served.http.post(CHAT, json=asking_for(**more), headers={"Authorization": "Bearer sk-of-the-client"})
        return served.posts[0]

    sent = in_virtual_time(act, tmp_path)
    assert sent.body.keys() == {"model", "messages", "temperature", "provider"}
    assert sent.body["provider"] == {"sort": "price"}
    assert "sk-of-the-client" not in str(sent)


def test_a_failed_model_is_followed_by_another_one(tmp_path):
    scenario = "faults: [{fault: server_500, nth: 1}]"

    async def act(served):
        return await served.http.post(CHAT, json=asking_for()), [post.model or post.tried for post in served.posts]

    reply, _ = in_virtual_time(act, tmp_path, scenario)
    tried = reply.headers["x-batchfree-attempts"].split(", ")
    assert reply.status_code == 200
    assert len(tried) == 2
    assert reply.json()["model"] == tried[-1]


@pytest.mark.parametrize(
    "fault", ["content_null", "error_200", "verdict", "cut", "choices_empty", "upstream_429", "gone_404"]
)
@pytest.mark.parametrize("stream", [False, True])
def test_no_failure_reaches_the_client_while_another_model_answers(fault, stream, tmp_path):
    scenario = f"faults: [{{fault: {fault}, nth: 1}}]"

    async def act(served):
        return await served.http.post(CHAT, json=asking_for(stream=stream)), len(served.posts)

    reply, posts = in_virtual_time(act, tmp_path, scenario)
    assert posts == 2
    assert reply.status_code == 200
    assert "error" not in reply.text
    assert "In short" in reply.text


def test_a_failing_model_is_tried_no_more_than_the_job_allows(tmp_path):
    async def act(served):
        return await served.http.post(CHAT, json=asking_for()), len(served.posts)

    reply, posts = in_virtual_time(act, tmp_path, "faults: [{fault: server_500}]")
    assert (reply.status_code, posts) == (502, 5)
    assert reply.headers["x-should-retry"] == "false"
    assert len(reply.headers["x-batchfree-attempts"].split(", ")) == 5


def test_a_request_at_fault_is_refused_once_in_the_words_of_the_service(tmp_path):
    async def act(served):
        return await served.http.post(CHAT, json=asking_for()), len(served.posts)

    reply, posts = in_virtual_time(act, tmp_path, "faults: [{fault: invalid_400}]")
    assert (reply.status_code, posts) == (400, 1)


def test_a_refused_key_is_the_servers_own_trouble_and_stops_all_requests_for_a_minute(tmp_path):
    async def act(served):
        replies = [await served.http.post(CHAT, json=asking_for()) for _ in range(5)]
        await anyio.sleep(61)
        return replies, await served.http.post(CHAT, json=asking_for()), len(served.posts)

    replies, last, posts = in_virtual_time(act, tmp_path, "faults: [{fault: key_401, nth: 1}]")
    assert [reply.status_code for reply in replies] == [503] * 5
    assert "the account of this server needs a person" in replies[0].json()["error"]["message"]
    assert (last.status_code, posts) == (200, 2)


def test_a_charged_answer_is_given_and_is_the_last(tmp_path):
    async def act(served):
        first = await served.http.post(CHAT, json=asking_for())
        await anyio.sleep(3600)
        return first, await served.http.post(CHAT, json=asking_for()), len(served.posts)

    first, second, posts = in_virtual_time(act, tmp_path, "faults: [{fault: charged}]")
    assert (first.status_code, second.status_code, posts) == (200, 402, 1)
    assert "charged" in second.json()["error"]["message"]


def test_an_answer_that_breaks_the_schema_is_a_failure(tmp_path):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    form = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": schema}}

    async def act(served):
        return await served.http.post(CHAT, json=asking_for(response_format=form)), len(served.posts)

    reply, posts = in_virtual_time(act, tmp_path, "pool: {accuracy: 1, follows: 1}\nfaults: [{fault: fenced, nth: 1}]")
    assert (reply.status_code, posts) == (200, 2)
    assert set(json.loads(reply.json()["choices"][0]["message"]["content"])) == {"city"}


def test_tools_are_called_by_models_that_can(tmp_path):
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}

    async def act(served):
        body = asking_for("Call the tool weather.", tools=[tool], tool_choice="required")
        return (await served.http.post(CHAT, json=body)).json(), await served.http.post(
            CHAT, json={**body, "stream": True}
        )

    reply, stream = in_virtual_time(act, tmp_path)
    (call,) = reply["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "weather"
    assert call["id"]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks_of(stream)]
    (streamed,) = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert (streamed["index"], streamed["function"]["name"]) == (0, "weather")


def chunks_of(response):
    """The chunks of a stream, which must end with [DONE]."""
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_a_stream_holds_the_whole_answer_and_its_usage(tmp_path):
    async def act(served):
        body = asking_for(model="emulated/glm-5.2:free")
        whole = (await served.http.post(CHAT, json=body)).json()
        return whole, await served.http.post(CHAT, json={**body, "stream": True})

    whole, stream = in_virtual_time(act, tmp_path)
    chunks = chunks_of(stream)
    assert stream.headers["content-type"].startswith("text/event-stream")
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert text == whole["choices"][0]["message"]["content"]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks][-2:] == ["stop", None]
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert {chunk["model"] for chunk in chunks} == {"emulated/glm-5.2:free"}


def test_comments_keep_a_stream_alive_and_a_late_error_is_one_chunk(tmp_path):
    scenario = "pool: {latency: {constant: 12}}\nfaults: [{fault: invalid_400, nth: 2, delay: 12}]"

    async def act(served):
        return [await served.http.post(CHAT, json=asking_for(stream=True)) for _ in range(2)]

    good, bad = in_virtual_time(act, tmp_path, scenario)
    assert good.text.count(": BATCHFREE PROCESSING") == 3
    assert "In short" in good.text
    assert bad.status_code == 200
    (chunk,) = chunks_of(bad)
    assert chunk["error"]["code"] == 400
    assert chunk["choices"][0]["finish_reason"] == "error"


def test_an_early_error_of_a_stream_has_its_own_status(tmp_path):
    async def act(served):
        return await served.http.post(CHAT, json=asking_for(stream=True))

    reply = in_virtual_time(act, tmp_path, "faults: [{fault: invalid_400}]")
    assert (reply.status_code, reply.headers["content-type"]) == (400, "application/json")


def test_a_pool_that_was_given_up_is_tried_once_a_minute(tmp_path):
    scenario = "faults: [{fault: server_500, nth: '1-45'}]"

    async def act(served):
        statuses = [(await served.http.post(CHAT, json=asking_for())).status_code for _ in range(60)]
        down, later = len(served.posts), []
        for _ in range(20):
            await anyio.sleep(300)
            later.append((await served.http.post(CHAT, json=asking_for())).status_code)
        return statuses, down, later

    limits = {"requests_per_minute": 10_000, "requests_per_day": 10_000}
    statuses, down, later = in_virtual_time(act, tmp_path, scenario, spec=spec_of(limits=limits))
    assert down <= 45
    assert statuses[-1] == 503
    assert later[-10:] == [200] * 10


def test_the_job_names_the_only_models_that_may_be_asked(tmp_path):
    two = ("emulated/glm-5.2:free", "emulated/dots-3-note:free")

    async def act(served):
        models = ("openrouter/free", "local", *two, "emulated/gemma-4-31b-it:free")
        return [await served.http.post(CHAT, json=asking_for(model=model)) for model in models]

    *good, bad = in_virtual_time(act, tmp_path, spec=spec_of(router={"route": two}))
    assert all(reply.json()["model"] in two for reply in good)
    assert bad.status_code == 400
    assert "is not served here; the job allows" in bad.json()["error"]["message"]


def test_the_rules_of_the_job_hold_for_every_route(tmp_path):
    async def act(served):
        models = {(await served.http.post(CHAT, json=asking_for())).json()["model"] for _ in range(12)}
        return models, await served.http.post(CHAT, json=asking_for(model="emulated/dots-3-note:free"))

    models, left_out = in_virtual_time(act, tmp_path, spec=spec_of(router={"only": ("emulated/g*",)}))
    assert models <= {"emulated/glm-5.2:free", "emulated/gemma-4-31b-it:free", "emulated/gemma-4-26b-a4b-it:free"}
    assert left_out.status_code == 404
    assert "router.only leaves it out" in left_out.json()["error"]["message"]


def test_a_list_of_free_models_is_asked_and_no_other(tmp_path):
    two = ["emulated/glm-5.2:free", "emulated/dots-3-note:free"]

    async def act(served):
        body = asking_for(model=two[0], models=two)
        return [(await served.http.post(CHAT, json=body)).json()["model"] for _ in range(8)]

    assert set(in_virtual_time(act, tmp_path, "faults: [{fault: upstream_429, nth: 3}]")) <= set(two)


@pytest.mark.parametrize("quoted", [KEY, "".join(f"\\u{ord(letter):04x}" for letter in KEY)])
def test_the_key_of_the_server_reaches_no_client(quoted, tmp_path):
    body = f'{{"model": "a/b:free", "choices": [{{"message": {{"content": "Your key is {quoted}."}}}}]}}'
    scenario = f"faults: [{{respond: {{body: {json.dumps(body)}}}}}]"

    async def act(served):
        return await served.http.post(CHAT, json=asking_for())

    reply = in_virtual_time(act, tmp_path, scenario)
    assert reply.status_code == 200
    assert KEY not in reply.json()["choices"][0]["message"]["content"]
