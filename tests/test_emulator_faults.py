"""Every fault by name, and the rules that say when one is played."""

from __future__ import annotations

import json
from collections import Counter

import anyio
import httpx
import pytest
from emulated import FREE, NOON, Time, ask, asking, client, content, emulation

from batchfree.emulator.faults import FAULTS

GLM, LFM = "emulated/glm-5.2:free", "emulated/lfm-2.5-2.6b:free"
CODES = ["k3x9", "t7qd", "m2vc", "p8wz", "a5rn", "b6sk", "c9th", "d4uj"]
PACK = "\n".join(f'<row id="{code}">text number {number} is good &amp; fine</row>' for number, code in enumerate(CODES))
PACK_ROWS = [f"text number {number} is good & fine" for number in range(len(CODES))]
LABELS = "Choose for every row one of these labels:\n- positive\n- negative"


def played(fault: str, body: dict | None = None, **options: object) -> httpx.Response:
    """The reply to one request when a fault is played."""
    app = emulation(f"faults: [{{fault: {fault}, with: {json.dumps(options)}}}]")
    (reply,) = ask(app, body or asking(model=GLM))
    assert app.state.book.posts[0].fault == fault
    return reply


def pack_body(**members: object) -> dict:
    messages = [{"role": "system", "content": LABELS}, {"role": "user", "content": PACK}]
    return {"model": GLM, "messages": messages, **members}


def packed(fault: str, **options: object) -> tuple[str, dict[str, str], str]:
    """The pack's reply under a fault, the book's rows, and the reply without it."""
    app = emulation(f"faults: [{{fault: {fault}, nth: 1, with: {json.dumps(options)}}}]\npool: {{follows: 1.0}}")
    spoiled, plain = ask(app, pack_body(), pack_body())
    return content(spoiled), dict(app.state.book.posts[0].rows), content(plain)


@pytest.mark.parametrize("fault", [name for name, fault in FAULTS.items() if fault.refuse])
def test_every_refusal_is_an_error_envelope_with_its_status(fault):
    reply = played(fault)
    error = reply.json()["error"]
    status = 200 if fault.endswith("_200") else error["code"]
    assert reply.status_code == status and (fault.endswith("_200") or fault.endswith(f"_{status}"))
    assert error["message"] and reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("provider_401", {"metadata": {"provider_name": "Emulated GLM"}, "message": "Provider returned error"}),
        ("credits_402", {"metadata": {"limit_source": "openrouter_credits"}}),
        ("agent_403", {"metadata": {"failed_routing_step": "Gate Free Endpoints by Agentic Harness"}}),
        ("moderation_403", {"metadata": {"model_slug": GLM, "reasons": ["violence"]}}),
        ("guardrail_403", {"metadata": {"patterns": ["secret"]}}),
        ("privacy_404", {"metadata": {"failed_routing_step": "Filter by Data Policy"}}),
        ("free_ended_404", {"availability": {"code": "free_variant_ended", "fallback_models": ["emulated/glm-5.2"]}}),
        ("parameters_404", {"metadata": {"failed_routing_step": "Filter by Parameters"}}),
        ("upstream_429", {"metadata": {"limit_source": "upstream_provider_shared_pool"}}),
        ("day_429", {"metadata": {"limit_source": "openrouter_free_tier_daily"}}),
        ("minute_429", {"metadata": {"limit_source": "openrouter_free_tier_per_minute"}}),
        ("overloaded_200", {"code": 503, "metadata": {"error_type": "provider_overloaded"}}),
    ],
)
def test_refusals_can_be_told_apart_by_what_was_recorded(fault, found):
    error = played(fault).json()["error"]
    for key, value in found.items():
        assert error[key] == value if not isinstance(value, dict) else value.items() <= error[key].items()


def test_an_upstream_429_comes_with_and_without_a_hint():
    plain, hinted = played("upstream_429"), played("upstream_429", seconds=17)
    assert "retry-after" not in plain.headers and "retry_after_seconds" not in plain.json()["error"]["metadata"]
    assert hinted.headers["retry-after"] == "17" and hinted.json()["error"]["metadata"]["retry_after_seconds"] == 17
    assert played("overloaded_503", seconds=9).headers["retry-after"] == "9"


@pytest.mark.parametrize(
    ("options", "choices"), [({}, "absent"), ({"choices": "null"}, None), ({"choices": "empty"}, [])]
)
def test_an_error_inside_a_200_comes_with_or_without_choices(options, choices):
    body = played("error_200", **options).json()
    assert body["error"]["code"] == 502 and body.get("choices", "absent") == choices


@pytest.mark.parametrize(
    ("fault", "options", "expected", "finish"),
    [
        ("content_null", {}, None, "stop"),
        ("content_null", {"finish_reason": ""}, None, None),
        ("content_blank", {"content": " \n"}, " \n", "stop"),
        ("all_reasoning", {}, "", "length"),
        ("content_filter", {}, "", "content_filter"),
        ("refusal", {}, None, "stop"),
        ("verdict", {"form": 4}, '{"safety":"safe"}', "stop"),
        ("verdict", {"form": 1}, "User Safety: safe\nResponse Safety: safe", "stop"),
    ],
)
def test_spoiled_answers_look_as_recorded(fault, options, expected, finish):
    choice = played(fault, **options).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (expected, finish)
    assert (choice["message"]["refusal"] is not None) == (fault == "refusal")


