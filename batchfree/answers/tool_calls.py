"""Tool calls as an answer: each one is checked against the tool that it calls."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from batchfree.answers.rule import Answer, AnswerRule, bad_answer
from batchfree.answers.strict_json import NotJson, parse
from batchfree.core.chat import Failure, Json, JsonObject, ToolCall


def tool_schemas(parameters: Mapping[str, Json]) -> Mapping[str, JsonObject] | None:
    """The schema of each offered tool's arguments by the tool's name; None where a request offers no tools."""
    tools = parameters.get("tools")
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    named = [function for function in functions if isinstance(function, dict) and "name" in function]
    return {function["name"]: function.get("parameters") or {} for function in named} or None


def read_tool_calls(calls: Sequence[ToolCall], rule: AnswerRule) -> Answer | Failure:
    """The calls as JSON text `[{"name", "arguments"}]` in order, or why one of them does not fit its tool."""
    answers, repaired = list[JsonObject](), False
    for call in calls:
        result = _arguments(call, rule)
        if isinstance(result, Failure):
            return result
        answers.append({"name": call.name, "arguments": result.value})
        repaired = repaired or result.repaired
    return Answer(value=json.dumps(answers, ensure_ascii=False), repaired=repaired)


def _arguments(call: ToolCall, rule: AnswerRule) -> Answer | Failure:
    from batchfree.answers.read_json import check_value, mend

    known = rule.tool_schemas
    if known is not None and call.name not in known:
        return bad_answer(f"there is no tool {call.name!r}; the tools are {', '.join(known)}")
    try:
        value, repaired = parse(call.arguments) if call.arguments.strip() else {}, False
    except NotJson as error:
        mended = mend(call.arguments.strip()) if rule.repair and error.mendable else None
        if mended is None:
            return bad_answer(f"the arguments of the tool {call.name!r} can't be read: {error}")
        value, repaired = mended.value, True
    if not isinstance(value, dict):
        return bad_answer(f"the arguments of the tool {call.name!r} are not a JSON object")
    result = check_value(value, (known or {}).get(call.name, {}), repaired=repaired)
    return (
        bad_answer(f"the arguments of the tool {call.name!r} do not fit: {result.message}")
        if isinstance(result, Failure)
        else result
    )
