"""Packs: which rows share a request, what is sent, and that no row ever gets another row's answer."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator

from batchfree import answers
from batchfree.answers import Answer, AnswerRule
from batchfree.answers import packs as packing
from batchfree.answers.packs import Alone, PackSizes, company_key, first_sizes, rows_that_fit
from batchfree.core.chat import ChatRequest, Completion, Failure, Kind

LABELS = ("positive", "negative", "neutral", "very positive")
BY_LABEL = AnswerRule(labels=LABELS)
BY_SCHEMA = AnswerRule(
    schema={
        "type": "object",
        "properties": {"name": {"type": "string"}, "price": {"type": "number"}},
        "required": ["name", "price"],
        "additionalProperties": False,
    }
)


def user(text: Any, *before: dict[str, Any], **parameters: Any) -> ChatRequest:
    return ChatRequest(messages=(*before, {"role": "user", "content": text}), parameters=parameters)


def system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


def results_of(content: str, codes: tuple[str, ...] = ("k3x9", "t7qd"), *, rule: AnswerRule = BY_LABEL, **more: Any):
    return packing.read(Completion(model="m", content=content, **({"finish_reason": "stop"} | more)), codes, rule)


def values(content: str, codes: tuple[str, ...] = ("k3x9", "t7qd"), **more: Any) -> list[Any]:
    """For each code the label or value, the kind of a failure, or None for a missing row."""
    results = results_of(content, codes, **more).results
    shown = [results[code] for code in codes]
    return [each.value if isinstance(each, Answer) else each and each.kind for each in shown]


# Which rows share a request


@pytest.mark.parametrize(
    ("request_", "rule", "said"),
    [
        (user("Good?"), BY_LABEL, None),
        (user("Good?", system("Judge.")), BY_SCHEMA, None),
        (user([{"type": "text", "text": "Good?"}]), BY_LABEL, None),
        (user("Good?", temperature=0, n=1, tools=[]), BY_LABEL, None),
        (user("Good?"), AnswerRule(), "free text"),
        (user([{"type": "image_url", "image_url": {"url": "x"}}]), BY_LABEL, "images"),
        (user([{"type": "input_audio", "input_audio": {}}]), BY_LABEL, "audio"),
        (user([{"type": "file", "file": {}}]), BY_LABEL, "files"),
        (user([{"type": "hologram"}]), BY_LABEL, "content other than text"),
        (user("Good?", tools=[{"type": "function"}]), BY_LABEL, "tools"),
        (user("Good?"), AnswerRule(labels=("a",), tools=True), "tools"),
        (user("Good?", {"role": "user", "content": "Hi"}), BY_LABEL, "several turns"),
        (user("Good?", {"role": "assistant", "content": "Hi"}), BY_LABEL, "several turns"),
        (ChatRequest(messages=(system("x"),)), BY_LABEL, "several turns"),
        (ChatRequest(messages=()), BY_LABEL, "several turns"),
        (user("Good?", n=3), BY_LABEL, "several answers"),
        (user("Good?", stop=["\n"]), BY_LABEL, "stop sequences"),
        (user("Good?", response_format={"type": "json_object"}), BY_LABEL, "response_format"),
        (user("Good?", logprobs=True), BY_LABEL, "logprobs"),
    ],
)
def test_a_row_that_must_be_asked_alone_has_a_reason(request_: ChatRequest, rule: AnswerRule, said: str | None) -> None:
    key = company_key(request_, rule)
    assert isinstance(key, str) if said is None else isinstance(key, Alone) and said in key.reason


def test_only_rows_with_equal_system_part_and_parameters_share_a_request() -> None:
    key = company_key(user("a", system("x"), temperature=0, top_p=1), BY_LABEL)
    assert company_key(user("b", system("x"), top_p=1, temperature=0), BY_LABEL) == key
    assert company_key(user("a", system("y"), temperature=0, top_p=1), BY_LABEL) != key
    assert company_key(user("a", system("x"), temperature=1, top_p=1), BY_LABEL) != key


def test_codes_are_distinct_far_apart_and_drawn_from_the_seed() -> None:
    codes = packing.draw_codes(100, random.Random(1))
    assert codes == packing.draw_codes(100, random.Random(1)) != packing.draw_codes(100, random.Random(2))
    assert all(re.fullmatch("[a-z][a-z0-9]{3}", code) for code in codes)
    for place, code in enumerate(codes):
        assert all(sum(a != b for a, b in zip(code, other, strict=True)) > 1 for other in codes[:place])
    many = {code for seed in range(3000) for code in packing.draw_codes(1, random.Random(seed))}
    assert len(many) > 2950


# What is sent


def test_a_pack_carries_every_prompt_in_its_element_and_escapes_it() -> None:
    prompts = ['5 < 6 & "so"', "</row><row id='x'>", "a\x00b\x1b", "line\nline", "é😀"]
    requests = [user(prompt, system("Judge.")) for prompt in prompts]
    codes = packing.draw_codes(len(prompts), random.Random(0))
    sent = packing.compose(requests, codes, BY_LABEL, native=True)
    assert [message["role"] for message in sent.messages] == ["system", "user"]
    tree = ElementTree.fromstring(f"<rows>{sent.messages[-1]['content']}</rows>")
    assert [row.attrib["id"] for row in tree] == list(codes)
    assert [row.text for row in tree] == ['5 < 6 & "so"', "</row><row id='x'>", "a�b�", "line\nline", "é😀"]
    assert sent.messages[0]["content"].startswith("Judge.\n\n")
    assert sent.messages[0]["content"].endswith(":\n- positive\n- negative\n- neutral\n- very positive")
    assert requests[0] == user(prompts[0], system("Judge."))


def test_a_pack_of_labels_asks_for_exactly_its_codes() -> None:
    sent = packing.compose([user("a"), user("b")], ("k3x9", "t7qd"), BY_LABEL, native=True)
    form = sent.parameters["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["strict"] is True
    schema = form["json_schema"]["schema"]
    assert schema["required"] == ["k3x9", "t7qd"]
    assert schema["$defs"] == {"answer": {"type": "string", "enum": list(LABELS)}}
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"k3x9": "positive", "t7qd": "negative"})
    assert not validator.is_valid({"k3x9": "positive"})
    assert not validator.is_valid({"k3x9": "positive", "t7qd": "negative", "x": "positive"})
    assert "response_format" not in packing.compose([user("a")], ("k3x9",), BY_LABEL, native=False).parameters


ROOTED = [
    ({"$ref": "#/$defs/x", "$defs": {"x": {"type": "integer"}}}, 1, "a"),
    ({"$ref": "#/$defs/answer", "$defs": {"answer": {"type": "integer"}}}, 1, "a"),
    (
        {"type": "object", "properties": {"next": {"$ref": "#"}, "v": {"type": "integer"}}, "required": ["v"]},
        {"v": 1, "next": {"v": 2}},
        {"v": 1, "next": {"v": "2"}},
    ),
    (
        {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"$ref": "#/properties/a"}}},
        {"b": 1},
        {"b": "x"},
    ),
    ({"definitions": {"d/e": {"type": "integer"}}, "$ref": "#/definitions/d~1e"}, 1, "a"),
    ({"$id": "https://example.org/s", "$ref": "https://example.org/s#/$defs/x", "$defs": {"x": {"const": 1}}}, 1, 2),
    ({"$defs": {"x": {"$anchor": "x", "type": "integer"}}, "$ref": "#x"}, 1, "a"),
    ({"type": "object", "properties": {"$ref": {"type": "integer"}}}, {"$ref": 1}, {"$ref": "a"}),
    ({"enum": [{"$ref": "#/$defs/x"}]}, {"$ref": "#/$defs/x"}, {"$ref": "#/$defs/answer"}),
    ({"$defs": {"a b": {"type": "integer"}, "c": {"$ref": "#/$defs/a%20b"}}, "$ref": "#/$defs/c"}, 1, "a"),
]


@pytest.mark.parametrize(("schema", "good", "bad"), ROOTED)
def test_a_schema_means_the_same_inside_the_pack(schema: dict[str, Any], good: Any, bad: Any) -> None:
    sent = packing.compose([user("a"), user("b")], ("k3x9", "t7qd"), AnswerRule(schema=schema), native=True)
    validator = Draft202012Validator(sent.parameters["response_format"]["json_schema"]["schema"])
    assert validator.is_valid({"k3x9": good, "t7qd": good})
    assert not validator.is_valid({"k3x9": good, "t7qd": bad})


def test_a_limit_of_tokens_is_the_rows_own_and_none_stays_none() -> None:
    rows = [user(str(number), max_tokens=100, temperature=0) for number in range(10)]
    codes = packing.draw_codes(10, random.Random(0))
    sent = packing.compose(rows, codes, BY_LABEL, native=False)
    assert 2000 <= sent.parameters["max_tokens"] <= 3000
    assert sent.parameters["temperature"] == 0
    assert "max_tokens" not in packing.compose([user("a")], ("k3x9",), BY_LABEL, native=False).parameters


# What comes back

PAIR = ["positive", "negative"]
REPLIES: list[tuple[str, list[Any]]] = [
    ('{"k3x9": "positive", "t7qd": "negative"}', PAIR),
    ('{"t7qd": "negative", "k3x9": "positive"}', PAIR),
    ('```json\n{"k3x9": "positive", "t7qd": "negative"}\n```', PAIR),
    ('Sure! Here you go:\n{"k3x9": "positive", "t7qd": "negative"}\nHope it helps.', PAIR),
    ('<think>{"k3x9": "negative"}</think>{"k3x9": "positive", "t7qd": "negative"}', PAIR),
    ('hm, k3x9 is "negative"?</think>{"k3x9": "positive", "t7qd": "negative"}', PAIR),
    ('{"k3x9": "positive", "t7qd": "negative",}', PAIR),
    ("{'k3x9': 'positive', 't7qd': 'negative'}", PAIR),
    ("{k3x9: positive, t7qd: negative}", PAIR),
    ('{"k3x9": "positive"\n "t7qd": "negative"}', PAIR),
    ('{"k3x9": "positive", // clear\n "t7qd": "negative" // also "clear"\n}', PAIR),
    ('{"k3x9": "positive"}\n{"t7qd": "negative"}', PAIR),
    ('[{"k3x9": "positive"}, {"t7qd": "negative"}]', PAIR),
    ('[{"id": "t7qd", "label": "negative"}, {"id": "k3x9", "label": "positive"}]', PAIR),
    ('{"results": [{"id": "k3x9", "answer": "positive"}, {"id": "t7qd", "answer": "negative"}]}', PAIR),
    ('{"answers": {"k3x9": "positive", "t7qd": "negative"}}', PAIR),
    ('"{\\"k3x9\\": \\"positive\\", \\"t7qd\\": \\"negative\\"}"', PAIR),
    ('{"K3X9": "Positive.", " t7qd ": {"label": "negative"}}', PAIR),
    ("k3x9: positive\nt7qd: negative\n", PAIR),
    ("- **k3x9**: positive\n- **t7qd**: negative", PAIR),
    ('{"k3x9": "positive, "t7qd": "negative"}', PAIR),
    ('{"k3x9": "positive", "k3x9": "positive", "t7qd": "negative"}', PAIR),
    ('{"k3x9": "positive", "k3x9": "negative", "t7qd": "negative"}', [Kind.BAD_ANSWER, "negative"]),
    ('{"k3x9": "positive", "k3x9": "banana", "t7qd": "negative"}', [Kind.BAD_ANSWER, "negative"]),
    ('{"k3x9": "positive"} no, wait: {"k3x9": "negative"}', [Kind.BAD_ANSWER, None]),
    ('{"k3x9": "positive", "zzzz": "negative"}', ["positive", None]),
    ('{"k3x9": "banana", "t7qd": "negative"}', [Kind.BAD_ANSWER, "negative"]),
    ('{"k3x9": null, "t7qd": "negative"}', [Kind.BAD_ANSWER, "negative"]),
    ('{"k3x9": "positive" or "negative", "t7qd": "negative"}', [Kind.BAD_ANSWER, "negative"]),
    ('{"k3x9": "not positive", "t7qd": "negative"}', [Kind.BAD_ANSWER, "negative"]),
    ('{"k3x9": ["positive", "negative"], "t7qd": "negative"}', [Kind.BAD_ANSWER, "negative"]),
    ('{"1": "positive", "2": "negative"}', [None, None]),
    ('["positive", "negative"]', [None, None]),
    ('{"k3x8": "positive", "t7qd": "negative"}', [None, "negative"]),
    ('{"k3x9": "positive", "t7qd": "negat', ["positive", None]),
    ('{"k3x9": "positive", "t7qd": "negative"', PAIR),
    ('{"k3x9": "positive", "t7qd": "negative', ["positive", None]),
    ('{"k3x9": "positive", "t7qd"', ["positive", None]),
    ('{"k3x9": "positive", "t7qd":', ["positive", None]),
    ("{", [None, None]),
    ("", [None, None]),
    ("I can't do that.", [None, None]),
    ('{"zzzz": {"t7qd": "negative"}}', [None, None]),
    ('{"k3x9": {"t7qd": "positive"}}', ["positive", None]),
]


@pytest.mark.parametrize(("content", "expected"), REPLIES)
def test_rows_are_read_by_their_codes_alone(content: str, expected: list[Any]) -> None:
    assert values(content) == expected


ITEM, OTHER = {"name": "tea", "price": 1.5}, {"name": "cup", "price": 2}
SCHEMA_REPLIES: list[tuple[str, list[Any]]] = [
    (json.dumps({"k3x9": ITEM, "t7qd": OTHER}), [ITEM, OTHER]),
    ('{"k3x9": {"name": "tea", "price": 1.50,}, "t7qd": {"name": "cup", "price": 2}}', [ITEM, OTHER]),
    ('{"k3x9": {"name": "tea", "price": 1.5}, "t7qd": {"name": "cup", "price": 2,}}', [ITEM, OTHER]),
    ("{'k3x9': {'name': 'tea', 'price': 1.5}, 't7qd': {'name': 'cup', 'price': 2}}", [ITEM, OTHER]),
    ('{"k3x9": {"name": "tea", "price": 1.5}, "t7qd": {"name": "cup"', [ITEM, None]),
    ('{"k3x9": {"name": "tea", "price": 1.5}, "t7qd": {"name": "cup", "price": 2', [ITEM, None]),
    ('{"k3x9": {"name": "tea", "t7qd": {"name": "cup", "price": 2}}', [Kind.BAD_ANSWER, None]),
    (
        '{"k3x9": {"name": "tea", "price": 1, "price": 2}, "t7qd": {"name": "cup", "price": 2}}',
        [Kind.BAD_ANSWER, OTHER],
    ),
    ('{"k3x9": {"name": "tea", "price": NaN}, "t7qd": {"name": "cup", "price": 2}}', [Kind.BAD_ANSWER, OTHER]),
    ('{"k3x9": {"name": "tea"}, "t7qd": {"name": "cup", "price": 2}}', [Kind.BAD_ANSWER, OTHER]),
    (
        '[{"id": "k3x9", "name": "tea", "price": 1.5}, {"id": "t7qd", "name": "cup", "price": 2}]',
        [ITEM, OTHER],
    ),
]


@pytest.mark.parametrize(("content", "expected"), SCHEMA_REPLIES)
def test_json_rows_are_mended_within_themselves_only(content: str, expected: list[Any]) -> None:
    assert values(content, rule=BY_SCHEMA) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("5", 5),
        ("−5", -5),
        ("5 // the price", 5),
        *[
            (said, Kind.BAD_ANSWER)
            for said in ("5 kg", "5%", "$5", "<5", "3-5", "1,000", "1 000", "5 or 6", "nan", "...")
        ],
        *[
            (said, Kind.BAD_ANSWER)
            for said in ("5 // no, wait: 6", '"te" + "a"', '"te" "a"', '"te"\n"a"', "Decimal('1.5')", "")
        ],
        *[(said, Kind.BAD_ANSWER) for said in ("{'a': 5 kg}", "{'a': 'Bob's'}", "{'a': 5} {'b': 6}", "[1, 2, ...]")],
        ("{'a': [5, None,]}", {"a": [5, None]}),
        ('"tea"', "tea"),
        ("'tea'", "tea"),
        ("“tea”", "tea"),
    ],
)
def test_repair_mends_the_syntax_of_a_row_and_never_its_value(said: str, expected: Any) -> None:
    rule = AnswerRule(schema={})
    assert values(f'{{"k3x9": {said}, "t7qd": 1}}', rule=rule) == [expected, 1]
    assert values(f'{{"t7qd": 1, "k3x9": {said}}}', ("t7qd", "k3x9"), rule=rule) == [1, expected]


def test_a_number_at_the_cut_is_not_complete() -> None:
    rule = AnswerRule(schema={"type": "integer"})
    assert values('{"k3x9": 12, "t7qd": 34', rule=rule, finish_reason="length") == [12, None]
    assert values('{"k3x9": 12, "t7qd": 34}', rule=rule) == [12, 34]
    assert values('{"k3x9": 12, "t7qd": 34,', rule=rule, finish_reason="length") == [12, 34]


def test_a_text_that_quotes_another_row_answers_neither() -> None:
    rule = AnswerRule(schema={"type": "string"})
    assert values('{"k3x9": "a" and "t7qd": "b"}', rule=rule)[0] != 'a" and "t7qd": "b'
    assert values('{"k3x9": "unlike "t7qd": "b" it", "t7qd": "c"}', rule=rule) in (
        [Kind.BAD_ANSWER, Kind.BAD_ANSWER],
        [Kind.BAD_ANSWER, "c"],
    )
    assert values('{"k3x9": "has } brace in cut', rule=rule) == [None, None]
    assert values('{"k3x9": {"t7qd": "c"}, "t7qd": "d"}', rule=rule) == [Kind.BAD_ANSWER, "d"]


def test_a_reply_says_what_went_wrong_as_a_whole() -> None:
    full = results_of('{"k3x9": "positive", "t7qd": "negative"}', finish_reason="length")
    assert not full.cut_off
    assert full.failure is None
    cut = results_of('{"k3x9": "positive", "t7', finish_reason="length")
    assert cut.cut_off
    assert cut.failure is None
    assert results_of('{"k3x9": "positive", "t7', finish_reason=None).cut_off
    assert results_of('{"k3x9": "positive", "a": 1, "b": 2}').unknown == 2
    mended = results_of('{"k3x9": "positive", "t7qd": "negative",}').results.values()
    assert all(isinstance(each, Answer) and each.repaired for each in mended)
    kinds = {
        "": Kind.EMPTY,
        "<think>hm": Kind.EMPTY,
        "User Safety: safe": Kind.NOT_CHAT,
        "I'm sorry, but I can't help with that.": Kind.REFUSED,
        '["positive", "negative"]': Kind.BAD_ANSWER,
        '{"k3': Kind.TRUNCATED,
    }
    for content, kind in kinds.items():
        failure = results_of(content).failure
        assert failure is not None, content
        assert failure.kind is kind, content
    assert results_of("", finish_reason="length").failure.kind is Kind.TRUNCATED
    assert results_of("", finish_reason="content_filter").failure.kind is Kind.CONTENT_POLICY


@pytest.mark.parametrize(
    "content",
    [
        *(
            '"k3x9":{' * 25_000,
            '{"k3x9": {"a": ' * 15_000,
            '"k3x9": "x ' * 20_000,
            '"k3x9": [1, ' * 15_000,
            "k3x9: " * 30_000,
        ),
        *("{'k3x9': {'a': 1}, " * 10_000, '{"zz": {' * 20_000, '{"k3x9": “' * 20_000),
    ],
    ids=lambda content: content[:12],
)
def test_absurd_packs_are_read_in_linear_time(content: str) -> None:
    began = time.perf_counter()
    for rule in (BY_LABEL, BY_SCHEMA):
        results_of(content, rule=rule)
    assert time.perf_counter() - began < 10


# Damaged replies: every row gets its own answer or none


@dataclass
class Pack:
    """A reply that is being built: `pairs` are its codes and values as JSON text, `truth` is every row's own answer."""

    codes: tuple[str, ...]
    truth: dict[str, Any]
    pairs: list[tuple[str, str]]
    whole: bool = True

    @classmethod
    def drawn(cls, rng: random.Random, size: int, draw: Callable[[random.Random, str], Any]) -> Pack:
        codes = packing.draw_codes(size, rng)
        truth = {code: draw(rng, code) for code in codes}
        return cls(codes, truth, [(code, json.dumps(truth[code])) for code in codes])


