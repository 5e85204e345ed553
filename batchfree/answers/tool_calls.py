"""Tool calls as an answer: what the request demands, and the check of each call against its tool."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from batchfree.answers.check_steps import Steps
from batchfree.answers.printed_calls import find_printed_calls
from batchfree.answers.rule import Answer, AnswerRule, bad_answer
from batchfree.answers.strict_json import NotJson
from batchfree.core.chat import Failure, Json, JsonObject, ToolCall


def tool_schemas(parameters: Mapping[str, Json]) -> Mapping[str, JsonObject] | None:
    """The schema of each offered tool's arguments by the tool's name; None if the request offers no tools."""
    tools = parameters.get("tools")
    if not isinstance(tools, list):
        return None
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)]
    named = [function for function in functions if isinstance(function, dict) and "name" in function]
    return {function["name"]: function.get("parameters") or {} for function in named} or None


def with_tools(rule: AnswerRule, parameters: Mapping[str, Json]) -> AnswerRule:
    """The rule for a request with these parameters: its tools, and what its `tool_choice` demands.

    A choice is `auto`, `none`, `required` (Mistral: `any`), a named function, or `allowed_tools` with one of the modes
    (OpenAI API reference, chat completions, `tool_choice`).
    """
    schemas, choice = tool_schemas(parameters), parameters.get("tool_choice")
    if schemas is None or choice == "none":
        return rule
    named = choice.get("function") or choice if isinstance(choice, dict) else {}
    name = named.get("name") if isinstance(named, dict) else None
    allowed = choice.get("allowed_tools") if isinstance(choice, dict) else None
    mode = allowed.get("mode") if isinstance(allowed, dict) else choice
    must_call = isinstance(name, str) or mode in ("required", "any")
    return replace(
        rule, tools=True, tool_schemas=schemas, must_call=must_call, tool_name=name if isinstance(name, str) else None
    )


def read_tool_calls(calls: Sequence[ToolCall], rule: AnswerRule) -> Answer | Failure:
    """The calls as JSON text `[{"name", "arguments"}]` in order, or why one of them does not fit its tool."""
    answers, repaired, steps = list[JsonObject](), False, Steps()
    for call in calls:
        if rule.tool_name not in (None, call.name):
            return bad_answer(f"it calls {call.name!r}; the tool to call is {rule.tool_name!r}")
        result = _arguments(call, rule, steps)
        if isinstance(result, Failure):
            return result
        answers.append({"name": call.name, "arguments": result.value})
        repaired = repaired or result.repaired
    return Answer(value=json.dumps(answers, ensure_ascii=False), repaired=repaired)


def read_printed_calls(text: str, rule: AnswerRule) -> Answer | Failure | None:
    """The calls that a text prints, as an answer; None if the text is words and the request demands no call."""
    found = find_printed_calls(text, rule.tool_schemas or {}, forced=rule.must_call)
    if found is not None and found.calls is not None:
        return read_tool_calls(found.calls, rule)
    if found is not None:
        return bad_answer("it prints a tool call that can't be read; call the tool")
    if not rule.must_call:
        return None
    tools = rule.tool_name or ", ".join(rule.tool_schemas or ())
    return bad_answer(f"it holds words and no tool call; call one of these tools: {tools}")


def _arguments(call: ToolCall, rule: AnswerRule, steps: Steps) -> Answer | Failure:
    from batchfree.answers.json_answer import check_value
    from batchfree.answers.read_json import parse_or_mend

    known = rule.tool_schemas
    if known is not None and call.name not in known:
        return bad_answer(f"there is no tool {call.name!r}; the tools are {', '.join(known)}")
    try:
        value, repaired = parse_or_mend(call.arguments.strip() or "{}", repair=rule.repair)
    except NotJson as error:
        return bad_answer(f"the arguments of the tool {call.name!r} can't be read: {error}")
    if not isinstance(value, dict):
        return bad_answer(f"the arguments of the tool {call.name!r} are not a JSON object")
    result = check_value(value, (known or {}).get(call.name, {}), repaired=repaired, steps=steps)
    return (
        bad_answer(f"the arguments of the tool {call.name!r} do not fit: {result.message}")
        if isinstance(result, Failure)
        else result
    )
