"""Tool calls that a model printed as text, in the forms of all model families that are known to do so.

A call is read only where the text is clearly meant as one: between the marks of its family, or as the whole text.
Values are taken unchanged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from batchfree.answers.fences import fenced_contents
from batchfree.answers.strict_json import NotJson, Pairs, pairs_at, settle
from batchfree.core.chat import Json, JsonObject, ToolCall

MARKS: tuple[tuple[str, str], ...] = (
    (r"<tool_calls?>", r"</tool_calls?>|\Z"),  # Qwen, Hermes, GLM
    (r"<(?:function_calls?|functioncall)>", r"</(?:function_calls?|functioncall)>|\Z"),
    (r"(?=<function=)", r"</function>|\Z"),  # Llama 3.1, Qwen3-Coder
    (r"(?=<invoke\s)", r"</invoke>|\Z"),  # MiniMax, Claude
    (r"\[TOOL_CALLS\]", r"</s>|\Z"),  # Mistral
    (r"<\|python_tag\|>", r"<\|eo[mt]_id\|>|\Z"),  # Llama 3.1
    (r"<\|tool_call\|>", r"<\|/?tool_call(?:_end)?\|>|\Z"),  # Granite, Phi
    (r"<\|tool_calls?_start\|>", r"<\|tool_calls?_end\|>|\Z"),  # LFM2
    (r"<\|START_ACTION\|>", r"<\|END_ACTION\|>|\Z"),  # Command R
    (r"<\|tool_call_begin\|>", r"<\|tool_call_end\|>|\Z"),  # Kimi
    (r"<｜tool▁call▁begin｜>", r"<｜tool▁call▁end｜>|\Z"),  # DeepSeek
    (r"<\|channel\|>commentary to=", r"<\|call\|>|\Z"),  # gpt-oss
)
"""The marks before and behind a printed call."""
OPENING = re.compile("|".join(f"(?P<m{number}>{opening})" for number, (opening, _) in enumerate(MARKS)))
ENDS = [re.compile(end) for _, end in MARKS]
LIKE_CALL = re.compile(r"[{\[(]|<(?:parameter|arg_key)|<function=")
"""Signs of a call between marks. Text that only talks about the marks has none of them."""
HARMONY_CALL = re.compile(r"<\|channel\|>\s{0,9}commentary to=")
QUOTED = frozenset("`\"'“”")
NAMES = ("name", "tool_name", "function", "tool", "function_name")
ARGUMENTS = ("arguments", "parameters", "args", "input", "tool_input", "params")
OTHER_KEYS = frozenset(["id", "type", "index", "call_id", "tool_call_id"])
NAMED = re.compile(r"\s*<?function=\"?([\w.-]+)\"?>\s*|\s*<invoke\s+name=\"([\w.-]+)\"\s*>\s*")
BETWEEN = r"(?:\s{0,20}(?:\[ARGS\]|\[CALL_ID\]\w{1,40}|<[|｜][\w▁ ]{1,40}[|｜]>(?:json)?)){0,4}\s{0,20}"
PREFIXED = re.compile(rf"\s*(?:functions?\.)?([\w-]{{1,64}})(?::\d{{1,4}})?{BETWEEN}(?=\{{)")
PARAMETER = re.compile(
    r"\s*<parameter(?:=|\s+name=\")([\w.-]+)\"?>(.*?)</parameter>"
    r"|\s*<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>",
    re.DOTALL,
)
BARE_NAME = re.compile(r"\s*([\w.-]+)\s*(?=<arg_key>|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedCalls:
    """The calls in a text; None if it has the marks of a call, but no call that can be read."""

    calls: tuple[ToolCall, ...] | None


def find_printed_calls(text: str, schemas: Mapping[str, JsonObject], *, forced: bool) -> PrintedCalls | None:
    """The tool calls that a text prints; None if it prints none.

    `schemas` gives the schema of each offered tool by name. JSON without marks is a call if it is the whole text, or
    one fenced block, and names an offered tool; with `forced` there may be words around the block.
    """
    marked = list(_marked(text))
    found = [list(_json_calls(part)) or list(_tagged_call(part, schemas)) for part in marked]
    if all(found) and found:
        return PrintedCalls(calls=tuple(call for calls in found for call in calls))
    if any(found) or any(map(LIKE_CALL.search, marked)):
        return PrintedCalls(calls=None)
    blocks = fenced_contents(text)
    whole = len(blocks) == 1 and text.strip().startswith(("```", "~~~")) and text.strip().endswith(("```", "~~~"))
    part = blocks[0] if len(blocks) == 1 and (whole or forced) else text
    calls = list(_json_calls(part))
    if not calls or any(call.name not in schemas for call in calls):
        return None
    return PrintedCalls(calls=tuple(calls))


def _marked(text: str) -> Iterator[str]:
    """The parts of a text between the marks of a call. A mark in quotes begins no call."""
    place = 0
    while found := OPENING.search(text, place):
        place = found.end()
        if text[found.start() - 1 : found.start()] in QUOTED and found.start():
            place += 1
            continue
        number = int(str(found.lastgroup)[1:])
        end = ENDS[number].search(text, place)
        stop = end.start() if end else len(text)
        yield text[place:stop]
        place = max(end.end() if end else len(text), place + 1)


def _json_calls(text: str) -> Iterator[ToolCall]:
    """The calls in a text of JSON alone: one object, a list, or several objects one after another."""
    place, calls = _skip(text, 0), list[ToolCall]()
    while place < len(text):
        if text[place] not in "{[":
            return
        try:
            pairs, place = pairs_at(text, place)
            value = settle(pairs)
        except NotJson:
            return
        for each in _call_objects(value):
            call = _call_of(each)
            if call is None:
                return
            calls.append(call)
        place = _skip(text, place)
    yield from calls


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n;,":
        place += 1
    return place


def _call_objects(value: Json) -> list[Json]:
    if isinstance(value, dict) and set(value) == {"tool_calls"}:
        value = value["tool_calls"]
    return value if isinstance(value, list) else [value]


def _call_of(value: Json) -> ToolCall | None:
    """The call that an object such as `{"name", "arguments"}` makes; None for any other value."""
    if not isinstance(value, dict):
        return None
    inner = value.get("function")
    if isinstance(inner, dict) and set(value) <= {"function", *OTHER_KEYS}:
        value = inner
    names = [key for key in NAMES if isinstance(value.get(key), str)]
    arguments = [key for key in ARGUMENTS if isinstance(value.get(key), dict | str)]
    if len(names) != 1 or len(arguments) != 1 or not set(value) <= {*names, *arguments, *OTHER_KEYS}:
        return None
    given = value[arguments[0]]
    return ToolCall(
        name=value[names[0]], arguments=given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    )


def _tagged_call(part: str, schemas: Mapping[str, JsonObject]) -> Iterator[ToolCall]:
    """The call in a part such as `<function=NAME>{…}`, `NAME{…}` or `<function=NAME><parameter=KEY>VALUE…`."""
    head = NAMED.match(part) or PREFIXED.match(part) or BARE_NAME.match(part)
    if head is None:
        return
    name = str(next(filter(None, head.groups())))
    body = part[head.end() :].strip()
    body = body.removesuffix("</function>").strip()
    if body.startswith("{"):
        yield ToolCall(name=name, arguments=body)
        return
    properties = schemas.get(name, {}).get("properties") or {}
    made, place = Pairs(), 0
    while found := PARAMETER.match(body, place):
        key, text = (found[1], found[2]) if found[1] else (found[3].strip(), found[4])
        made.append((key, _typed(text, properties.get(key))))
        place = found.end()
    if not body[place:].strip() and (made or head.re is not BARE_NAME or name in schemas):
        yield ToolCall(name=name, arguments=json.dumps(dict(made), ensure_ascii=False))


def _typed(text: str, schema: Json) -> Json:
    """The value of a parameter: the text if its schema asks for one or says nothing, else JSON."""
    text = text.strip("\n")
    if isinstance(schema, dict) and schema.get("type") not in (None, "string"):
        try:
            value, end = pairs_at(text.strip(), 0)
            return settle(value) if end == len(text.strip()) else text
        except NotJson:
            return text
    return text


def harmony_call(text: str) -> str:
    """The text from the first call in the harmony format on; empty if there is none."""
    found = HARMONY_CALL.search(text)
    return text[found.start() :] if found else ""