def a_label(rng: random.Random, code: str) -> Any:
    return rng.choice(LABELS)


def an_item(rng: random.Random, code: str) -> Any:
    """An item whose name holds its own code, so a swap shows even between equal prices."""
    return {"name": f"of {code}" + rng.choice(["", " {", " }", ' "so"', ", and", " \\", " 😀"]), "price": rng.random()}


def permuted(pack: Pack, rng: random.Random) -> None:
    rng.shuffle(pack.pairs)


def dropped(pack: Pack, rng: random.Random) -> None:
    pack.pairs = [pair for pair in pack.pairs if rng.random() < 0.9]


def renumbered(pack: Pack, rng: random.Random) -> None:
    pack.pairs = [(str(number), text) for number, (_, text) in enumerate(pack.pairs, rng.choice([0, 1, 1000]))]


def repeated(pack: Pack, rng: random.Random) -> None:
    pack.pairs += [pair for pair in pack.pairs if rng.random() < 0.3]


def partly_wrong(pack: Pack, rng: random.Random) -> None:
    pack.pairs = [(code, '"banana"' if rng.random() < 0.1 else text) for code, text in pack.pairs]


def plain(pack: Pack, rng: random.Random) -> str:
    return "{" + ", ".join(f'"{code}": {text}' for code, text in pack.pairs) + "}"


