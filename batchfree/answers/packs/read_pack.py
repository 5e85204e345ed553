"""Reads the reply to a pack: a result for every row. A good row is kept, whatever is wrong with the others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchfree.answers.check_steps import Steps
from batchfree.answers.non_answers import is_refusal, is_verdict
from batchfree.answers.packs.scan import CodedValue, scan_reply
from batchfree.answers.read_label import is_harmless_remark, label_of, read_label
from batchfree.answers.retractions import takes_back
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
from batchfree.answers.strict_json import NotJson, canonical, parse_strictly, settle
from batchfree.answers.thinking import without_thinking
from batchfree.answers.tolerant_json import value_in_front
from batchfree.core.chat import Completion, Failure, Kind
from batchfree.core.finish_reasons import Ending

GIVEN_TWICE = "the reply answers this row twice, with different values"
NOT_JSON = "its value is not valid JSON"
REST = re.compile(r"[,;]?\s*(?:[}\]]|\Z)")
"""What may follow a mended value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackResults:
    """The result of every row by code; None for a row that is missing from the reply.

    `failure` says why the reply holds no result for any row. `unknown` counts the keys that are no row's code.
    `cut_off` says that the reply ends too early and that rows are missing.
    """

    results: Mapping[str, Answer | Failure | None]
    unknown: int = 0
    cut_off: bool = False
    failure: Failure | None = None


def read(completion: Completion, codes: Sequence[str], rule: AnswerRule) -> PackResults:
    """The results in a reply to a pack whose rows have these codes."""
    text = _without_thinking(completion.content)
    reply = scan_reply(text, codes, finished=completion.ending is Ending.WHOLE)
    found: dict[str, list[Answer | Failure]] = {code: [] for code in codes}
    steps = Steps()
    for each in reply.values:
        found[each.code].append(_read_value(each, rule, steps))
    results = {code: _united(each) for code, each in found.items()}
    missing = any(each is None for each in results.values())
    cut_off = missing and (completion.ending is Ending.CUT or reply.open)
    failure = None
    if not any(found.values()):
        failure = with_origin(completion, _why_nothing(completion, text, cut_off=cut_off))
    return PackResults(results=results, unknown=reply.unknown, cut_off=cut_off, failure=failure)


def _without_thinking(content: str) -> str:
    """The reply without its thinking. A JSON string is replaced by its text, which may be the object."""
    try:
        value = parse_strictly(content)
    except NotJson:
        return without_thinking(content, anywhere=True)
    return value if isinstance(value, str) else content


def _united(results: Sequence[Answer | Failure]) -> Answer | Failure | None:
    """One result from all values for a row. Several values count only if all are the same answer."""
    if len(results) < 2:
        return results[0] if results else None
    values = {canonical(each.value) if isinstance(each, Answer) else None for each in results}
    if len(values) > 1 or None in values:
        return bad_answer(GIVEN_TWICE)
    return results[0]


def _read_value(value: CodedValue, rule: AnswerRule, steps: Steps) -> Answer | Failure:
    """The value under a code as an answer, or why it is none."""
    if value.error is not None:
        return bad_answer(value.error)
    if rule.labels is not None:
        return _read_label(value, rule.labels, repair=rule.repair)
    from batchfree.answers.json_answer import check_answer  # jsonschema is loaded only where a job has a schema

    if value.text is None:
        said = value.after.strip()
        is_prose = bool(said) and not said.startswith(("//", "#", "/*"))
        if said and (takes_back(said.strip("/#* ")) or (is_prose and not isinstance(value.value, dict | list))):
            return bad_answer("its value is followed by words that may belong to it; give the value alone")
        return check_answer(value.value, rule.schema or {}, repaired=not value.whole, steps=steps)
    return _mended(value.text, rule, steps)


def _read_label(value: CodedValue, labels: tuple[str, ...], *, repair: bool) -> Answer | Failure:
    if value.text is None:
        result = label_of(value.value, labels)
        if isinstance(result, str) and value.after and not is_harmless_remark(value.after, labels):
            return bad_answer("the label is followed by words that put it in doubt; answer with the label alone")
    elif repair:
        line = value.text.strip().splitlines()[0] if value.text.strip() else ""
        result = read_label(line.partition("}")[0].strip().rstrip(","), labels)
    else:
        result = bad_answer(NOT_JSON)
    return Answer(value=result, repaired=not value.whole) if isinstance(result, str) else result


def _mended(text: str, rule: AnswerRule, steps: Steps) -> Answer | Failure:
    """A broken value as an answer, mended within its own text.

    A comma may follow the value, or the closing bracket of the pack and any text behind it. A number at the very end of
    the text is refused, since it may be half a number.
    """
    from batchfree.answers.json_answer import check_answer

    if not rule.repair or rule.schema is None:
        return bad_answer(NOT_JSON)
    try:
        value, end = value_in_front(text)
        value = settle(value)
    except NotJson as error:
        return bad_answer(f"{NOT_JSON}: {error}")
    if REST.match(text, end) is None or (end == len(text) and not isinstance(value, list | dict | str)):
        return bad_answer(NOT_JSON)
    return check_answer(value, rule.schema, repaired=True, steps=steps)


def _why_nothing(completion: Completion, text: str, *, cut_off: bool) -> Failure:
    """Why a reply holds no result for any row."""
    if completion.ending is Ending.FILTERED:
        return FILTERED
    if completion.ending is Ending.CUT or (cut_off and text):
        return Failure(kind=Kind.TRUNCATED, message="the reply broke off before the first answer was complete")
    if not text:
        return EMPTY
    if is_verdict(text):
        return SAFETY_VERDICT
    if is_refusal(text):
        return DECLINED
    return bad_answer("the reply names none of the rows")
