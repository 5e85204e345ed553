"""Answers: which replies hold one, which never do, and what is sent so that they can be read."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from batchfree import answers
from batchfree.answers import Answer, AnswerRule, Complaint
from batchfree.core.chat import ChatRequest, Completion, Failure, Kind, ToolCall

SENTIMENTS = ("positive", "negative", "neutral")
ODD = (
    *("very positive", "positive", "spam", "not spam", "C", "C++", "C#", "👍", "👎", "Sci/Tech", "n/a"),
    *("card_arrival", "1", "2", "-1", "正面", "负面", "yes", "no"),
)


def read(content: str, rule: AnswerRule = AnswerRule(), **more: Any) -> Answer | Failure:  # noqa: B008
    return answers.read(Completion(model="m", content=content, **({"finish_reason": "stop"} | more)), rule)


def kind_or_value(content: str, rule: AnswerRule, **more: Any) -> Any:
    result = read(content, rule, **more)
    return result.kind if isinstance(result, Failure) else result.value


BAD = Kind.BAD_ANSWER

LABEL_REPLIES: list[tuple[str, Any]] = [
    ("positive", "positive"),
    ("Positive.", "positive"),
    ("POSITIVE!!!", "positive"),
    (" positive\n", "positive"),
    ("ｐｏｓｉｔｉｖｅ", "positive"),
    ("**Positive**", "positive"),
    ("__positive__", "positive"),
    ("`positive`", "positive"),
    ('"positive"', "positive"),
    ("“Positive”", "positive"),
    ("# positive", "positive"),
    ("> positive", "positive"),
    ("- positive", "positive"),
    ("1. positive", "positive"),
    ("Answer: positive", "positive"),
    ("**Answer:** positive", "positive"),
    ("# Answer\npositive", "positive"),
    ("Answer:\npositive", "positive"),
    ("Label - positive", "positive"),
    ("Sentiment → positive", "positive"),
    ("The sentiment is", BAD),
    ("The sentiment is positive", "positive"),
    ("The answer is **positive**.", "positive"),
    ("It's positive.", "positive"),
    ("I would classify this review as positive.", "positive"),
    ("Based on the text, the sentiment is positive.", "positive"),
    ("La respuesta es: positive", "positive"),
    ("positive sentiment", "positive"),
    ("positive (95% confidence)", "positive"),
    ("positive, positive", "positive"),
    ("Label: positive\nConfidence: high", "positive"),
    ("Positive\n\nThe reviewer loves it.", "positive"),
    ("The text praises the sound.\n\n**Final answer:** positive", "positive"),
    ("😀 positive", "positive"),
    ("<answer>positive</answer>", "positive"),
    ("$\\boxed{positive}$", "positive"),
    ("|label|\n|---|\n|positive|", "positive"),
    ('{"label": "positive"}', "positive"),
    ('{"label": "Positive."}', "positive"),
    ('{"answer": {"label": "positive"}, "confidence": 0.9}', "positive"),
    ("{'label': 'positive'}", "positive"),
    ('["positive"]', "positive"),
    ("```\npositive\n```", "positive"),
    ('```json\n{"label": "positive"}\n```', "positive"),
    ('Here you are:\n```json\n{"label": "positive"}\n```', "positive"),
    ("<think>negative? no</think>positive", "positive"),
    ("<think>a <think>b</think> c</think>positive", "positive"),
    ("hm, negative?</think>\n\npositive", "positive"),
    ("◁think▷negative◁/think▷positive", "positive"),
    ("<|channel|>analysis<|message|>negative<|end|><|start|>assistant<|channel|>final<|message|>positive", "positive"),
    ("positive<|im_end|>", "positive"),
    ("", Kind.EMPTY),
    ("  \n", Kind.EMPTY),
    ("<think>positive", Kind.EMPTY),
    ("not positive", BAD),
    ("Not positive.", BAD),
    ("non-positive", BAD),
    ("positive-ish", BAD),
    ("It isn't positive", BAD),
    ("hardly positive", BAD),
    ("The review could be positive", BAD),
    ("I doubt it is positive", BAD),
    ("positive or negative", BAD),
    ("positive/negative", BAD),
    ("positive, negative", BAD),
    ("Positive. Actually, negative.", BAD),
    ("Positive. Wait, no.", BAD),
    ("positive?", BAD),
    ("positive: false", BAD),
    ("Positive (not)", BAD),
    ("positive: 0.1", BAD),
    ("❌ positive", BAD),
    ("~~positive~~", BAD),
    ("[x] positive\n[ ] negative", BAD),
    ("Options: positive", BAD),
    ("pos", BAD),
    ("banana", BAD),
    ('["positive", "negative"]', BAD),
    ('{"positive": 0.9, "negative": 0.1}', BAD),
    ('{"not": "positive"}', BAD),
    ('{"label": "positive", "alternative": "negative", "second": "negative"}', BAD),
    ("positive because he likes it so much", BAD),
    ("There is a positive side to everything " + "and so on and on " * 30, BAD),
    ("I'm sorry, but I can't help with that.", Kind.REFUSED),
    ("I cannot assist with this request.", Kind.REFUSED),
    ("As an AI language model, I have no opinion.", Kind.REFUSED),
    ("User Safety: safe", Kind.NOT_CHAT),
    ("User Safety: safe\nResponse Safety: safe", Kind.NOT_CHAT),
    ("User Safety: unsafe\nSafety Categories: Violence, Hate", Kind.NOT_CHAT),
    ("safe", Kind.NOT_CHAT),
    ("unsafe\nS1", Kind.NOT_CHAT),
    ("unsafe\nS1,S10", Kind.NOT_CHAT),
    ('{"safety":"safe"}', Kind.NOT_CHAT),
    ('{"User Safety": "safe", "Response Safety": "safe"}', Kind.NOT_CHAT),
]


@pytest.mark.parametrize(("content", "expected"), LABEL_REPLIES)
def test_a_label_is_read_or_the_reply_is_refused(content: str, expected: Any) -> None:
    assert kind_or_value(content, AnswerRule(labels=SENTIMENTS)) == expected


ODD_REPLIES: list[tuple[str, Any]] = [
    ("very positive", "very positive"),
    ("Very Positive!", "very positive"),
    ("positive", "positive"),
    ("It is very positive.", "very positive"),
    ("not spam", "not spam"),
    ("Answer: spam", "spam"),
    ("not Spam.", "not spam"),
    ("C", "C"),
    ("It is C++.", "C++"),
    ("c#", "C#"),
    ("C or C++", BAD),
    ("C+", BAD),
    ("👍", "👍"),
    ("Answer: 👎", "👎"),
    ("👍👎", BAD),
    ("👍 👎", BAD),
    ("sci/tech", "Sci/Tech"),
    ("Category: Sci/Tech.", "Sci/Tech"),
    ("N/A", "n/a"),
    ("Card arrival", "card_arrival"),
    ("card_arrival", "card_arrival"),
    ("1", "1"),
    ("Rating: 1", "1"),
    ('{"rating": 1}', "1"),
    ("-1", "-1"),
    ("- 1", "1"),
    ("1.5", BAD),
    ("1/2", BAD),
    ("+1", BAD),
    ("10", BAD),
    ("正面", "正面"),
    ("答案：正面。", "正面"),
    ("不是正面", BAD),
    ("正面，负面", BAD),
    ("Yes.", "yes"),
    ("No", "no"),
    ("yes and no", BAD),
]


@pytest.mark.parametrize(("content", "expected"), ODD_REPLIES)
def test_labels_may_hold_one_another_symbols_and_any_script(content: str, expected: Any) -> None:
    assert kind_or_value(content, AnswerRule(labels=ODD)) == expected


def test_labels_that_differ_only_in_case_are_told_apart_or_refused() -> None:
    rule = AnswerRule(labels=("US", "us"))
    assert kind_or_value("US", rule) == "US"
    assert kind_or_value('"us"', rule) == "us"
    assert kind_or_value("Us", rule) is BAD
    assert kind_or_value("The answer is US", rule) is BAD


def test_a_verdict_that_is_one_of_the_labels_is_an_answer() -> None:
    rule = AnswerRule(labels=("safe", "unsafe"))
    assert kind_or_value("safe", rule) == "safe"
    assert kind_or_value('{"safety": "unsafe"}', rule) == "unsafe"
    assert kind_or_value("User Safety: safe\nResponse Safety: unsafe", rule) is Kind.NOT_CHAT


# JSON

ITEM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "items": {
            "type": "array",
            "items": {"type": "object", "properties": {"price": {"type": "number"}}, "required": ["price"]},
        },
    },
    "required": ["name"],
    "additionalProperties": False,
}
TREE: dict[str, Any] = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/node"}},
            "required": ["v"],
        }
    },
}
ANY_OBJECT: dict[str, Any] = {"type": "object"}
TEA = {"name": "tea"}

JSON_REPLIES: list[tuple[dict[str, Any], str, Any]] = [
    (ITEM, '{"name": "tea"}', TEA),
    (ITEM, '  {"name": "tea"}\n', TEA),
    (ITEM, '```json\n{"name": "tea"}\n```', TEA),
    (ITEM, '```\n{"name": "tea"}```', TEA),
    (ITEM, 'Here it is:\n{"name": "tea"}\nAnything else?', TEA),
    (ITEM, '<think>{"name": "cup"}</think>{"name": "tea"}', TEA),
    (ITEM, '{"name": "<think>"}', {"name": "<think>"}),
    (ITEM, '{"name": "tea", "name": "tea"}', TEA),
    (ITEM, 'First {"name": "tea"} and again {"name": "tea"}', TEA),
    (ITEM, 'Sure [as asked]: {"name": "tea"}', TEA),
    (ITEM, f'By the schema {json.dumps(ITEM)} it is {{"name": "tea"}}', TEA),
    (ITEM, '{"name": "tea",}', TEA),
    (ITEM, "{'name': 'tea'}", TEA),
    (ITEM, '{name: "tea"}', TEA),
    (ITEM, '```json\n{"name": "tea",}\n```', TEA),
    (ITEM, '{"name": "a\nb",}', {"name": "a\nb"}),
    (ITEM, '{"name": "tea" "items": [{"price": 1.50}]}', {"name": "tea", "items": [{"price": 1.5}]}),
    (ITEM, '"{\\"name\\": \\"tea\\"}"', TEA),
    (ITEM, '{"name": "say \\"hi\\" {now}"}', {"name": 'say "hi" {now}'}),
    (ITEM, '{"name": "tea"} or {"name": "cup"}', BAD),
    (ITEM, '{"name": "tea", "name": "cup"}', BAD),
    (ITEM, '{"name": "tea", "name": "cup",}', BAD),
    (ITEM, '{"name": 5}', BAD),
    (ITEM, '{"nam": "tea"}', BAD),
    (ITEM, '{"name": "tea", "x": 1}', BAD),
    (ITEM, '{"name": "tea", "items": [{"price": NaN}]}', BAD),
    (ITEM, '{"name": "tea", "items": [{"price": Infinity}]}', BAD),
    (ITEM, '{"name": "tea", "items": [{"price": 1e999}]}', BAD),
    (ITEM, '{"name": "tea", "items": [{"price": 1,000}]}', BAD),
    (ITEM, '{"name": "tea', BAD),
    (ITEM, '{"name": "tea"', BAD),
    (ITEM, '{"name": "tea", "items": [{"price": 1}', BAD),
    (ITEM, '{"name": "tea", "items": [{"price": 1}}', BAD),
    (ITEM, '{"name": "tea"} then {"name": "te', BAD),
    (ITEM, '{"name": "\\ud800"}', BAD),
    (ITEM, '["tea"]', BAD),
    (ITEM, '[{"name": "tea"}]', BAD),
    (ITEM, "name: tea", BAD),
    (ITEM, "null", BAD),
    (ITEM, "[" * 100_000, BAD),
    (ITEM, '{"name":' * 5000 + "1" + "}" * 5000, BAD),
    (ANY_OBJECT, '{"a": {"b": 1}, "c": }', BAD),
    (ANY_OBJECT, '{"a": {"b": 1}, "c": [1, 2', BAD),
    (ANY_OBJECT, '{"n": 123456789012345678901234567890}', {"n": 123456789012345678901234567890}),
    (ANY_OBJECT, '{"safety": "safe"}', Kind.NOT_CHAT),
    (ANY_OBJECT, '{"User Safety": "safe", "Response Safety": "safe"}', Kind.NOT_CHAT),
    ({"properties": {"safety": {"type": "string"}}}, '{"safety": "safe"}', {"safety": "safe"}),
    (ITEM, "User Safety: safe", Kind.NOT_CHAT),
    (ITEM, "I'm sorry, I can't do that.", Kind.REFUSED),
    (TREE, '{"v": 1, "next": {"v": 2}}', {"v": 1, "next": {"v": 2}}),
    (TREE, '{"v": 1, "next": {"v": "2"}}', BAD),
    ({"type": "integer"}, "42", 42),
    ({"type": "integer"}, "```\n42\n```", 42),
    ({"type": "integer"}, "about 42", BAD),
    ({"type": "array"}, "Numbers: [1, 2]", [1, 2]),
    ({"type": "string"}, '"tea"', "tea"),
    ({}, "null", None),
    ({"const": True}, "1", BAD),
]


@pytest.mark.parametrize(("schema", "content", "expected"), JSON_REPLIES)
def test_json_is_read_mended_and_always_checked(schema: dict[str, Any], content: str, expected: Any) -> None:
    assert kind_or_value(content, AnswerRule(schema=schema)) == expected


LEADS: list[tuple[str, Any]] = [
    ("", TEA),
    ("Here is the JSON in the requested format:\n", TEA),
    ("The text does not mention a price: ", TEA),
    ("The claim is wrong: ", TEA),
    ("I would answer ", TEA),
    ("For example, the text names it: ", TEA),
    ("It is not clear. ", TEA),
    ("Not ", BAD),
    ("This is wrong: ", BAD),
    ("A wrong answer would be ", BAD),
    ("I would not say ", BAD),
    ("Don't use ", BAD),
    ("For example: ", BAD),
    ("For example:\n```json\n", BAD),
    ("Here is an example of the output:\n\n", BAD),
    ("Sample output: ", BAD),
    ("The format is ", BAD),
]


@pytest.mark.parametrize(("lead", "expected"), LEADS)
def test_json_is_no_answer_behind_words_that_disown_it(lead: str, expected: Any) -> None:
    """A label in JSON is read like any other JSON."""
    fence = "\n```" if "```" in lead else ""
    assert kind_or_value(lead + '{"name": "tea"}' + fence, AnswerRule(schema=ANY_OBJECT)) == expected
    label = "positive" if expected == TEA else BAD
    assert kind_or_value(lead + '{"label": "positive"}' + fence, AnswerRule(labels=SENTIMENTS)) == label


@pytest.mark.parametrize("end", ["// no, wait", "This is just an example.", "# Sorry, that is wrong"])
def test_json_is_no_answer_if_the_words_behind_take_it_back(end: str) -> None:
    assert kind_or_value('{"name": "tea"}\n' + end, AnswerRule(schema=ANY_OBJECT)) == BAD


def test_mending_is_recorded_and_can_be_switched_off() -> None:
    mended = read('{"name": "tea",}', AnswerRule(schema=ITEM))
    assert isinstance(mended, Answer)
    assert mended.repaired
    whole = read('Here: {"name": "tea"}', AnswerRule(schema=ITEM))
    assert isinstance(whole, Answer)
    assert not whole.repaired
    assert kind_or_value('{"name": "tea",}', AnswerRule(schema=ITEM, repair=False)) is BAD


@pytest.mark.parametrize("cut", range(1, len('{"name": "tea", "items": [{"price": 12}]}')))
def test_half_json_is_never_an_answer(cut: int) -> None:
    text = '{"name": "tea", "items": [{"price": 12}]}'[:cut]
    for reply in (text, f"```json\n{text}", f"```json\n{text}\n```", f"Here: {text}"):
        assert kind_or_value(reply, AnswerRule(schema=ITEM)) is BAD
        assert kind_or_value(reply, AnswerRule(schema=ITEM), finish_reason="length") is Kind.TRUNCATED


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"name": 5}', "at name: expected string, got integer 5"),
        (
            '{"name": "a", "items": [{"price": 1}, {"price": "abc"}]}',
            "at items[1].price: expected number, got string 'abc'",
        ),
        ("{}", "missing property 'name'"),
        ('{"name": "tea", "name": "cup"}', "the key 'name' is given twice with different values"),
        ('{"name": "tea', "the JSON breaks off before it is closed"),
        ("tea", "it holds no JSON value"),
    ],
)
def test_what_is_wrong_is_a_sentence_to_act_on(content: str, message: str) -> None:
    result = read(content, AnswerRule(schema=ITEM))
    assert isinstance(result, Failure)
    assert result.message == message


@pytest.mark.usefixtures("no_network")
def test_a_reference_out_of_the_schema_is_never_fetched() -> None:
    assert isinstance(read("1", AnswerRule(schema={"$ref": "https://example.invalid/schema"})), Answer)


# Text, ends, tools


def test_any_text_is_an_answer_without_its_thinking() -> None:
    assert kind_or_value("<think>hm</think>\nHello!", AnswerRule()) == "Hello!"
    assert kind_or_value("hm\n</think>\nHello!", AnswerRule()) == "Hello!"
    assert kind_or_value("Use `</think>` to close.", AnswerRule()) == "Use `</think>` to close."
    assert kind_or_value("It writes <think>x</think> first.", AnswerRule()) == "It writes <think>x</think> first."
    assert kind_or_value("<think>only", AnswerRule()) is Kind.EMPTY
    assert kind_or_value("User Safety: safe", AnswerRule()) is Kind.NOT_CHAT
    assert kind_or_value("I am safe now.", AnswerRule()) == "I am safe now."
    assert kind_or_value("I'm sorry, I can't.", AnswerRule()) == "I'm sorry, I can't."


@pytest.mark.parametrize("rule", [AnswerRule(), AnswerRule(labels=SENTIMENTS), AnswerRule(schema=ITEM)])
def test_a_reply_that_ended_early_is_refused_whatever_it_says(rule: AnswerRule) -> None:
    assert kind_or_value("positive", rule, finish_reason="length") is Kind.TRUNCATED
    assert kind_or_value("", rule, finish_reason="length") is Kind.TRUNCATED
    assert kind_or_value("positive", rule, finish_reason="content_filter") is Kind.CONTENT_POLICY
    assert kind_or_value("", rule, finish_reason=None) is Kind.EMPTY
    assert kind_or_value("<think>Hm.</think>\n\u200b\ufeff", AnswerRule()) is Kind.EMPTY


def test_a_failure_says_where_it_came_from() -> None:
    result = read("banana", AnswerRule(labels=SENTIMENTS), provider="P", request_id="gen-1")
    assert isinstance(result, Failure)
    assert (result.model, result.provider, result.request_id, result.content) == ("m", "P", "gen-1", "banana")


TOOLS = {
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
            },
        }
    ]
}


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([("weather", '{"city": "Leith"}')], '[{"name": "weather", "arguments": {"city": "Leith"}}]'),
        ([("weather", '{"city": "Leith",}')], '[{"name": "weather", "arguments": {"city": "Leith"}}]'),
        ([("weather", '{"city": "Leith')], BAD),
        ([("weather", '{"city": 5}')], BAD),
        ([("weather", "")], BAD),
        ([("weather", "[1]")], BAD),
        ([("sunshine", "{}")], BAD),
        ([("weather", '{"city": "Leith"}'), ("sunshine", "{}")], BAD),
    ],
)
def test_tool_calls_are_an_answer_if_they_fit_their_tools(calls: list[tuple[str, str]], expected: Any) -> None:
    rule = answers.with_tools(AnswerRule(), TOOLS)
    made = tuple(ToolCall(name=name, arguments=arguments) for name, arguments in calls)
    assert kind_or_value("", rule, tool_calls=made, finish_reason="tool_calls") == expected


def test_a_call_of_a_tool_that_was_not_offered_is_no_answer() -> None:
    made = (ToolCall(name="weather", arguments="{}"),)
    assert kind_or_value("", AnswerRule(), tool_calls=made) is BAD
    assert kind_or_value("Sunny.", AnswerRule(tools=True)) == "Sunny."
    assert answers.with_tools(AnswerRule(), {}) == AnswerRule()


IN_OSLO = '[{"name": "weather", "arguments": {"city": "Oslo"}}]'
CALL = '{"name": "weather", "arguments": {"city": "Oslo"}}'
PRINTED_CALLS: list[tuple[str, Any]] = [
    (f"<tool_call>\n{CALL}\n</tool_call>", IN_OSLO),
    (f"I will look it up.\n<tool_call>{CALL}</tool_call>", IN_OSLO),
    (f"<think>hm</think>\n<tool_call>{CALL}", IN_OSLO),
    (f"<tool_call>{CALL}</tool_call><tool_call>{CALL}</tool_call>", IN_OSLO[:-1] + ", " + IN_OSLO[1:]),
    (f"<function_call>{CALL}</function_call>", IN_OSLO),
    (f"```json\n{CALL}\n```", IN_OSLO),
    (CALL, IN_OSLO),
    (f"[{CALL}]", IN_OSLO),
    ('{"name": "weather", "parameters": {"city": "Oslo"}}', IN_OSLO),
    ('{"type": "function", "name": "weather", "parameters": {"city": "Oslo"}}', IN_OSLO),
    ('{"type": "function", "function": {"name": "weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}}', IN_OSLO),
    (f'{{"tool_calls": [{CALL}]}}', IN_OSLO),
    ('<function=weather>{"city": "Oslo"}</function>', IN_OSLO),
    ("<tool_call>\n<function=weather>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>", IN_OSLO),
    ("<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n</tool_call>", IN_OSLO),
    ('<invoke name="weather"><parameter name="city">Oslo</parameter></invoke>', IN_OSLO),
    (f"[TOOL_CALLS][{CALL}]", IN_OSLO),
    ('[TOOL_CALLS]weather{"city": "Oslo"}', IN_OSLO),
    ('[TOOL_CALLS]weather[ARGS]{"city": "Oslo"}', IN_OSLO),
    ('<|python_tag|>{"name": "weather", "parameters": {"city": "Oslo"}}<|eom_id|>', IN_OSLO),
    ('<|tool_call_begin|>functions.weather:0<|tool_call_argument_begin|>{"city": "Oslo"}<|tool_call_end|>', IN_OSLO),
    (
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary to=functions.weather "
        '<|constrain|>json<|message|>{"city": "Oslo"}<|call|>',
        IN_OSLO,
    ),
    ('<tool_call>{"name": "weather", "arguments": {"city": "Os', BAD),
    ("<tool_call>weather(city='Oslo')</tool_call>", BAD),
    ('<tool_call>{"name": "sunshine", "arguments": {}}</tool_call>', BAD),
    ('<tool_call>{"name": "weather", "arguments": {"city": 5}}</tool_call>', BAD),
    ("<tool_call>{broken}</tool_call>", BAD),
]
WORDS: list[str] = [
    "I will call weather for Oslo.",
    "Sunny.",
    '{"city": "Oslo"}',
    '{"name": "sunshine", "arguments": {}}',
    "A call stands in `<tool_call>` and `</tool_call>`.",
    "Models write <tool_call> for it.",
]


@pytest.mark.parametrize("choice", ["required", "auto", {"type": "function", "function": {"name": "weather"}}])
@pytest.mark.parametrize(("content", "expected"), PRINTED_CALLS)
def test_a_call_that_is_plainly_printed_is_read_as_a_call(content: str, expected: Any, choice: Any) -> None:
    rule = answers.with_tools(AnswerRule(), {**TOOLS, "tool_choice": choice})
    assert kind_or_value(content, rule) == expected


@pytest.mark.parametrize("content", [*WORDS, "<think>I must call weather.</think>"])
def test_words_are_no_answer_where_the_request_demands_a_call(content: str) -> None:
    words = content if content in WORDS else Kind.EMPTY
    named = {"type": "function", "function": {"name": "weather"}}
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}}
    for choice, expected in [
        ("required", BAD),
        ("any", BAD),
        (named, BAD),
        (allowed, BAD),
        ("auto", words),
        ("none", words),
    ]:
        rule = answers.with_tools(AnswerRule(), {**TOOLS, "tool_choice": choice})
        assert kind_or_value(content, rule) == expected, choice
    assert kind_or_value(content, answers.with_tools(AnswerRule(), TOOLS)) == words


def test_a_call_must_be_of_the_tool_that_the_request_names() -> None:
    other = {"type": "function", "function": {"name": "time", "parameters": {}}}
    choice = {"type": "function", "function": {"name": "time"}}
    rule = answers.with_tools(AnswerRule(), {"tools": [*TOOLS["tools"], other], "tool_choice": choice})
    made = (ToolCall(name="weather", arguments='{"city": "Oslo"}'),)
    assert kind_or_value("", rule, tool_calls=made) is BAD
    assert (
        kind_or_value("", rule, tool_calls=(ToolCall(name="time", arguments="{}"),))
        == '[{"name": "time", "arguments": {}}]'
    )


def test_printed_json_is_text_where_no_tools_are_offered() -> None:
    assert kind_or_value(CALL, AnswerRule()) == CALL
    assert kind_or_value(f"<tool_call>{CALL}</tool_call>", AnswerRule()) == f"<tool_call>{CALL}</tool_call>"


# What is sent

ASKED = ChatRequest(messages=({"role": "user", "content": "Good?"},), parameters={"temperature": 0})


def test_labels_are_asked_for_in_words_that_end_in_their_list() -> None:
    sent = answers.compose(ASKED, AnswerRule(labels=("a b", "c")), native=False)
    assert sent.messages[0]["role"] == "system"
    assert sent.messages[0]["content"].endswith(":\n- a b\n- c")
    assert sent.messages[1:] == ASKED.messages
    assert sent.parameters == {"temperature": 0}


def test_a_schema_is_asked_for_in_words_and_natively() -> None:
    sent = answers.compose(ASKED, AnswerRule(schema=ITEM), native=True)
    before, line = sent.messages[0]["content"].rsplit("\n", 1)
    assert before.endswith("JSON Schema:")
    assert json.loads(line) == ITEM
    form = sent.parameters["response_format"]["json_schema"]
    assert (form["schema"], form["strict"]) == (ITEM, False)
    closed = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    sent = answers.compose(ASKED, AnswerRule(schema=closed), native=True)
    assert sent.parameters["response_format"]["json_schema"]["strict"] is True


def test_the_instruction_joins_the_system_message_and_leaves_the_question_as_it_is() -> None:
    parts = [{"type": "text", "text": "Judge."}]
    for content in ("Judge.", parts):
        asked = ChatRequest(messages=({"role": "system", "content": content}, *ASKED.messages), parameters={"top_p": 1})
        before = json.dumps([asked.messages, dict(asked.parameters)])
        sent = answers.compose(
            asked, AnswerRule(labels=SENTIMENTS), native=True, complaint=Complaint(answer="x", error="y")
        )
        assert len(sent.messages) == 4
        assert json.dumps([asked.messages, dict(asked.parameters)]) == before
        assert "Judge." in json.dumps(sent.messages[0])
    assert answers.compose(ASKED, AnswerRule(), native=False) == ASKED


def test_native_labels_come_back_as_an_object() -> None:
    rule = AnswerRule(labels=SENTIMENTS, mode="native")
    sent = answers.compose(ASKED, rule, native=True)
    schema = sent.parameters["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["label"]["enum"] == list(SENTIMENTS)
    assert kind_or_value('{"label": "negative"}', rule) == "negative"


def test_asking_again_shows_the_answer_and_the_error() -> None:
    complaint = Complaint(answer="z" * 5000, error="it is none of the labels")
    sent = answers.compose(ASKED, AnswerRule(labels=SENTIMENTS), native=False, complaint=complaint)
    assert [message["role"] for message in sent.messages] == ["system", "user", "assistant", "user"]
    assert len(sent.messages[2]["content"]) <= 2001
    assert "it is none of the labels" in sent.messages[3]["content"]
    empty = answers.compose(ASKED, AnswerRule(), native=False, complaint=Complaint(answer="", error="empty"))
    assert empty.messages[-2]["content"]


@pytest.mark.parametrize(
    ("rule", "alone", "packed"),
    [
        (AnswerRule(), False, False),
        (AnswerRule(labels=SENTIMENTS), False, True),
        (AnswerRule(schema=ITEM), True, True),
        (AnswerRule(labels=SENTIMENTS, mode="native"), True, True),
        (AnswerRule(schema=ITEM, mode="prompt"), False, False),
        (AnswerRule(mode="native"), False, False),
    ],
)
def test_native_format_is_for_schemas_and_packs_unless_told_otherwise(
    rule: AnswerRule, alone: bool, packed: bool
) -> None:
    assert answers.wants_native(rule, packed=False) is alone
    assert answers.wants_native(rule, packed=True) is packed


def test_labels_are_read_without_loading_what_only_schemas_need() -> None:
    code = (
        "import sys; from batchfree import answers; from batchfree.answers import packs;"
        " from batchfree.core.chat import Completion;"
        "answers.read(Completion(model='m', content='a'), answers.AnswerRule(labels=('a',)));"
        "print([name for name in ('jsonschema', 'referencing') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


@pytest.mark.parametrize(
    "content",
    [
        *("positive " * 30_000, "positive. " * 30_000, "[" * 100_000, '{"a":' * 30_000, "<think>" * 20_000),
        *("</think>x" * 20_000, " " * 200_000 + "x", "*" * 100_000 + "x", "```\n" * 20_000, "I " * 50_000),
    ],
    ids=lambda content: content[:9].strip(),
)
def test_absurd_replies_are_read_in_bounded_time(content: str) -> None:
    began = time.process_time()
    for rule in (AnswerRule(labels=SENTIMENTS), AnswerRule(schema=ANY_OBJECT), AnswerRule()):
        read(content, rule)
    # Linear reading takes at most a second of CPU time; quadratic reading of these lengths would take many minutes.
    assert time.process_time() - began < 30
