"""Thinking is no answer, in whatever marks a model leaks it; talk about the marks stays text."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from batchfree import answers
from batchfree.answers import Answer, AnswerRule, packs
from batchfree.answers.thinking import FAMILIES, MARK, STARTS
from batchfree.core.chat import Completion, Kind

MOOD = AnswerRule(labels=("positive", "negative"))
ANY_OBJECT = AnswerRule(schema={"type": "object"})


def read(content: str, rule: AnswerRule) -> Any:
    result = answers.read(Completion(model="m", content=content, finish_reason="stop"), rule)
    return result.value if isinstance(result, Answer) else result.kind


DIALECTS = (
    ("<think>", "</think>"),
    ("<thinking>\n", "\n</thinking>\n"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<reflection>", "</reflection>"),
    ("<seed:think>", "</seed:think>"),
    ("<longcat_think>", "</longcat_think>"),
    ("<inner_thoughts>", "</inner_thoughts>"),
    ("<THINK>", "</THINK>"),
    ("&lt;think&gt;", "&lt;/think&gt;"),
    ("◁think▷", "◁/think▷"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>\n\n<|begin_of_solution|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<unused94>thought\n", "<unused95>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|channel|>analysis<|message|>", "<|start|>assistant<|channel|>final <|constrain|>json<|message|>"),
    ("<|channel|>commentary<|message|>", "<|channel|>final<|message|>"),
    ("analysisWe look. ", "assistantfinal"),
    ("analysis We look. ", "assistant final\n"),
    ('<details type="reasoning" done="true">\n', "\n</details>\n"),
    ("Thinking...\n", "\n...done thinking.\n\n"),
    ("```thinking\n", "\n```\n"),
)  # fmt: skip
THOUGHT = 'It could be {negative}: "negative", or not.'


@pytest.mark.parametrize(("opening", "end"), DIALECTS)
def test_thinking_is_taken_out_in_every_dialect(opening: str, end: str) -> None:
    assert read(f"{opening}{THOUGHT}{end}positive", MOOD) == "positive"
    assert read(f"{opening}{THOUGHT}{end}Hello!", AnswerRule()) == "Hello!"
    assert read(f'{opening}{{"a": 1}}{end}{{"a": 2}}', ANY_OBJECT) == {"a": 2}
    for rule in (MOOD, AnswerRule(), ANY_OBJECT):
        assert read(f"{opening}positive", rule) is Kind.EMPTY
        assert read(f"{opening}{THOUGHT}{end}", rule) is Kind.EMPTY
    pack = packs.read(
        Completion(
            model="m", content=f'{opening}{{"k3x9": "negative"}}{end}{{"k3x9": "positive"}}', finish_reason="stop"
        ),
        ("k3x9",),
        MOOD,
    )
    assert pack.results["k3x9"] == Answer(value="positive")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("hm\n</think>\nHello!", "Hello!"),
        ("It is clear.</think>Hello!", "Hello!"),
        ("It is clear. </think> Hello!", "Hello!"),
        ("hm</think>hello", "hello"),
        ("hm[/THINK]Hello!", "Hello!"),
        ("hm<|END_THINKING|>Hello!", "Hello!"),
        ("<think>a <think>b</think> c</think>Hello!", "Hello!"),
        ("<think>I write `</think>` then.</think>Hello!", "Hello!"),
        ("Hello!<|im_end|>", "Hello!"),
        ("Hello!<|end|><|return|></s>", "Hello!"),
        ("Hello!<｜end▁of▁sentence｜>", "Hello!"),
    ],
)
def test_thinking_without_its_opening_is_none_of_the_text(content: str, expected: str) -> None:
    assert read(content, AnswerRule()) == expected


@pytest.mark.parametrize(
    "content",
    [
        "Use `</think>` to close.",
        'The tag "<think>" opens it.',
        "You write </think> at the end.",
        "It writes <think>x</think> first.",
        "<think> is a tag that opens thinking.",
        "Use ◁think▷ and [THINK] and <|channel|>analysis.",
        "Here:\n```\n<think>\nx\n</think>\n```\nDone.",
        "Analysis: the text is clear.",
        "analysis of the text shows it",
        "Thinking... is hard.",
        "```python\nprint(1)\n```",
    ],
)
def test_talk_about_marks_stays_text(content: str) -> None:
    assert read(content, AnswerRule()) == content


def test_marks_within_json_are_left_as_they_are() -> None:
    for note in ("<think>x</think>", "ends with </think>", "[THINK] and <think>"):
        for reply in ('{"note": "%s"}', 'Here: {"note": "%s"}', '```json\n{"note": "%s",}\n```'):
            assert read(reply % note, ANY_OBJECT) == {"note": note}, reply


@pytest.mark.parametrize(
    "content",
    [
        *("<think " * 30_000, "<think>" * 30_000, "x</think>" * 20_000, '"<think>"' * 20_000, "<|channel|>" * 20_000),
        *("<|message|>" * 20_000, "<|end|>" * 30_000, "[THINK]" * 30_000, "{<think>}" * 20_000, "analysis" * 20_000),
    ],
    ids=lambda content: content[:9],
)
def test_a_reply_full_of_marks_is_read_in_linear_time(content: str) -> None:
    began = time.perf_counter()
    for rule in (MOOD, ANY_OBJECT, AnswerRule()):
        read(content, rule)
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize("pattern", [mark for family in FAMILIES for mark in family], ids=lambda pattern: pattern[:20])
def test_every_mark_is_found_by_the_quick_search(pattern: str) -> None:
    @seed(1)
    @settings(max_examples=15, deadline=None, database=None)
    @given(st.from_regex(re.compile(pattern, re.IGNORECASE | re.MULTILINE)))
    def check(text: str) -> None:
        for mark in MARK.finditer(text):
            start = mark.start()
            assert start == 0 or STARTS.match(text, start - (text[start - 1] == "\n"))

    check()