def test_choices_can_be_missing_without_an_error():
    assert played("choices_empty").json()["choices"] == []
    assert played("choices_empty", value="null").json()["choices"] is None


def test_a_choice_can_carry_the_error_and_half_the_text():
    choice = played("error_in_choice").json()["choices"][0]
    assert choice["finish_reason"] == "error" and choice["error"]["code"] == 502 and choice["message"]["content"]


def test_a_stream_breaks_off_with_an_error_chunk():
    streamed = played("error_in_choice", asking(model=GLM, stream=True)).text
    chunks = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
    (failed,) = [chunk for chunk in chunks if "error" in chunk]
    assert failed["choices"][0]["finish_reason"] == "error" and failed["error"]["code"] == 502


def test_an_answer_can_be_charged_and_a_paid_model_can_answer():
    assert played("charged").json()["usage"]["cost"] == 0.0001
    assert played("paid_model").json()["model"] == "emulated/glm-5.2"
    app = emulation("faults: [{fault: charged}]")
    ask(app, asking(model=GLM))
    assert len(app.state.book.paid) == 1


@pytest.mark.parametrize(
    ("fault", "begins", "ends"),
    [("fenced", "```json\n", "\n```"), ("trailing_comma", '{"k3x9": ', ",}"), ("thinking", "<think>", "}")],
)
def test_texts_are_wrapped_and_the_answer_stays_readable(fault, begins, ends):
    spoiled, rows, plain = packed(fault)
    assert spoiled.startswith(begins) and spoiled.endswith(ends)
    assert sorted(rows) == PACK_ROWS and plain[1:-1] in spoiled


def test_lost_rows_are_missing_in_the_reply_and_in_the_book():
    spoiled, rows, plain = packed("lose_rows", share=0.5)
    kept = json.loads(spoiled)
    assert 0 < len(kept) < len(CODES) and kept.items() <= json.loads(plain).items()
    assert len(rows) == len(kept)


def test_permuted_rows_keep_their_codes():
    spoiled, rows, plain = packed("permute")
    assert json.loads(spoiled) == json.loads(plain) and spoiled != plain and len(rows) == len(CODES)


def test_renumbered_rows_have_lost_their_codes():
    spoiled, rows, _ = packed("renumber")
    assert list(json.loads(spoiled)) == [str(number) for number in range(1, 9)] and rows == {}


def test_duplicate_codes_come_twice_with_different_values():
    spoiled, rows, _ = packed("duplicate_codes", share=0.5)
    counts = Counter(code for code in CODES for _ in range(spoiled.count(f'"{code}"')))
    twice = [code for code in CODES if counts[code] == 2]
    assert twice and len(rows) == len(CODES) - len(twice)


def test_unknown_codes_stand_beside_the_known_ones():
    spoiled, rows, plain = packed("unknown_codes", count=3)
    assert len(json.loads(spoiled)) == len(CODES) + 3 and len(rows) == len(CODES)
    assert json.loads(plain).items() <= json.loads(spoiled).items()


def test_a_truncated_pack_keeps_its_whole_pairs_in_the_book():
    spoiled, rows, plain = packed("truncate", share=0.5)
    assert plain.startswith(spoiled) and 0 < len(rows) < len(CODES)


def test_prose_between_pairs_loses_no_answer():
    spoiled, rows, _ = packed("interleave")
    assert "For this one I would say" in spoiled and len(rows) == len(CODES)
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(spoiled)


def test_wrong_labels_are_none_that_was_offered():
    spoiled, rows, _ = packed("wrong_rows", share=0.5)
    wrong = [value for value in json.loads(spoiled).values() if value == "perhaps"]
    assert 0 < len(wrong) < len(CODES) and len(rows) == len(CODES) - len(wrong)


@pytest.mark.parametrize(
    ("fault", "options", "status", "kind"),
    [
        ("html_page", {}, 502, "text/html; charset=UTF-8"),
        ("wrong_type", {"type": "text/plain"}, 200, "text/plain"),
        ("redirect", {"status": 308}, 308, "text/plain"),
        ("not_json", {}, 200, "application/json"),
    ],
)
def test_wrong_wrappings(fault, options, status, kind):
    reply = played(fault, **options)
    assert (reply.status_code, reply.headers["content-type"]) == (status, kind)
    assert (fault == "redirect") == ("location" in reply.headers)


def test_broken_bytes_are_no_utf8_and_half_a_body_is_no_json():
    with pytest.raises(UnicodeDecodeError):
        played("broken_utf8").content.decode()
    with pytest.raises(ValueError, match="Unterminated|Expecting"):
        played("half_body").json()


