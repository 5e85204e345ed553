"""Reads the reply to one question: its answer, or the reason why there is none."""

from __future__ import annotations

from batchfree.answers.non_answers import is_refusal, is_verdict
from batchfree.answers.printed_calls import harmony_call
from batchfree.answers.read_label import read_label
from batchfree.answers.rule import (
    DECLINED,
    EMPTY,
    FILTERED,
    SAFETY_VERDICT,
    Answer,
    AnswerRule,
    bad_answer,
    with_origin,
)
from batchfree.answers.strict_json import NotJson, parse_strictly
from batchfree.answers.thinking import may_hold_thinking, without_thinking
from batchfree.answers.tool_calls import read_printed_calls, read_tool_calls
from batchfree.core.chat import Completion, Failure, Kind
from batchfree.core.finish_reasons import Ending
from batchfree.core.text import is_blank


def read(completion: Completion, rule: AnswerRule) -> Answer | Failure:
    """The answer in a reply to one question, or why it holds none."""
    result = _ended_early(completion) or _read_content(completion, rule)
    return with_origin(completion, result) if isinstance(result, Failure) else result


def _ended_early(completion: Completion) -> Failure | None:
    ending = completion.ending
    if ending is Ending.FILTERED:
        return FILTERED
    if ending is Ending.CUT:
        what = "the answer was cut off" if completion.content.strip() else "thinking used up the tokens of the answer"
        return Failure(kind=Kind.TRUNCATED, message=f"{what}: the reply reached its limit of tokens")
    return None


def _read_content(completion: Completion, rule: AnswerRule) -> Answer | Failure:
    if completion.tool_calls and rule.tools:
        return read_tool_calls(completion.tool_calls, rule)
    text = _without_thinking(completion.content, rule) or (harmony_call(completion.content) if rule.tools else "")
    if not is_blank(text):
        return _read_words(text, rule) if rule.tools else _read_text(text, rule)
    if completion.tool_calls:
        return bad_answer("it calls a tool, but none was offered; answer in words")
    if is_blank(completion.content):
        return EMPTY
    if rule.must_call:
        return bad_answer("it thinks and calls no tool; call a tool")
    return Failure(kind=Kind.EMPTY, message="the reply holds thinking and no answer")


def _read_words(text: str, rule: AnswerRule) -> Answer | Failure:
    """A text in reply to a request with tools: an answer in the form asked for, or a printed tool call."""
    if rule.must_call:
        calls = read_printed_calls(text, rule)
        return calls if isinstance(calls, Answer) else _no_answer(text) or calls or bad_answer("it calls no tool")
    result = _read_text(text, rule)
    if isinstance(result, Answer) and (rule.labels is not None or rule.schema is not None):
        return result
    return read_printed_calls(text, rule) or result


def _read_text(text: str, rule: AnswerRule) -> Answer | Failure:
    if rule.labels is not None:
        label = read_label(text, rule.labels)
        return Answer(value=label) if isinstance(label, str) else _no_answer(text) or label
    if rule.schema is not None:
        from batchfree.answers.read_json import read_json  # jsonschema is loaded only where a job has a schema

        result = read_json(text, rule.schema, repair=rule.repair)
        if isinstance(result, Answer) or result.kind is Kind.NOT_CHAT:
            return result
        return _no_answer(text) or result
    return SAFETY_VERDICT if is_verdict(text) else Answer(value=text)


def _no_answer(text: str) -> Failure | None:
    """A safety verdict or a refusal as a failure; None if the text is neither."""
    if is_verdict(text):
        return SAFETY_VERDICT
    return DECLINED if is_refusal(text) else None


def _without_thinking(content: str, rule: AnswerRule) -> str:
    """The reply without its thinking. A reply that is JSON as a whole stays as it is: its texts may name the tags."""
    anywhere = rule.labels is not None or rule.schema is not None
    if anywhere and may_hold_thinking(content) and _is_json(content):
        return content.strip()
    return without_thinking(content, anywhere=anywhere)


def _is_json(content: str) -> bool:
    try:
        parse_strictly(content)
    except NotJson:
        return False
    return True