def trailing_comma(pack: Pack, rng: random.Random) -> str:
    return "{\n" + "".join(f'  "{code}": {text},\n' for code, text in pack.pairs) + "}"


def interleaved(pack: Pack, rng: random.Random) -> str:
    prose = ["", "", "This one is clear.\n", "// hm, it's hard\n", "Next:\n", "(see above) "]
    return "{\n" + ",\n".join(f'{rng.choice(prose)}"{code}": {text}' for code, text in pack.pairs) + "\n}"


def an_object_each(pack: Pack, rng: random.Random) -> str:
    return "\nAnd then:\n".join(f'{{"{code}": {text}}}' for code, text in pack.pairs)


def elements(pack: Pack, rng: random.Random) -> str:
    return "[" + ",\n".join(f'{{"id": "{code}", "answer": {text}}}' for code, text in pack.pairs) + "]"


def wrapped(pack: Pack, rng: random.Random) -> str:
    return f'{{"answers": {plain(pack, rng)}}}'


def fenced(text: str, rng: random.Random) -> str:
    return f"```json\n{text}\n```"


def in_prose(text: str, rng: random.Random) -> str:
    return f"Of course! Here's what I found:\n\n{text}\n\nLet me know if it helps."


def after_thinking(text: str, rng: random.Random) -> str:
    return f"<think>The rows are {{odd}}: let me see…</think>\n{text}"