@pytest.mark.parametrize(
    ("fault", "options", "seconds"),
    [
        ("padding", {"seconds": 20, "every": 1}, 20),
        ("comments", {"lines": 4, "every": 0.5}, 2),
        ("drip", {"bytes": 100, "every": 1}, None),
        ("silence", {"seconds": 600}, 600),
        ("only_blanks", {"seconds": 5, "every": 1}, 5),
    ],
)
def test_slow_bodies_take_their_time(fault, options, seconds):
    time = Time()
    app = emulation(f"faults: [{{fault: {fault}, with: {json.dumps(options)}}}]", time=time)
    (reply,) = ask(app, asking(model=GLM))
    assert time.now - NOON == seconds if seconds else time.now > NOON + 5
    text = reply.text.replace(": OPENROUTER PROCESSING", "").strip()
    assert (text == "") == (fault == "only_blanks")
    assert fault == "only_blanks" or json.loads(text)["model"] == GLM


def test_time_scale_shortens_every_wait():
    time = Time()
    ask(emulation("time_scale: 0.1\nfaults: [{fault: silence, with: {seconds: 100}}]", time=time), asking())
    assert time.now - NOON == pytest.approx(10)


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_cut_connection_is_a_protocol_error(share):
    with pytest.raises(httpx.RemoteProtocolError):
        played("cut", share=share)


def test_an_over_long_body_is_as_long_as_it_says():
    assert len(played("over_long", size=1_000_000).content) >= 900_000


def test_a_never_ending_body_ends_when_the_client_leaves():
    app = emulation("faults: [{fault: endless}]")

    async def main() -> float:
        with anyio.move_on_after(0.2) as scope:
            async with client(app) as http:
                await http.post("/chat/completions", json=asking())
        assert scope.cancelled_caught
        return app.state.book.posts[0].done_at

    assert anyio.run(main) > NOON
    assert app.state.book.posts[0].delivered is False


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("nth: 2", [2]),
        ("nth: [1, 4]", [1, 4]),
        ("nth: 2-4", [2, 3, 4]),
        ("nth: 5-", [5, 6]),
        ("nth: {every: 3}", [3, 6]),
        ("nth: {every: 3, from: 1}", [1, 4]),
        ("content: 'Number [35]'", [3, 5]),
        ("chance: 0", []),
        ("chance: 1", [1, 2, 3, 4, 5, 6]),
        ("model: 'emulated/lfm*', nth: 1, per: model", [2]),
        (f"model: [nobody/none, '{GLM}']", [1, 3, 5]),
        ("asked: openrouter/*", []),
        ("between: [2, 4]", [3, 4]),
        ("between: [4, null]", [5, 6]),
    ],
)
def test_a_rule_says_when_its_fault_is_played(rule, expected):
    time = Time()
    app = emulation(f"faults: [{{fault: server_500, {rule}}}]", time=time)
    for number in range(1, 7):
        ask(app, asking(f"Number {number}", model=GLM if number % 2 else LFM))
        time.now += 1
    assert [post.number for post in app.state.book.posts if post.status == 500] == expected


def test_chance_is_seeded_and_about_as_often_as_it_says():
    def failed(seed: int) -> list[str]:
        app = emulation(f"seed: {seed}\nfaults: [{{fault: server_500, chance: 0.3}}]")
        ask(app, *[asking(f"Number {number}", GLM) for number in range(300)])
        return [post.body["messages"][0]["content"] for post in app.state.book.posts if post.status == 500]

    assert failed(1) == failed(1) != failed(2)
    assert 60 < len(failed(1)) < 120


def test_a_rule_about_the_free_router_leaves_concrete_models_alone():
    app = emulation("faults: [{fault: upstream_429, asked: openrouter/free}]")
    assert [reply.status_code for reply in ask(app, asking(model=FREE), asking(model=GLM))] == [429, 200]


def test_faults_of_different_stages_add_up():
    app = emulation("faults: [{fault: fenced}, {fault: padding, with: {seconds: 2}}, {fault: charged}]")
    (reply,) = ask(app, asking(model=GLM))
    assert reply.text.startswith(" ") and content(reply).startswith("```") and reply.json()["usage"]["cost"] > 0
    assert app.state.book.posts[0].fault == "fenced+padding+charged"


def test_a_reply_can_be_given_word_for_word():
    app = emulation("faults: [{respond: {status: 418, headers: {X-Odd: 'yes'}, body: {error: {message: teapot}}}}]")
    (reply,) = ask(app, asking())
    assert (reply.status_code, reply.headers["x-odd"], reply.json()) == (418, "yes", {"error": {"message": "teapot"}})


def test_the_free_router_may_try_further_models_before_it_gives_up():
    app = emulation(f"router: {{tries: 3}}\nfaults: [{{fault: upstream_429, nth: {{every: 1}}, model: '*[!{LFM[-6]}]'}}]")
    (reply,) = ask(app, asking())
    assert reply.status_code == 429 and len(set(app.state.book.posts[0].tried)) == 3
