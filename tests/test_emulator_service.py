"""The emulated service: catalogue, routing, quotas, keys and the form of requests."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from emulated import FREE, NOON, Time, ask, asking, content, emulation, get

GLM, LFM, CODE = "emulated/glm-5.2:free", "emulated/lfm-2.5-2.6b:free", "emulated/north-mini-code:free"
SAFETY, GATED, PAID = "emulated/nemotron-3.5-content-safety:free", "emulated/inkling:free", "emulated/glm-5.2"
IMAGE = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "properties": {}}}}
TOOLS = [{"type": "function", "function": {"name": "go", "parameters": {"type": "object", "properties": {}}}}]


def test_the_free_router_names_the_concrete_model_that_answered():
    (reply,) = ask(emulation(), asking())
    body = reply.json()
    assert reply.status_code == 200
    assert body["model"].startswith("emulated/") and body["model"].endswith(":free")
    assert body["provider"].startswith("Emulated ")
    assert body["usage"]["cost"] == 0
    assert reply.headers["x-generation-id"] == body["id"]


def test_the_free_router_draws_every_model_of_its_pool_about_equally_often():
    app = emulation()
    ask(app, *[asking(f"Question {number}") for number in range(1100)])
    drawn = Counter(post.model for post in app.state.book.posts)
    assert set(drawn) == {model.id for model in app.service.scenario.models if model.id.endswith(":free")} - {GATED}
    assert all(60 < count < 140 for count in drawn.values())


@pytest.mark.parametrize(
    ("members", "ability"),
    [
        ({"messages": [{"role": "user", "content": IMAGE}]}, "image"),
        ({"tools": TOOLS}, "tools"),
        ({"response_format": SCHEMA}, "structured_outputs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
    ],
)
def test_the_free_router_draws_only_models_with_the_needed_ability(members, ability):
    app = emulation()
    ask(app, *[asking(f"Question {number}") | members for number in range(60)])
    models = {model.id: model for model in app.service.scenario.models}
    drawn = {post.model for post in app.state.book.posts}
    assert all(ability in models[id].inputs | models[id].parameters for id in drawn) and len(drawn) > 2


def test_equal_seeds_draw_equal_models_whatever_the_order_of_arrival():
    bodies = [asking(f"Question {number}") for number in range(20)]
    first, second = emulation(), emulation()
    ask(first, *bodies)
    ask(second, *reversed(bodies))
    by_prompt = [
        {post.body["messages"][0]["content"]: post.model for post in app.state.book.posts} for app in (first, second)
    ]
    assert by_prompt[0] == by_prompt[1]


def test_the_same_request_again_is_drawn_anew():
    app = emulation()
    ask(app, *[asking() for _ in range(40)])
    assert len({post.model for post in app.state.book.posts}) > 5


def test_a_concrete_free_model_answers_itself():
    (reply,) = ask(emulation(), asking(model=GLM))
    assert reply.json()["model"] == GLM


def test_a_paid_model_answers_and_is_written_down_as_paid():
    app = emulation()
    (reply,) = ask(app, asking(model=PAID))
    assert reply.json()["usage"]["cost"] > 0
    assert [post.model for post in app.state.book.paid] == [PAID]


def test_a_request_without_a_model_is_answered_by_a_paid_one():
    app = emulation()
    ask(app, asking(model=None))
    assert len(app.state.book.paid) == 1


def test_a_list_of_models_fails_over_within_one_request_and_counts_once():
    app = emulation(f"faults: [{{fault: upstream_429, model: '{GLM}'}}]\nlimits: {{per_minute: 20, per_day: 50}}")
    (reply,) = ask(app, asking(model=GLM, models=[GATED, LFM]), headers={"X-OpenRouter-Metadata": "enabled"})
    assert reply.json()["model"] == LFM
    tried = reply.json()["openrouter_metadata"]["attempts"]
    assert [(attempt["model"], attempt["status"]) for attempt in tried] == [(GLM, 429), (GATED, 403), (LFM, 200)]
    assert get(app, "/key").json()["data"]["free_model_daily_requests"]["used"] == 1
    assert app.state.book.posts[0].tried == (GLM, GATED, LFM)


def test_if_every_model_of_a_list_fails_the_last_error_stands():
    app = emulation("faults: [{fault: upstream_429}, {fault: overloaded_529}]")
    (reply,) = ask(app, asking(model=GLM, models=[LFM]))
    assert reply.status_code == 429 and LFM in reply.json()["error"]["metadata"]["raw"]


def test_metadata_come_only_when_they_are_asked_for():
    plain, asked = (ask(emulation(), asking(), headers=headers)[0].json() for headers in ({}, {"X-OpenRouter-Metadata": "Enabled"}))
    assert "openrouter_metadata" not in plain
    data = asked["openrouter_metadata"]
    assert data["strategy"] == "free" and data["requested"] == FREE
    assert [model["model"] for model in data["endpoints"]["available"] if model["selected"]] == [asked["model"]]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (asking(model="nobody/nothing"), 400, "nobody/nothing is not a valid model ID"),
        (asking(models=[GLM, LFM, CODE, FREE]), 400, "'models' array must have 3 items or fewer."),
        ({"model": FREE}, 400, 'Input required: specify "prompt" or "messages"'),
        ({"model": FREE, "messages": []}, 400, "Input must have at least 1 token."),
        ([], 400, "Input must have at least 1 token."),
        (asking("x" * 300_000, model=LFM), 400, "This endpoint's maximum context length is 65536 tokens. However, you"),
        (asking(model=LFM, reasoning={"effort": "none"}), 400, "Reasoning is mandatory for this endpoint and cannot"),
        (asking(model=GATED), 403, "emulated/inkling:free is only available on agentic harnesses."),
        (asking(model=CODE) | {"messages": [{"role": "user", "content": IMAGE}]}, 404, "No endpoints found that support image"),
        (asking(model=SAFETY, tools=TOOLS), 404, "No endpoints found that support tool use."),
        (asking(model=GLM, provider={"data_collection": "deny"}), 404, "No endpoints found matching your data policy"),
        (asking(model=CODE, response_format=SCHEMA, provider={"require_parameters": True}), 404, "No endpoints found that can"),
        (asking(model=PAID, provider={"max_price": {"prompt": 0, "completion": 0}}), 404, "No endpoints found that satisfy"),
        (asking(model="emulated/gemma-9:free"), 400, "emulated/gemma-9:free is not a valid model ID"),
        (asking(model=PAID + ":batch:free"), 404, "This model is unavailable for free."),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_served_is_refused_in_the_service_s_words(body, status, message):
    (reply,) = ask(emulation(), body)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (status, status)
    assert error["message"].startswith(message)
    assert reply.headers["x-generation-id"].startswith("gen-")


@pytest.mark.parametrize(
    "members", [{"messages": "hi"}, {"messages": [{"role": "nobody", "content": "x"}]}, {"temperature": "hot"},
                {"max_tokens": 0}, {"models": "a"}, {"response_format": {"type": "json_schema"}}]
)  # fmt: skip
def test_members_of_the_wrong_type_are_refused_in_the_other_envelope(members):
    (reply,) = ask(emulation(), asking() | members)
    assert reply.status_code == 400 and reply.json()["error"]["name"] == "ZodError"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (None, "No cookie auth credentials found"),
        ("abc", "No auth credentials found"),
        ("sk-or-v1-other", "User not found."),
    ],
)
def test_a_missing_or_wrong_key_is_refused(key, message):
    reply = get(emulation("keys: [sk-or-v1-test]"), "/key", key)
    assert (reply.status_code, reply.json()["error"]["message"]) == (401, message)


def test_the_catalogue_needs_no_key_and_the_embedded_service_none_at_all():
    assert get(emulation(), "/models", None).status_code == 200
    assert get(emulation(require_key=False), "/key", None).status_code == 200


def test_the_same_paths_answer_without_api_before_them():
    app = emulation()
    paths = [f"http://emulated{prefix}/models" for prefix in ("/v1", "/api/v1")]
    assert get(app, paths[0]).json() == get(app, paths[1]).json()
    assert get(app, "http://emulated/v2/models").status_code == 404


def test_the_catalogue_can_be_paged_and_filtered():
    app = emulation()
    everything = get(app, "/models").json()
    page = get(app, "/models?offset=2&limit=3").json()
    assert page["data"] == everything["data"][2:5] and page["total_count"] == len(everything["data"])
    assert "offset=5" in page["links"]["next"] and everything["links"]["next"] is None
    able = get(app, "/models?supported_parameters=structured_outputs&max_price=0").json()["data"]
    assert all("structured_outputs" in model["supported_parameters"] for model in able) and len(able) >= 4


def test_the_catalogue_holds_what_a_client_must_not_fall_for():
    ids = {model["id"]: model["pricing"]["prompt"] for model in get(emulation(), "/models").json()["data"]}
    assert {SAFETY, GATED, PAID, PAID + ":batch", FREE} <= set(ids)
    assert ids["openrouter/auto"] == "-1" and ids["emulated/lyria-3-clip-preview"] == "0"


def test_a_router_has_no_endpoints_and_a_model_one():
    assert get(emulation(), f"/models/{FREE}/endpoints").json()["data"]["endpoints"] == []
    (endpoint,) = get(emulation(), f"/models/{GLM}/endpoints").json()["data"]["endpoints"]
    assert endpoint["model_id"] == GLM


def test_models_come_and_go_by_time_and_by_requests():
    time = Time()
    app = emulation(
        f"""
        pool:
          models:
            - {{id: "emulated/late:free", like: "{GLM}", appears_at: 60}}
            - {{id: "{LFM}", vanishes_after: 2}}
        """,
        time=time,
    )
    ids = [{model["id"] for model in get(app, "/models").json()["data"]}]
    replies = ask(app, asking(model=LFM), asking(model=LFM))
    time.now += 60
    ids.append({model["id"] for model in get(app, "/models").json()["data"]})
    assert ids[1] - ids[0] == {"emulated/late:free"} and ids[0] - ids[1] == {LFM}
    assert [reply.status_code for reply in replies] == [200, 404]
    assert replies[1].json()["error"]["message"] == f"No endpoints found for {LFM}."


def test_the_minute_limit_counts_the_clock_minute_on_arrival():
    time = Time(NOON + 59)
    app = emulation("limits: {per_minute: 3, per_day: null}", time=time)
    statuses = [reply.status_code for reply in ask(app, *[asking()] * 4)]
    time.now += 1
    statuses += [reply.status_code for reply in ask(app, *[asking()] * 4)]
    assert statuses == [200, 200, 200, 429] * 2
    assert app.state.book.minute_429s == 2 and app.state.book.per_minute == {NOON // 60: 4, NOON // 60 + 1: 4}


def test_the_minute_429_names_its_reset_in_the_body_only_in_milliseconds():
    *_, reply = ask(emulation("limits: {per_minute: 1}", time=Time(NOON + 5)), asking(), asking())
    error = reply.json()["error"]
    assert error["message"] == "Rate limit exceeded: free-models-per-min. "
    assert error["metadata"]["limit_source"] == "openrouter_free_tier_per_minute"
    assert error["metadata"]["headers"] == {
        "X-RateLimit-Limit": "1",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(int(NOON + 60) * 1000),
    }
    assert "x-ratelimit-reset" not in reply.headers and "retry-after" not in reply.headers


@pytest.mark.parametrize(("limit", "message"), [(50, "free-models-per-day. Add 10"), (1000, "free-models-per-day-high-balance. ")])
def test_the_day_429_is_worded_by_the_account_s_tier(limit, message):
    app = emulation(f"limits: {{per_minute: null, per_day: {limit}, used_today: {limit}}}")
    (reply,) = ask(app, asking())
    error = reply.json()["error"]
    assert error["message"].startswith("Rate limit exceeded: " + message)
    assert error["metadata"]["headers"]["X-RateLimit-Reset"] == str((int(NOON) + 43_200) * 1000)


@pytest.mark.parametrize(
    ("hint", "in_body", "in_headers"),
    [("body", True, False), ("headers", False, True), ("both", True, True), ("seconds", True, False)],
)
def test_a_scenario_says_where_the_reset_is_told(hint, in_body, in_headers):
    (reply,) = ask(emulation(f"limits: {{per_day: 0, hint: {hint}}}"), asking())
    told = reply.json()["error"]["metadata"].get("headers", {}).get("X-RateLimit-Reset")
    assert (told is not None, "x-ratelimit-reset" in reply.headers) == (in_body, in_headers)
    assert told is None or (len(told) == 10) == (hint == "seconds")


def test_a_new_utc_day_begins_with_the_whole_quota():
    time = Time(NOON + 43_199)
    app = emulation("limits: {per_minute: null, per_day: 2}", time=time)
    statuses = [reply.status_code for reply in ask(app, *[asking()] * 3)]
    time.now += 1
    statuses += [reply.status_code for reply in ask(app, asking())]
    assert statuses == [200, 200, 429, 200]


def test_rejected_requests_count_unless_the_scenario_says_otherwise():
    for setting, used in ((True, 3), (False, 2)):
        app = emulation(f"limits: {{per_minute: null, per_day: 2, count_rejected: {str(setting).lower()}}}")
        ask(app, *[asking()] * 3)
        assert get(app, "/key").json()["data"]["free_model_daily_requests"] == {"limit": 2, "remaining": 0, "used": used}


def test_failed_requests_count_unless_the_scenario_says_otherwise():
    for setting, used in ((True, 2), (False, 1)):
        app = emulation(f"faults: [{{fault: upstream_502, nth: 1}}]\nlimits: {{count_failed: {str(setting).lower()}}}")
        ask(app, asking(), asking())
        assert get(app, "/key").json()["data"]["free_model_daily_requests"]["used"] == used


def test_paid_requests_do_not_count_against_the_free_quota():
    app = emulation("limits: {per_day: 50}")
    ask(app, asking(model=PAID))
    assert get(app, "/key").json()["data"]["free_model_daily_requests"]["used"] == 0


def test_the_counter_of_the_key_lags():
    time = Time()
    app = emulation("limits: {per_day: 50, key_lag: 60}", time=time)
    ask(app, asking(), asking())
    used = []
    for seconds in (0, 59, 1):
        time.now += seconds
        used.append(get(app, "/key").json()["data"]["free_model_daily_requests"]["used"])
    assert used == [0, 0, 2]


def test_the_key_may_claim_something_else_than_what_is_enforced():
    app = emulation("limits: {per_day: 1, told_per_day: 50}\nkey: {is_free_tier: false}")
    data = get(app, "/auth/key").json()["data"]
    assert data["free_model_daily_requests"]["limit"] == 50 and data["is_free_tier"] is False
    assert [reply.status_code for reply in ask(app, asking(), asking())] == [200, 429]


def test_a_generation_is_known_after_its_lag_and_a_failed_one_never():
    time = Time()
    app = emulation("generation_lag: 60\nfaults: [{fault: upstream_502, nth: 2}]", time=time)
    good, bad = ask(app, asking(), asking())
    early = get(app, f"/generation?id={good.json()['id']}")
    time.now += 60
    late = get(app, f"/generation?id={good.json()['id']}")
    assert (early.status_code, late.status_code) == (404, 200)
    assert late.json()["data"]["model"] == good.json()["model"]
    assert get(app, f"/generation?id={bad.headers['x-generation-id']}").status_code == 404


def test_thinking_models_reason_unless_it_is_switched_off_or_hidden():
    reasons = [
        ask(emulation(), asking(model=model, **members))[0].json()["choices"][0]["message"].get("reasoning")
        for model, members in (
            (LFM, {}),
            (LFM, {"reasoning": {"exclude": True}}),
            (GLM, {}),
            (GLM, {"reasoning": {"effort": "low"}}),
        )
    ]
    assert [reason is not None for reason in reasons] == [True, False, False, True]


def test_the_completion_limit_cuts_the_answer():
    replies = ask(emulation(), asking(model=GLM, max_tokens=3), asking(model=LFM, max_tokens=3))
    choices = [reply.json()["choices"][0] for reply in replies]
    assert [choice["finish_reason"] for choice in choices] == ["length", "length"]
    assert len(choices[0]["message"]["content"]) == 12
    assert choices[1]["message"]["content"] == ""
    assert replies[1].json()["usage"]["completion_tokens_details"]["reasoning_tokens"] == 3


def test_a_stream_says_what_the_plain_reply_says():
    plain, streamed = ask(emulation(), asking(model=GLM), asking(model=GLM, stream=True))
    assert streamed.headers["content-type"] == "text/event-stream"
    assert streamed.text.startswith(": OPENROUTER PROCESSING\n\n") and streamed.text.endswith("data: [DONE]\n\n")
    chunks = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: {")]
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks) == content(plain)
    assert chunks[-1]["usage"]["total_tokens"] == plain.json()["usage"]["total_tokens"]


def test_the_book_keeps_everything_but_the_key(tmp_path):
    path = tmp_path / "book.jsonl"
    app = emulation("faults: [{fault: upstream_502, nth: 2}]", book_path=path)
    ask(app, asking("one", GLM), asking("two", GLM))
    first, second = app.state.book.posts
    assert first.at == NOON and first.body["messages"][0]["content"] == "one" and first.delivered
    assert list(first.rows) == ["one"] and first.rows == {"one": app.state.book.answers()["one"][0]}
    assert (second.status, second.fault, second.rows) == (502, "upstream_502", {})
    assert app.state.book.per_day == {"2026-10-07": 2}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["number"], line["fault"]) for line in lines] == [(1, None), (2, "upstream_502")]
    assert "sk-or" not in path.read_text() + str([post.headers for post in app.state.book.posts])
