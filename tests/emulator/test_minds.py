"""What the emulated models say: labels, schemas, packs, tools, pictures, prose."""

from __future__ import annotations

import json

import jsonschema
import pytest
from support.emulated import CODE, GEMMA, GLM, SURE, ask, asking, content, emulation, said

from batchfree.emulator.mind.choose_label import choose_label
from batchfree.emulator.mind.fill_schema import SchemaFiller

MOODS = "Classify the sentiment. Answer with one of these labels:\n- positive\n- negative\n- neutral"
INVOICE = (
    "Invoice from Acme Tools to Jane Miller, jane.miller@example.com, dated 2026-03-03. "
    "Order number: 4711. Two drills in Berlin, paid. Total: 129.90"
)
ORDER = {
    "type": "object",
    "properties": {
        "customer": {"type": "string"},
        "email": {"type": "string", "format": "email"},
        "date": {"type": "string", "format": "date"},
        "order_number": {"type": "integer"},
        "total": {"type": "number"},
        "city": {"$ref": "#/$defs/place"},
        "paid": {"type": "boolean"},
        "website": {"anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}]},
        "items": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
        "kind": {"enum": ["invoice", "complaint", "question"]},
    },
    "required": ["customer", "email", "date", "order_number", "total", "city", "paid", "items", "kind"],
    "additionalProperties": False,
    "$defs": {"place": {"type": "string", "minLength": 2}},
}


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("What a wonderful film, I loved every minute", ["positive", "negative"], "positive"),
        ("A boring film, a waste of time", ["positive", "negative"], "negative"),
        ("The film lasts two hours", ["positive", "negative", "neutral"], "neutral"),
        ("My card has still not arrived", ["card_arrival", "lost_or_stolen_card", "exchange_rate"], "card_arrival"),
        ("set an alarm for tomorrow", ["utility", "travel", "banking"], "utility"),
        ("Was the refund shown?", ["Refund_not_showing_up", "top_up_failed"], "Refund_not_showing_up"),
    ],
)
def test_labels_are_chosen_by_shared_words_and_cues(text, options, expected):
    assert choose_label(text, options, right=None, errs=0.0, accuracy=1.0) == expected


def test_a_model_errs_as_often_as_its_accuracy_says():
    options = ["positive", "negative", "neutral"]
    chosen = [choose_label("good", options, right="positive", errs=n / 1000, accuracy=0.8) for n in range(1000)]
    assert chosen.count("positive") == 800
    assert set(chosen) == set(options)


@pytest.mark.parametrize("place", ["system", "user"])
def test_a_label_of_the_bulleted_list_is_the_answer(place):
    body = asking("A wonderful, charming film!", GLM)
    if place == "system":
        body["messages"].insert(0, {"role": "system", "content": MOODS})
    else:
        body["messages"][0]["content"] += "\n\n" + MOODS
    assert said(body) == "positive"


def test_every_model_writes_labels_in_its_own_style():
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
    filled = SchemaFiller(ORDER, INVOICE, lambda text, options: options[0]).fill(ORDER)
    jsonschema.validate(filled, ORDER, format_checker=jsonschema.FormatChecker())
    assert filled == {
        "customer": "Acme Tools",
        "email": "jane.miller@example.com",
        "date": "2026-03-03",
        "order_number": 4711,
        "total": 129.9,
        "city": "Berlin",
        "paid": True,
        "website": None,
        "items": ["Invoice", "Acme Tools"],
        "kind": "invoice",
    }


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
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"required": ["b"]},
            ]
        },
        {"type": ["null", "integer"]},
        {"type": ["integer", "string"]},
        {"type": "array", "items": {"type": "string", "format": "email"}, "minItems": 1},
        {"type": "object", "properties": {"d": {"type": "string", "format": "date-time"}}, "required": ["d"]},
        {
            "type": "array",
            "items": {"$ref": "#/$defs/n"},
            "minItems": 1,
            "$defs": {"n": {"type": "object", "properties": {}}},
        },
        {"type": "null"},
        {"type": "array", "items": True, "minItems": 2},
        {"anyOf": [True, {"type": "null"}]},
        {"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}], "$defs": {"n": {"type": "integer"}}},
        {},
    ],
)
@pytest.mark.parametrize("text", ["", "9" * 400, "Some words, 3 numbers 44 and 2.5 of 2025-05-07", INVOICE])
def test_whatever_the_text_the_value_satisfies_the_schema(schema, text):
    filled = SchemaFiller(schema, text, lambda text, options: options[-1]).fill(schema)
    jsonschema.validate(filled, schema, format_checker=jsonschema.FormatChecker())


BRANCHING = {"type": "object", "properties": {name: {"$ref": "#"} for name in "abcdefgh"}}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "boolean"}, "minItems": 10**9},
        {"type": "array", "items": {"type": "array", "minItems": 10**6}, "minItems": 1e5},
        {"type": "string", "minLength": 10**12},
        {"type": "number", "multipleOf": 1e-320, "minimum": 3},
        BRANCHING,
    ],
)
def test_an_answer_stays_small_whatever_its_schema_asks_for(schema):
    filled = SchemaFiller(schema, "Some words", lambda text, options: options[-1]).fill(schema)
    assert len(json.dumps(filled)) < 2_000_000


def test_a_model_that_lists_structured_outputs_obeys_response_format():
    wanted = {"type": "json_schema", "json_schema": {"name": "order", "strict": True, "schema": ORDER}}
    filled = json.loads(said(asking(INVOICE, GLM, response_format=wanted), "pool: {follows: 0.0}"))
    jsonschema.validate(filled, ORDER)


def test_a_model_that_does_not_list_it_ignores_the_schema_but_follows_words():
    wanted = {"type": "json_schema", "json_schema": {"name": "order", "schema": ORDER}}
    ignored = said(asking(INVOICE, CODE, response_format=wanted))
    words = (
        f"Answer with JSON that satisfies this JSON Schema:\n{json.dumps(ORDER, separators=(',', ':'))}\nNothing else."
    )
    body = asking(INVOICE, CODE)
    body["messages"].insert(0, {"role": "system", "content": words})
    assert ignored.startswith("In short:")
    jsonschema.validate(json.loads(said(body)), ORDER)
    assert said(body, "pool: {follows: 0.0}").startswith("Well, I would say")


def test_json_mode_gives_an_object():
    assert set(json.loads(said(asking("Hello", GEMMA, response_format={"type": "json_object"})))) == {"answer"}
