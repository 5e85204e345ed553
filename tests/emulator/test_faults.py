"""Every fault by its name, and what it makes of a reply."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from support.emulated import GLM, ask, asking, content, emulation, played

from batchfree.emulator.faults import FAULTS

CODES = ["k3x9", "t7qd", "m2vc", "p8wz", "a5rn", "b6sk", "c9th", "d4uj"]
PACK = "\n".join(f'<row id="{code}">text number {number} is good &amp; fine</row>' for number, code in enumerate(CODES))
PACK_ROWS = [f"text number {number} is good & fine" for number in range(len(CODES))]
LABELS = "Choose for every row one of these labels:\n- positive\n- negative"


def pack_body(**members: object) -> dict:
    messages = [{"role": "system", "content": LABELS}, {"role": "user", "content": PACK}]
    return {"model": GLM, "messages": messages, **members}


def packed(fault: str, **options: object) -> tuple[str, dict[str, str], str]:
    """The reply to a pack under a fault, the rows in the request log, and the reply without the fault."""
    app = emulation(f"faults: [{{fault: {fault}, nth: 1, with: {json.dumps(options)}}}]\npool: {{follows: 1.0}}")
    spoiled, plain = ask(app, pack_body(), pack_body())
    return content(spoiled), dict(app.state.log.requests[0].rows), content(plain)


@pytest.mark.parametrize("fault", [name for name, fault in FAULTS.items() if fault.refuse])
def test_every_refusal_is_an_error_envelope_with_its_status(fault):
    reply = played(fault)
    error = reply.json()["error"]
    status = 200 if fault.endswith("_200") else error["code"]
    assert reply.status_code == status
    assert fault.endswith(f"_{status}")
    assert error["message"]
    assert reply.headers["content-type"] == "application/json"


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
    assert "retry-after" not in plain.headers
    assert "retry_after_seconds" not in plain.json()["error"]["metadata"]
    assert hinted.headers["retry-after"] == "17"
    assert hinted.json()["error"]["metadata"]["retry_after_seconds"] == 17
    assert played("overloaded_503", seconds=9).headers["retry-after"] == "9"


@pytest.mark.parametrize(
    ("options", "choices"), [({}, "absent"), ({"choices": "null"}, None), ({"choices": "empty"}, [])]
)
def test_an_error_inside_a_200_comes_with_or_without_choices(options, choices):
    body = played("error_200", **options).json()
    assert body["error"]["code"] == 502
    assert body.get("choices", "absent") == choices


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
    assert choice["finish_reason"] == "error"
    assert choice["error"]["code"] == 502
    assert choice["message"]["content"]


def test_a_stream_breaks_off_with_an_error_chunk():
    streamed = played("error_in_choice", asking(model=GLM, stream=True)).text
    chunks = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
    (failed,) = [chunk for chunk in chunks if "error" in chunk]
    assert failed["choices"][0]["finish_reason"] == "error"
    assert failed["error"]["code"] == 502


def test_an_answer_can_be_charged_and_a_paid_model_can_answer():
    assert played("charged").json()["usage"]["cost"] == 0.0001
    assert played("paid_model").json()["model"] == "emulated/glm-5.2"
    app = emulation("faults: [{fault: charged}]")
    ask(app, asking(model=GLM))
    assert len(app.state.log.paid) == 1


@pytest.mark.parametrize(
    ("fault", "begins", "ends"),
    [("fenced", "```json\n", "\n```"), ("trailing_comma", '{"k3x9": ', ",}"), ("thinking", "<think>", "}")],
)
def test_texts_are_wrapped_and_the_answer_stays_readable(fault, begins, ends):
    spoiled, rows, plain = packed(fault)
    assert spoiled.startswith(begins)
    assert spoiled.endswith(ends)
    assert sorted(rows) == PACK_ROWS
    assert plain[1:-1] in spoiled


def test_lost_rows_are_missing_in_the_reply_and_in_the_book():
    spoiled, rows, plain = packed("lose_rows", share=0.5)
    kept = json.loads(spoiled)
    assert 0 < len(kept) < len(CODES)
    assert kept.items() <= json.loads(plain).items()
    assert len(rows) == len(kept)


def test_permuted_rows_keep_their_codes():
    spoiled, rows, plain = packed("permute")
    assert json.loads(spoiled) == json.loads(plain)
    assert spoiled != plain
    assert len(rows) == len(CODES)


def test_renumbered_rows_have_lost_their_codes():
    spoiled, rows, _ = packed("renumber")
    assert list(json.loads(spoiled)) == [str(number) for number in range(1, 9)]
    assert rows == {}


def test_duplicate_codes_come_twice_with_different_values():
    spoiled, rows, _ = packed("duplicate_codes", share=0.5)
    counts = Counter(code for code in CODES for _ in range(spoiled.count(f'"{code}"')))
    twice = [code for code in CODES if counts[code] == 2]
    assert twice
    assert len(rows) == len(CODES) - len(twice)


def test_unknown_codes_stand_beside_the_known_ones():
    spoiled, rows, plain = packed("unknown_codes", count=3)
    assert len(json.loads(spoiled)) == len(CODES) + 3
    assert len(rows) == len(CODES)
    assert json.loads(plain).items() <= json.loads(spoiled).items()


def test_a_truncated_pack_keeps_its_whole_pairs_in_the_log():
    spoiled, rows, plain = packed("truncate", share=0.5)
    assert plain.startswith(spoiled)
    assert 0 < len(rows) < len(CODES)


def test_prose_between_pairs_loses_no_answer():
    spoiled, rows, _ = packed("interleave")
    assert "For this one I would say" in spoiled
    assert len(rows) == len(CODES)
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(spoiled)


def test_wrong_labels_are_none_that_was_offered():
    spoiled, rows, _ = packed("wrong_rows", share=0.5)
    wrong = [value for value in json.loads(spoiled).values() if value == "perhaps"]
    assert 0 < len(wrong) < len(CODES)
    assert len(rows) == len(CODES) - len(wrong)
