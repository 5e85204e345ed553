"""How the emulated models answer packs, tools, pictures and complaints."""

from __future__ import annotations

import base64
import json
import struct
from xml.sax.saxutils import escape

import pytest
from support.emulated import CODE, GEMMA, GLM, SURE, ask, asking, content, emulation, said

from batchfree.emulator.mind.fill_schema import numbers_in, summary
from batchfree.emulator.mind.picture import UNSEEN, describe_picture

MOODS = "Classify the sentiment. Answer with one of these labels:\n- positive\n- negative\n- neutral"


PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 8, 4)


def data_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


def seeing(data: bytes, text: str) -> list[dict]:
    """The messages of a request with one picture."""
    picture = {"type": "image_url", "image_url": {"url": data_url(data)}}
    return [{"role": "user", "content": [{"type": "text", "text": text}, picture]}]


def pack(schema: dict, texts: dict[str, str], words: str) -> dict:
    rows = "\n".join(f'<row id="{code}">{escape(text)}</row>' for code, text in texts.items())
    properties = {code: {"$ref": "#/$defs/answer"} for code in texts}
    whole = {
        "type": "object",
        "properties": properties,
        "required": list(texts),
        "additionalProperties": False,
        "$defs": {"answer": schema},
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "pack", "strict": True, "schema": whole}}
    messages = [{"role": "system", "content": words}, {"role": "user", "content": "The rows:\n" + rows}]
    return {"messages": messages, "response_format": wanted}


TEXTS = {"k3x9": "a <great> film & fun", "t7qd": "boring, dull and bad", "m2vc": "wonderful acting"}


@pytest.mark.parametrize("model", [GLM, GEMMA, CODE])
def test_a_pack_is_answered_row_by_row_under_its_codes(model):
    body = pack({"enum": ["positive", "negative"]}, TEXTS, MOODS + "\nReply with one JSON object.")
    app = emulation(SURE)
    (reply,) = ask(app, body | {"model": model})
    assert json.loads(content(reply)) == {"k3x9": "positive", "t7qd": "negative", "m2vc": "positive"}
    assert app.state.log.requests[0].rows == dict(
        zip(TEXTS.values(), ['"positive"', '"negative"', '"positive"'], strict=True)
    )


def test_a_pack_of_schemas_is_filled_row_by_row():
    schema = {"type": "object", "properties": {"year": {"type": "integer"}}, "required": ["year"]}
    body = pack(schema, {"aaaa": "built in 1999", "bbbb": "in May 2024"}, "Answer every row.")
    assert json.loads(said(body | {"model": GLM})) == {"aaaa": {"year": 1999}, "bbbb": {"year": 2024}}


def test_a_tool_is_called_with_arguments_from_the_text():
    def tool(name: str, **properties: dict) -> dict:
        parameters = {"type": "object", "properties": properties, "required": list(properties)}
        return {
            "type": "function",
            "function": {"name": name, "description": name.replace("_", " "), "parameters": parameters},
        }

    tools = [
        tool("send_mail", email={"type": "string"}),
        tool("get_weather", city={"type": "string"}, days={"type": "integer"}),
    ]
    body = asking("What is the weather in Berlin in the next 3 days?", GLM, tools=tools)
    (reply,) = ask(emulation(SURE), body)
    choice = reply.json()["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Berlin", "days": 3}
    forced = ask(emulation(SURE), body | {"tool_choice": {"type": "function", "function": {"name": "send_mail"}}})[
        0
    ].json()
    assert forced["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "send_mail"
    assert said(body | {"tool_choice": "none"}).startswith("In short")


def test_a_picture_is_described_by_its_format_and_size():
    answer = said({"model": GEMMA, "messages": seeing(PNG, "What is this?")})
    assert answer.startswith("A PNG picture, 8 × 4 pixels, landscape. (Emulated answer of")


def test_the_answer_about_a_picture_is_one_of_the_labels():
    messages = seeing(PNG, "Which colour?\nOne of these labels:\n- red\n- green\n- blue")
    assert said({"model": GEMMA, "messages": messages}) in ("red", "green", "blue")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", UNSEEN),
        (PNG[:20], UNSEEN),
        (b"BM", UNSEEN),
        (b"\xff\xd8\xff", "A JPEG picture."),
        (b"GIF89a\x02\0\x03\0", "A GIF picture, 2 × 3 pixels, portrait."),
        (b"RIFF\0\0\0\0WEBPVP8 ", "A WebP picture."),
    ],
)
def test_odd_pictures_do_no_harm(data, sentence):
    assert describe_picture(data_url(data)) == sentence


@pytest.mark.parametrize("url", ["https://a.example/b.png", "data:image/png;base64,?", "data:image/png,abc"])
def test_a_picture_elsewhere_is_not_fetched(url):
    assert describe_picture(url) == UNSEEN


def test_a_complaint_about_the_answer_is_understood():
    body = asking("A wonderful film", GLM)
    body["messages"] = [
        {"role": "system", "content": MOODS},
        *body["messages"],
        {"role": "assistant", "content": "hm"},
        {"role": "user", "content": "That was no label: it is bad."},
    ]
    assert said(body) == "positive"


def test_a_sum_is_worked_out_and_prose_says_that_it_is_an_emulation():
    assert said(asking("What is 17 + 25?", GLM)) == "42."
    assert "Emulated answer of glm-5.2:free" in said(asking("Tell me of Rome.", GLM))


def test_the_classifier_answers_everything_with_a_verdict():
    verdicts = {said(asking(f"Hello {n}", "emulated/nemotron-3.5-content-safety:free")) for n in range(30)}
    assert "User Safety: safe" in verdicts
    assert len(verdicts) > 4


def test_numbers_and_the_first_sentence_are_found_in_a_text():
    assert numbers_in("1,299.50 for 3 of -4 on 2026-01-02") == [1299.5, 3, -4]
    assert summary("One 2.5 two. Three? Four") == "One 2.5 two."
    assert summary("") == ""
