"""What the emulated models say: labels, schemas, packs, tools, pictures, prose."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from xml.sax.saxutils import escape

import jsonschema
import pytest
from emulated import ask, asking, content, emulation

from batchfree.emulator import finding, labels, pixels
from batchfree.emulator.forms import Form

GLM, CODE, GEMMA = "emulated/glm-5.2:free", "emulated/north-mini-code:free", "emulated/gemma-4-31b-it:free"
SURE = "pool: {accuracy: 1.0, follows: 1.0}"
MOODS = "Classify the sentiment. Answer with one of these labels:\n- positive\n- negative\n- neutral"
INVOICE = (
    "Invoice from Acme Tools to Jane Miller, jane.miller@example.com, dated 3 March 2026. "
    "Order number: 4711. Two drills in Berlin, total $129.90, paid."
)
ORDER = {
    "type": "object",
    "properties": {
        "customer": {"type": "string"},
        "email": {"type": "string", "format": "email"},
        "date": {"type": "string", "format": "date"},
        "order_number": {"type": "integer"},
        "total": {"type": "number"},
        "currency": {"type": ["string", "null"]},
        "city": {"$ref": "#/$defs/place"},
        "paid": {"type": "boolean"},
        "phone": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "items": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
        "kind": {"enum": ["invoice", "complaint", "question"]},
    },
    "required": ["customer", "email", "date", "order_number", "total", "city", "paid", "items", "kind"],
    "additionalProperties": False,
    "$defs": {"place": {"type": "string", "minLength": 2}},
}


def said(body: dict, scenario: str = SURE) -> str:
    (reply,) = ask(emulation(scenario), body)
    return content(reply)


def picture(colour: tuple[int, int, int], width: int = 8, height: int = 4, filtered: int = 0) -> bytes:
    """A PNG of one colour."""
    row = bytes([filtered]) + (bytes(colour) + bytes(3) * (width - 1) if filtered == 1 else bytes(colour) * width)
    body = zlib.compress(row * height)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def seeing(data: bytes, text: str = "What colour is this?") -> list[dict]:
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    return [{"role": "user", "content": [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]}]


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("What a wonderful film, I loved every minute", ["positive", "negative"], "positive"),
        ("This was not good, a boring waste of time", ["positive", "negative"], "negative"),
        ("Who wrote Hamlet ?", ["ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"], "HUM"),
        ("How many moons has Mars ?", ["description", "entity", "human", "location", "number"], "number"),
        ("where is the Nile ?", ["description", "entity", "human", "location", "number"], "location"),
        ("My card has still not arrived", ["card_arrival", "lost_or_stolen_card", "exchange_rate"], "card_arrival"),
        ("The coach praised his players after the match", ["World", "Sports", "Business", "Sci/Tech"], "Sports"),
        ("set an alarm for tomorrow's meeting room", ["utility", "travel", "banking"], "utility"),
        ("Is this positive or negative? A great book.", ["positive", "negative"], "positive"),
    ],
)
def test_labels_are_chosen_by_shared_words_moods_topics_and_questions(text, options, expected):
    assert labels.choose(text, options, right=None, errs=0.0, accuracy=1.0) == expected


def test_a_model_errs_as_often_as_its_accuracy_says():
    options = ["positive", "negative", "neutral"]
    chosen = [labels.choose("good", options, right="positive", errs=n / 1000, accuracy=0.8) for n in range(1000)]
    assert chosen.count("positive") == 800 and set(chosen) == set(options)


@pytest.mark.parametrize("place", ["system", "user"])
def test_a_label_of_the_bulleted_list_is_the_answer(place):
    body = asking("A wonderful, charming film!", GLM)
    if place == "system":
        body["messages"].insert(0, {"role": "system", "content": MOODS})
    else:
        body["messages"][0]["content"] += "\n\n" + MOODS
    assert said(body) == "positive"


def test_every_model_writes_labels_in_its_own_hand():
    body = asking("A wonderful, charming film!\n\n" + MOODS)
    app = emulation(SURE)
    replies = ask(app, *[body | {"model": model.id} for model in app.service.scenario.models if model.nature == "chat"])
    written = {content(reply) for reply in replies}
    assert written == {"positive", "Positive", "**positive**", "positive.", "Answer: positive"}


def test_a_model_asked_twice_says_the_same_and_two_models_err_apart():
    app = emulation("pool: {accuracy: 0.6, follows: 1.0, models: [{id: '*', style: bare}]}")
    prompts = [asking(f"film number {number} was good\n\n{MOODS}") for number in range(30)]
    answers = [[content(reply) for reply in ask(app, *[p | {"model": m} for p in prompts])] for m in (GLM, GLM, CODE)]
    assert answers[0] == answers[1] != answers[2]


def test_scripted_answers_are_the_truth_from_which_models_err():
    scenario = SURE + "\nanswers: [{match: 'capital of France', answer: Paris}]"
    assert said(asking("What is the capital of France?", GLM), scenario) == "Paris"
    options = "\nOne of these:\n- London\n- Paris"
    assert said(asking("The capital of France?" + options, GLM), scenario) == "Paris"


def test_a_schema_is_filled_from_the_text():
    filled = Form(ORDER, INVOICE, lambda text, options: options[0]).fill(ORDER)
    jsonschema.validate(filled, ORDER, format_checker=jsonschema.FormatChecker())
    assert filled == {
        "customer": "Jane Miller",
        "email": "jane.miller@example.com",
        "date": "2026-03-03",
        "order_number": 4711,
        "total": 129.9,
        "currency": "USD",
        "city": "Berlin",
        "paid": True,
        "phone": None,
        "items": ["Acme Tools", "Jane Miller"],
        "kind": "invoice",
    } or filled["customer"] in ("Jane Miller", "Acme Tools")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 1, "maximum": 5},
        {"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.5},
        {"type": "array", "items": {"type": "integer", "maximum": 9}, "minItems": 3},
        {"type": "string", "minLength": 5, "maxLength": 8},
        {"const": 7},
        {"enum": [1, 2, None, "x"]},
        {"oneOf": [{"type": "null"}, {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}]},
        {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"required": ["b"]}]},
        {"type": ["null", "integer"]},
        {"type": "object", "properties": {"d": {"type": "string", "format": "date-time"}}, "required": ["d"]},
        {"type": "array", "items": {"$ref": "#/$defs/n"}, "minItems": 1, "$defs": {"n": {"type": "object", "properties": {}}}},
        {"type": "null"},
        {},
    ],
)
@pytest.mark.parametrize("text", ["", "Some words, 3 numbers 44 and 2.5 of 7 May 2025", INVOICE])
def test_whatever_the_text_the_value_satisfies_the_schema(schema, text):
    filled = Form(schema, text, lambda text, options: options[-1]).fill(schema)
    jsonschema.validate(filled, schema)


def test_a_model_that_lists_structured_outputs_obeys_response_format():
    wanted = {"type": "json_schema", "json_schema": {"name": "order", "strict": True, "schema": ORDER}}
    filled = json.loads(said(asking(INVOICE, GLM, response_format=wanted), "pool: {follows: 0.0}"))
    jsonschema.validate(filled, ORDER)


def test_a_model_that_does_not_list_it_ignores_the_schema_but_follows_words():
    wanted = {"type": "json_schema", "json_schema": {"name": "order", "schema": ORDER}}
    ignored = said(asking(INVOICE, CODE, response_format=wanted))
    words = f"Answer with JSON that satisfies this JSON Schema:\n{json.dumps(ORDER, separators=(',', ':'))}\nNothing else."
    body = asking(INVOICE, CODE)
    body["messages"].insert(0, {"role": "system", "content": words})
    assert ignored.startswith("In short:")
    jsonschema.validate(json.loads(said(body)), ORDER)
    assert said(body, "pool: {follows: 0.0}").startswith("Well, I would say")


def test_json_mode_gives_an_object():
    assert set(json.loads(said(asking("Hello", GEMMA, response_format={"type": "json_object"})))) == {"answer"}


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
    assert app.state.book.posts[0].rows == dict(zip(TEXTS.values(), ['"positive"', '"negative"', '"positive"'], strict=True))


def test_a_pack_of_schemas_is_filled_row_by_row():
    schema = {"type": "object", "properties": {"year": {"type": "integer"}}, "required": ["year"]}
    body = pack(schema, {"aaaa": "built in 1999", "bbbb": "in May 2024"}, "Answer every row.")
    assert json.loads(said(body | {"model": GLM})) == {"aaaa": {"year": 1999}, "bbbb": {"year": 2024}}


def test_a_tool_is_called_with_arguments_from_the_text():
    def tool(name: str, **properties: dict) -> dict:
        parameters = {"type": "object", "properties": properties, "required": list(properties)}
        return {"type": "function", "function": {"name": name, "description": name.replace("_", " "), "parameters": parameters}}

    tools = [tool("send_mail", email={"type": "string"}), tool("get_weather", city={"type": "string"}, days={"type": "integer"})]
    body = asking("What is the weather in Berlin in the next 3 days?", GLM, tools=tools)
    (reply,) = ask(emulation(SURE), body)
    choice = reply.json()["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] is None
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Berlin", "days": 3}
    forced = ask(emulation(SURE), body | {"tool_choice": {"type": "function", "function": {"name": "send_mail"}}})[0].json()
    assert forced["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "send_mail"
    assert said(body | {"tool_choice": "none"}).startswith("In short")


def test_a_picture_is_described_by_what_its_bytes_say():
    text = said({"model": GEMMA, "messages": seeing(picture((220, 30, 30)))})
    assert "PNG picture, 8 × 4 pixels, landscape" in text and "red (100%)" in text
    described = pixels.look(picture((40, 70, 210), filtered=1))
    assert described is not None and described.dominant == "blue" and described.mean == (40, 70, 210)


def test_labels_and_schemas_see_the_picture_too():
    messages = seeing(picture((30, 160, 50)), "Which colour?\nOne of these labels:\n- red\n- green\n- blue")
    assert said({"model": GEMMA, "messages": messages}) == "green"


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"\xff\xd8\xff", b"GIF89a\x02\0\x03\0", b"RIFF\0\0\0\0WEBPVP8 "])
def test_odd_pictures_do_no_harm(data):
    described = pixels.look(data)
    assert described is None or described.describe()


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
    assert said(asking("What is 17 + 25?", GLM)).startswith("17 + 25 = 42.")
    assert "Emulated answer of glm-5.2:free" in said(asking("Tell me of Rome.", GLM))


def test_the_classifier_answers_everything_with_a_verdict():
    verdicts = {said(asking(f"Hello {n}", "emulated/nemotron-3.5-content-safety:free")) for n in range(30)}
    assert "User Safety: safe" in verdicts and len(verdicts) > 4


@pytest.mark.parametrize(
    ("find", "text", "expected"),
    [
        (finding.dates, "on 2026-02-30, 1 May 2025 and March 3, 2024; 4.5.2023", ["2025-05-01", "2024-03-03", "2023-05-04"]),
        (finding.numbers, "1,299.50 for 3 of -4 on 2026-01-02", [1299.5, 3, -4]),
        (finding.money, "$1,200.50 or 30 EUR", [1200.5, 30]),
        (finding.names, "The boat of Anna van Dyk met John in Paris.", ["Anna van Dyk", "John", "Paris"]),
        (finding.sentences, "One 2.5 two. Three? Four", ["One 2.5 two.", "Three?", "Four"]),
    ],
)
def test_values_are_found_in_texts(find, text, expected):
    assert find(text) == expected