def untouched(text: str, rng: random.Random) -> str:
    return text


CHANGES = [permuted, dropped, repeated, partly_wrong, renumbered]
FORMS = [plain, plain, trailing_comma, interleaved, an_object_each, elements, wrapped]
SETTINGS = [untouched, untouched, fenced, in_prose, after_thinking]


def harass(seed: int, replies: int, size: int, rule: AnswerRule, draw: Callable[[random.Random, str], Any]) -> None:
    """Reads damaged replies and compares every result with the answers that went into the reply."""
    rng = random.Random(seed)
    for _ in range(replies):
        pack = Pack.drawn(rng, size, draw)
        for change in CHANGES[: 4 if rng.random() < 0.95 else 5]:
            if rng.random() < 0.4 or change is renumbered:
                change(pack, rng)
        text = rng.choice(SETTINGS)(rng.choice(FORMS)(pack, rng), rng)
        cut = rng.random() < 0.4
        if cut:
            text = text.encode()[: rng.randrange(len(text.encode()) + 1)].decode(errors="replace")
        results = results_of(text, pack.codes, rule=rule, finish_reason="length" if cut else "stop").results
        assert set(results) == set(pack.codes)
        for code in pack.codes:
            check(code, results[code], pack, text)


def check(code: str, result: Answer | Failure | None, pack: Pack, text: str) -> None:
    """A row gets its own answer or none. It must get the answer if all its pairs are complete and agree."""
    if isinstance(result, Answer):
        assert result.value == pack.truth[code], text
    said = {value for name, value in pack.pairs if name == code}
    own = json.dumps(pack.truth[code])
    there = [f'"{code}": {own}', f'"id": "{code}", "answer": {own}}}']
    if said == {own} and any(each in text for each in there):
        assert isinstance(result, Answer), (code, result, text)


