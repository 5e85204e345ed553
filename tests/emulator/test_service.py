"""The emulated service: catalogue, routing, quotas, keys and the form of requests."""

from __future__ import annotations

from collections import Counter

import pytest
from support.emulated import (
    CODE,
    FREE,
    GATED,
    GLM,
    IMAGE,
    LFM,
    PAID,
    SAFETY,
    SCHEMA,
    TOOLS,
    ask,
    asking,
    emulation,
    get,
)
from support.virtual_time import VirtualTime


def test_the_free_router_names_the_concrete_model_that_answered():
    (reply,) = ask(emulation(), asking())
    body = reply.json()
    assert reply.status_code == 200
    assert body["model"].startswith("emulated/")
    assert body["model"].endswith(":free")
    assert body["provider"].startswith("Emulated ")
    assert body["usage"]["cost"] == 0
    assert reply.headers["x-generation-id"] == body["id"]


def test_the_free_router_draws_every_model_of_its_pool_about_equally_often():
    app = emulation()
    ask(app, *[asking(f"Question {number}") for number in range(1100)])
    drawn = Counter(logged.model for logged in app.state.log.requests)
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
    drawn = {logged.model for logged in app.state.log.requests}
    assert all(ability in models[id].inputs | models[id].parameters for id in drawn)
    assert len(drawn) > 2


def test_equal_seeds_draw_equal_models_whatever_the_order_of_arrival():
    bodies = [asking(f"Question {number}") for number in range(20)]
    first, second = emulation(), emulation()
    ask(first, *bodies)
    ask(second, *reversed(bodies))
    by_prompt = [
        {logged.body["messages"][0]["content"]: logged.model for logged in app.state.log.requests}
        for app in (first, second)
    ]
    assert by_prompt[0] == by_prompt[1]


def test_the_same_request_again_is_drawn_anew():
    app = emulation()
    ask(app, *[asking() for _ in range(40)])
    assert len({logged.model for logged in app.state.log.requests}) > 5


def test_a_concrete_free_model_answers_itself():
    (reply,) = ask(emulation(), asking(model=GLM))
    assert reply.json()["model"] == GLM


def test_a_paid_model_answers_and_is_written_down_as_paid():
    app = emulation()
    (reply,) = ask(app, asking(model=PAID))
    assert reply.json()["usage"]["cost"] > 0
    assert [logged.model for logged in app.state.log.paid] == [PAID]


def test_a_request_without_a_model_is_answered_by_a_paid_one():
    app = emulation()
    ask(app, asking(model=None))
    assert len(app.state.log.paid) == 1


def test_a_list_of_models_fails_over_within_one_request_and_counts_once():
    app = emulation(f"faults: [{{fault: upstream_429, model: '{GLM}'}}]\nlimits: {{per_minute: 20, per_day: 50}}")
    (reply,) = ask(app, asking(model=GLM, models=[GATED, LFM]), headers={"X-OpenRouter-Metadata": "enabled"})
    assert reply.json()["model"] == LFM
    tried = reply.json()["openrouter_metadata"]["attempts"]
    assert [(attempt["model"], attempt["status"]) for attempt in tried] == [(GLM, 429), (GATED, 403), (LFM, 200)]
    assert get(app, "/key").json()["data"]["free_model_daily_requests"]["used"] == 1
    assert app.state.log.requests[0].tried == (GLM, GATED, LFM)


def test_if_every_model_of_a_list_fails_the_last_error_stands():
    app = emulation("faults: [{fault: upstream_429}, {fault: overloaded_529}]")
    (reply,) = ask(app, asking(model=GLM, models=[LFM]))
    assert reply.status_code == 429
    assert LFM in reply.json()["error"]["metadata"]["raw"]


def test_metadata_come_only_when_they_are_asked_for():
    plain, asked = (
        ask(emulation(), asking(), headers=headers)[0].json() for headers in ({}, {"X-OpenRouter-Metadata": "Enabled"})
    )
    assert "openrouter_metadata" not in plain
    data = asked["openrouter_metadata"]
    assert data["strategy"] == "free"
    assert data["requested"] == FREE
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
        (asking(model=CODE) | {"messages": [{"role": "user", "content": IMAGE}]}, 404, "No endpoints found that"),
        (asking(model=SAFETY, tools=TOOLS), 404, "No endpoints found that support tool use."),
        (asking(model=GLM, provider={"data_collection": "deny"}), 404, "No endpoints found matching your data policy"),
        (
            asking(model=CODE, response_format=SCHEMA, provider={"require_parameters": True}),
            404,
            "No endpoints found that",
        ),
        (asking(model=PAID, provider={"max_price": {"prompt": 0, "completion": 0}}), 404, "No endpoints found"),
        (asking(model="emulated/gemma-9:free"), 400, "emulated/gemma-9:free is not a valid model ID"),
        (asking(model=PAID + ":batch:free"), 404, "This model is unavailable for free."),
    ],
)
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
    assert reply.status_code == 400
    assert reply.json()["error"]["name"] == "ZodError"


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
    assert page["data"] == everything["data"][2:5]
    assert page["total_count"] == len(everything["data"])
    assert "offset=5" in page["links"]["next"]
    assert everything["links"]["next"] is None
    able = get(app, "/models?supported_parameters=structured_outputs&max_price=0").json()["data"]
    assert all("structured_outputs" in model["supported_parameters"] for model in able)
    assert len(able) >= 4


def test_the_catalogue_holds_what_a_client_must_not_fall_for():
    ids = {model["id"]: model["pricing"]["prompt"] for model in get(emulation(), "/models").json()["data"]}
    assert {SAFETY, GATED, PAID, PAID + ":batch", FREE} <= set(ids)
    assert ids["openrouter/auto"] == "-1"
    assert ids["emulated/lyria-3-clip-preview"] == "0"


def test_a_router_has_no_endpoints_and_a_model_one():
    assert get(emulation(), f"/models/{FREE}/endpoints").json()["data"]["endpoints"] == []
    (endpoint,) = get(emulation(), f"/models/{GLM}/endpoints").json()["data"]["endpoints"]
    assert endpoint["model_id"] == GLM


def test_models_come_and_go_by_time_and_by_requests():
    time = VirtualTime()
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
    time.pass_by(60)
    ids.append({model["id"] for model in get(app, "/models").json()["data"]})
    assert ids[1] - ids[0] == {"emulated/late:free"}
    assert ids[0] - ids[1] == {LFM}
    assert [reply.status_code for reply in replies] == [200, 404]
    assert replies[1].json()["error"]["message"] == f"No endpoints found for {LFM}."
