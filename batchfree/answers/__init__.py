"""A reply becomes a checked answer; `packs` puts several rows into one request and reads them back.

Imports: core.
Pure: all.
"""

from __future__ import annotations

from batchfree.answers import instructions as words
from batchfree.answers.markup import is_refusal, is_verdict, without_thinking
from batchfree.answers.read_label import read_label
from batchfree.answers.rule import Answer, AnswerRule, Complaint, bad_answer, with_origin
from batchfree.answers.strict_json import NotJson, parse
from batchfree.answers.tool_calls import read_tool_calls, tool_schemas
from batchfree.core.chat import ChatRequest, Completion, Failure, Kind

__all__ = ["Answer", "AnswerRule", "Complaint", "compose", "read", "tool_schemas", "wants_native"]


def read(completion: Completion, rule: AnswerRule) -> Answer | Failure:
    """The answer in a reply to one question, or why it holds none."""
    result = _ended_early(completion) or _read(completion, rule)
    return with_origin(completion, result) if isinstance(result, Failure) else result


def _ended_early(completion: Completion) -> Failure | None:
    if completion.finish_reason == "content_filter":
        return Failure(kind=Kind.CONTENT_POLICY, message="a content filter stopped the answer")
    if completion.finish_reason == "length":
        said = "the answer was cut off" if completion.content.strip() else "thinking used up the tokens of the answer"
        return Failure(kind=Kind.TRUNCATED, message=f"{said}: the reply reached its limit of tokens")
    return None


def _read(completion: Completion, rule: AnswerRule) -> Answer | Failure:
    if completion.tool_calls and rule.tools:
        return read_tool_calls(completion.tool_calls, rule)
    text = _said(completion.content, rule)
    if not text:
        if completion.tool_calls:
            return bad_answer("it calls a tool, but none was offered; answer in words")
        thought = "the reply holds thinking and no answer" if completion.content.strip() else "the reply is empty"
        return Failure(kind=Kind.EMPTY, message=thought)
    return _judged(text, rule)


def _judged(text: str, rule: AnswerRule) -> Answer | Failure:
    verdict = Failure(kind=Kind.NOT_CHAT, message="the reply is the verdict of a safety classifier")
    if rule.labels is not None:
        label = read_label(text, rule.labels)
        if isinstance(label, str):
            return Answer(value=label)
        return verdict if is_verdict(text) else _refused(text) or label
    if rule.schema is not None:
        from batchfree.answers.read_json import read_json

        result = read_json(text, rule.schema, repair=rule.repair)
        if isinstance(result, Answer) or result.kind is Kind.NOT_CHAT:
            return result
        return verdict if is_verdict(text) else _refused(text) or result
    return verdict if is_verdict(text) else Answer(value=text)


def _said(content: str, rule: AnswerRule) -> str:
    """What a reply says once its thinking is taken out; JSON that stands alone is left as it is."""
    if rule.labels is None and rule.schema is None:
        return without_thinking(content, anywhere=False)
    try:
        parse(content)
    except NotJson:
        return without_thinking(content, anywhere=True)
    return content.strip()


def _refused(text: str) -> Failure | None:
    return Failure(kind=Kind.REFUSED, message="the model declined to answer") if is_refusal(text) else None


def compose(request: ChatRequest, rule: AnswerRule, *, native: bool, complaint: Complaint | None = None) -> ChatRequest:
    """The request with the form of its answer added, in words and, if `native`, as `response_format`.

    `complaint` shows an earlier answer and what was wrong with it.
    """
    return words.composed(request, rule, native=native, complaint=complaint)


def wants_native(rule: AnswerRule, *, packed: bool) -> bool:
    """Whether `response_format` should be sent to a model that lists it."""
    if rule.mode == "prompt" or (rule.labels is None and rule.schema is None):
        return False
    return rule.mode == "native" or (not rule.tools and (packed or rule.schema is not None))