def test_no_row_gets_another_rows_label_and_none_is_lost() -> None:
    harass(seed=1, replies=4000, size=20, rule=BY_LABEL, draw=a_label)


def test_no_row_gets_another_rows_json_and_none_is_lost() -> None:
    harass(seed=2, replies=1000, size=20, rule=BY_SCHEMA, draw=an_item)


def test_what_is_broken_anywhere_never_moves_an_answer() -> None:
    """Characters are lost, doubled or replaced. Rows may go missing; no row may get another row's answer."""
    rng = random.Random(3)
    for _ in range(1500):
        pack = Pack.drawn(rng, 10, an_item)
        letters = list(rng.choice(FORMS)(pack, rng))
        for _ in range(rng.randint(1, 4)):
            place = rng.choice([i for i, letter in enumerate(letters) if not letter.isalnum()])
            letters[place] = rng.choice(["", '"', "}", "{", ",", letters[place] * 2, "\n", "'", ":"])
        text = "".join(letters)
        for code, result in results_of(text, pack.codes, rule=BY_SCHEMA).results.items():
            if isinstance(result, Answer):
                assert code in result.value["name"], (code, result, text)
                assert not any(other in result.value["name"] for other in pack.codes if other != code), text


@pytest.mark.slow
def test_no_row_in_a_million_gets_another_rows_answer() -> None:
    for seed in range(10, 20):
        harass(seed=seed, replies=4000, size=20, rule=BY_LABEL, draw=a_label)
        harass(seed=seed, replies=1000, size=20, rule=BY_SCHEMA, draw=an_item)


