"""The account of the emulated service: its limits, its key, its generations, and the request log."""

from __future__ import annotations

import json

import pytest
from support.emulated import GLM, LFM, PAID, ask, asking, content, emulation, get
from support.virtual_time import NOON, VirtualTime


def test_the_minute_limit_counts_the_clock_minute_on_arrival():
    time = VirtualTime(NOON + 59)
    app = emulation("limits: {per_minute: 3, per_day: null}", time=time)
    statuses = [reply.status_code for reply in ask(app, *[asking()] * 4)]
    time.pass_by(1)
    statuses += [reply.status_code for reply in ask(app, *[asking()] * 4)]
    assert statuses == [200, 200, 200, 429] * 2
    assert [request.fault for request in app.state.log.requests].count("minute_429") == 2
    assert app.state.log.per_minute == {NOON // 60: 4, NOON // 60 + 1: 4}


def test_the_minute_429_names_its_reset_in_the_body_only_in_milliseconds():
    *_, reply = ask(emulation("limits: {per_minute: 1}", time=VirtualTime(NOON + 5)), asking(), asking())
    error = reply.json()["error"]
    assert error["message"] == "Rate limit exceeded: free-models-per-min. "
    assert error["metadata"]["limit_source"] == "openrouter_free_tier_per_minute"
    assert error["metadata"]["headers"] == {
        "X-RateLimit-Limit": "1",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(int(NOON + 60) * 1000),
    }
    assert "x-ratelimit-reset" not in reply.headers
    assert "retry-after" not in reply.headers


@pytest.mark.parametrize(
    ("limit", "message"), [(50, "free-models-per-day. Add 10"), (1000, "free-models-per-day-high-balance. ")]
)
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
    time = VirtualTime(NOON + 43_199)
    app = emulation("limits: {per_minute: null, per_day: 2}", time=time)
    statuses = [reply.status_code for reply in ask(app, *[asking()] * 3)]
    time.pass_by(1)
    statuses += [reply.status_code for reply in ask(app, asking())]
    assert statuses == [200, 200, 429, 200]


def test_rejected_requests_count_unless_the_scenario_says_otherwise():
    for setting, used in ((True, 3), (False, 2)):
        app = emulation(f"limits: {{per_minute: null, per_day: 2, count_rejected: {str(setting).lower()}}}")
        ask(app, *[asking()] * 3)
        assert get(app, "/key").json()["data"]["free_model_daily_requests"] == {
            "limit": 2,
            "remaining": 0,
            "used": used,
        }


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
    time = VirtualTime()
    app = emulation("limits: {per_day: 50, key_lag: 60}", time=time)
    ask(app, asking(), asking())
    used = []
    for seconds in (0, 59, 1):
        time.pass_by(seconds)
        used.append(get(app, "/key").json()["data"]["free_model_daily_requests"]["used"])
    assert used == [0, 0, 2]


def test_the_key_may_claim_something_else_than_what_is_enforced():
    app = emulation("limits: {per_day: 1, told_per_day: 50}\nkey: {is_free_tier: false}")
    data = get(app, "/auth/key").json()["data"]
    assert data["free_model_daily_requests"]["limit"] == 50
    assert data["is_free_tier"] is False
    assert [reply.status_code for reply in ask(app, asking(), asking())] == [200, 429]


def test_a_generation_is_known_after_its_lag_and_a_failed_one_never():
    time = VirtualTime()
    app = emulation("generation_lag: 60\nfaults: [{fault: upstream_502, nth: 2}]", time=time)
    good, bad = ask(app, asking(), asking())
    early = get(app, f"/generation?id={good.json()['id']}")
    time.pass_by(60)
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
    assert streamed.text.startswith(": OPENROUTER PROCESSING\n\n")
    assert streamed.text.endswith("data: [DONE]\n\n")
    chunks = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: {")]
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks) == content(plain)
    assert chunks[-1]["usage"]["total_tokens"] == plain.json()["usage"]["total_tokens"]


def test_the_log_keeps_everything_except_the_key(tmp_path):
    path = tmp_path / "requests.jsonl"
    app = emulation("faults: [{fault: upstream_502, nth: 2}]", log_path=path)
    ask(app, asking("one", GLM), asking("two", GLM))
    first, second = app.state.log.requests
    assert first.at == NOON
    assert first.body["messages"][0]["content"] == "one"
    assert first.delivered
    assert list(first.rows) == ["one"]
    assert first.rows == {"one": app.state.log.answers()["one"][0]}
    assert (second.status, second.fault, second.rows) == (502, "upstream_502", {})
    assert app.state.log.per_day == {"2026-10-06": 2}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["number"], line["fault"]) for line in lines] == [(1, None), (2, "upstream_502")]
    assert "sk-or" not in path.read_text() + str([logged.headers for logged in app.state.log.requests])
