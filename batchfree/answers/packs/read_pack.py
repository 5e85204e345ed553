"""The reply to a pack → a result for every row.

Every row stands by itself: what fits is kept whatever became of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from batchfree.answers.markup import is_refusal, is_verdict, without_thinking
from batchfree.answers.packs.scan import CodedValue, scan_reply
from batchfree.answers.read_label import label_of, read_label, remark_stands
from batchfree.answers.rule import Answer, AnswerRule, bad_answer, with_origin
from batchfree.answers.strict_json import NotJson, brackets, canonical, parse
from batchfree.core.chat import Completion, Failure, Kind

TWICE = "the reply answers this row twice, with different values"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackResults:
    """What a reply says to each row, by code; None: nothing.

    `failure`: why the reply as a whole says nothing to any row. `unknown` counts keys that are no row's code;
    `cut_off`: the reply broke off before its end, and rows are missing.
    """

    results: Mapping[str, Answer | Failure | None]
    unknown: int = 0
    cut_off: bool = False
    failure: Failure | None = None


def read(completion: Completion, codes: Sequence[str], rule: AnswerRule) -> PackResults:
    """What a reply to a pack says to each of its rows."""
    text = _said(completion.content)
    reply = scan_reply(text, codes, finished=completion.finish_reason == "stop")
    said: dict[str, list[Answer | Failure]] = {code: [] for code in codes}
    for each in reply.said:
        result = _result(each, rule)
        if result is not None:
            said[each.code].append(result)
    results = {code: _one(each) for code, each in said.items()}
    missing = any(each is None for each in results.values())
    cut_off = missing and (completion.finish_reason == "length" or reply.open)
    failure = None if any(said.values()) else with_origin(completion, _why_nothing(completion, text, cut_off=cut_off))
    return PackResults(results=results, unknown=reply.unknown, cut_off=cut_off, failure=failure)


def _said(content: str) -> str:
    """The reply without its thinking. JSON within a JSON text is taken out of it."""
    try:
        value = parse(content)
    except NotJson:
        return without_thinking(content, anywhere=True)
    return value if isinstance(value, str) else content


def _one(results: Iterable[Answer | Failure]) -> Answer | Failure | None:
    """The result of a row that was answered any number of times; different values are none."""
    first, *others = [*results, None]
    if first is None:
        return None
    values = {canonical(each.value) if isinstance(each, Answer) else None for each in (first, *others[:-1])}
    if len(others) > 1 and (len(values) > 1 or None in values):
        return bad_answer(TWICE)
    return first


def _result(said: CodedValue, rule: AnswerRule) -> Answer | Failure | None:
    """What stands under a code as an answer; None where it breaks off."""
    if said.error is not None:
        return bad_answer(said.error)
    if rule.labels is not None:
        return _label(said, rule.labels, repair=rule.repair)
    from batchfree.answers.read_json import check_value

    schema = rule.schema if rule.schema is not None else {}
    if said.text is None:
        return check_value(said.value, schema, repaired=not said.whole)
    return _mended(said.text, rule)


def _label(said: CodedValue, labels: tuple[str, ...], *, repair: bool) -> Answer | Failure:
    if said.text is None:
        result = label_of(said.value, labels)
        if isinstance(result, str) and said.after and not remark_stands(said.after, labels):
            return bad_answer("the label is followed by words that put it in doubt; answer with the label alone")
    elif repair:
        line = said.text.strip().splitlines()[0] if said.text.strip() else ""
        result = read_label(line.partition("}")[0].strip().rstrip(","), labels)
    else:
        result = bad_answer("its value is not valid JSON")
    return Answer(value=result, repaired=not said.whole) if isinstance(result, str) else result


def _mended(text: str, rule: AnswerRule) -> Answer | Failure | None:
    """A broken value, mended within its own text."""
    from batchfree.answers.read_json import check_value, mend

    if text[:1] in ("{", "["):
        found = brackets(text)
        if not found.spans:
            return bad_answer("its JSON is not closed")
        text = text[found.spans[0]]
    else:
        text = text.strip().rstrip("}`").strip().rstrip(",").strip()
        if len(text) > 1 and text[0] in "\"'" and text[0] != text[-1]:
            return bad_answer("its value is not valid JSON")
    mended = mend(text) if rule.repair else None
    if mended is None or rule.schema is None:
        return bad_answer("its value is not valid JSON")
    return check_value(mended.value, rule.schema, repaired=True)


def _why_nothing(completion: Completion, text: str, *, cut_off: bool) -> Failure:
    if completion.finish_reason == "content_filter":
        return Failure(kind=Kind.CONTENT_POLICY, message="a content filter stopped the answer")
    if completion.finish_reason == "length" or (cut_off and text):
        return Failure(kind=Kind.TRUNCATED, message="the reply broke off before the first answer was complete")
    if not text:
        return Failure(kind=Kind.EMPTY, message="the reply is empty")
    if is_verdict(text):
        return Failure(kind=Kind.NOT_CHAT, message="the reply is the verdict of a safety classifier")
    if is_refusal(text):
        return Failure(kind=Kind.REFUSED, message="the model declined to answer")
    return bad_answer("the reply names none of the rows")