# Sizes


def test_a_model_that_drops_rows_gets_half_and_grows_back_slowly() -> None:
    sizes = first_sizes(20)
    assert sizes.of("m") == 20
    sizes = sizes.after("m", rows=20, answered=17)
    assert sizes.of("m") == 10
    assert sizes.of("other") == 20
    grown = []
    for _ in range(5):
        sizes = sizes.after("m", rows=sizes.of("m"), answered=sizes.of("m"))
        grown.append(sizes.of("m"))
    assert grown == [12, 15, 19, 20, 20]


def test_a_single_reply_without_any_answer_says_little_about_sizes() -> None:
    once = first_sizes(20).after("m", rows=20, answered=0)
    assert once.of("m") == 20
    assert once.after("m", rows=20, answered=0).of("m") == 10
    assert once.after("m", rows=20, answered=20).after("m", rows=20, answered=0).of("m") == 20


def test_one_row_dropped_now_and_then_shrinks_nothing() -> None:
    sizes = first_sizes(20)
    for _ in range(20):
        sizes = sizes.after("m", rows=20, answered=19)
    assert sizes.of("m") == 20


def test_sizes_stay_between_one_and_the_cap() -> None:
    sizes = first_sizes("auto")
    assert sizes.of("m") == 10
    for _ in range(20):
        sizes = sizes.after("m", rows=sizes.of("m"), answered=0)
    assert sizes.of("m") == 1
    for _ in range(40):
        sizes = sizes.after("m", rows=sizes.of("m"), answered=sizes.of("m"))
    assert sizes.of("m") == 25


def test_a_model_that_is_given_single_rows_gets_two_again_after_a_while() -> None:
    sizes = first_sizes(2).after("m", rows=2, answered=1)
    assert sizes.of("m") == 1
    given = []
    for _ in range(9):
        sizes = sizes.after("m", rows=1, answered=1)
        given.append(sizes.of("m"))
    assert given == [1] * 7 + [2] * 2
    assert first_sizes(1).after("m", rows=1, answered=1).of("m") == 1


def test_a_small_pack_proves_nothing_about_large_ones() -> None:
    sizes = PackSizes(start=10, cap=25).after("m", rows=3, answered=3)
    assert sizes.of("m") == 10


def of_tokens(tokens: int, **parameters: Any) -> ChatRequest:
    """A request whose system message has 300 tokens and whose row has `tokens` in a pack, 16 for its element."""
    return user("abcd" * (tokens - 16), system("abcd" * 300), **parameters)


@pytest.mark.parametrize(
    ("rows", "tokens", "contexts", "count"),
    [
        (10, 500, [8000, None, 128_000], 3),
        (1, 5000, [8000], 1),
        (4, 5000, [8000], 1),
        (4, 5000, [None], 4),
        (4, 5000, [], 4),
    ],
)
def test_packs_keep_to_a_quarter_of_the_smallest_context(
    rows: int, tokens: int, contexts: list[int | None], count: int
) -> None:
    assert rows_that_fit([of_tokens(tokens)] * rows, contexts=contexts, outputs=[None]) == count


def test_the_answers_of_a_pack_keep_to_the_smallest_output_where_rows_have_a_limit() -> None:
    limited = [of_tokens(20, max_tokens=484)] * 10
    assert rows_that_fit(limited, contexts=[None], outputs=[1024 + 4 * 500, None, 100_000]) == 4
    assert rows_that_fit(limited, contexts=[None], outputs=[100]) == 1
    assert rows_that_fit([of_tokens(20)] * 10, contexts=[None], outputs=[100]) == 10


# Measures


def test_one_row_alone_is_read_by_the_same_rules_as_in_a_pack() -> None:
    for said in ("positive", "Positive.", "not positive", "positive, negative", "banana"):
        alone = answers.read(Completion(model="m", content=said), BY_LABEL)
        packed = results_of(json.dumps({"k3x9": said}), ("k3x9",)).results["k3x9"]
        assert isinstance(alone, Answer) == isinstance(packed, Answer), said


def test_a_cut_off_shrinks_nothing_where_length_is_not_the_cause() -> None:
    sizes = first_sizes(20).after("m", rows=20, answered=20)
    for _ in range(5):
        sizes = sizes.after("m", rows=20, answered=9, cut_off=True)
    assert sizes.of("m") == 20
    assert sizes.after("n", rows=20, answered=9, cut_off=True).of("n") == 10
