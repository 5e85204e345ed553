"""What may stand under `request`: parameters under OpenAI's names, and none that costs money or breaks a run.

Names and ranges as OpenRouter documents them (API reference, "Parameters"). What is not known here is passed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from batchfree.core.chat import Json, JsonObject
from batchfree.core.parameters import FREE_PDF_ENGINE, FREE_PLUGINS, NEVER_SENT
from batchfree.core.text import KeyPath
from batchfree.jobspec.draft import Draft, shown
from batchfree.jobspec.variables import reread

NEAR = 0.88
"""So near to a known parameter that it must be a slip of the pen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """The values that a parameter takes; null always passes. `types` are JSON types as Python has them."""

    types: tuple[type, ...]
    words: str
    low: float | None = None
    high: float | None = None


_SHARE = Parameter(types=(int, float), words="a number from 0 to 1", low=0, high=1)
_PENALTY = Parameter(types=(int, float), words="a number from -2 to 2", low=-2, high=2)
_COUNT = Parameter(types=(int,), words="an integer of at least 1", low=1)
_SWITCH = Parameter(types=(bool,), words="true or false")
_MAPPING = Parameter(types=(dict,), words="a mapping")
_LIST = Parameter(types=(list,), words="a list")
_TEXT = Parameter(types=(str,), words="text")

PARAMETERS = {
    "temperature": Parameter(types=(int, float), words="a number from 0 to 2", low=0, high=2),
    "top_p": _SHARE,
    "min_p": _SHARE,
    "top_a": _SHARE,
    "top_k": Parameter(types=(int,), words="an integer"),
    "frequency_penalty": _PENALTY,
    "presence_penalty": _PENALTY,
    "repetition_penalty": Parameter(types=(int, float), words="a number"),
    "max_tokens": _COUNT,
    "max_completion_tokens": _COUNT,
    "seed": Parameter(types=(int,), words="an integer"),
    "stop": Parameter(types=(str, list), words="text or a list of texts"),
    "logit_bias": _MAPPING,
    "logprobs": _SWITCH,
    "top_logprobs": Parameter(types=(int,), words="an integer from 0 to 20", low=0, high=20),
    "tools": _LIST,
    "tool_choice": Parameter(types=(str, dict), words="none, auto, required or a mapping"),
    "parallel_tool_calls": _SWITCH,
    "response_format": _MAPPING,
    "reasoning": _MAPPING,
    "reasoning_effort": _TEXT,
    "include_reasoning": _SWITCH,
    "verbosity": _TEXT,
    "provider": _MAPPING,
    "plugins": _LIST,
    "transforms": _LIST,
    "modalities": _LIST,
    "metadata": _MAPPING,
    "user": _TEXT,
    "session_id": _TEXT,
    "n": _COUNT,
    "stream": _SWITCH,
}


def check_request(draft: Draft) -> None:
    """Blames every parameter that can't be sent."""
    request = draft.get("request")
    if not isinstance(request, dict):
        return
    for name, value in request.items():
        path = ("request", name)
        if name in NEVER_SENT and not (name == "stream" and not value):
            draft.blame(path, f"`{name}` can't stand under `request`: {NEVER_SENT[name]}")
        elif name in PARAMETERS:
            _check_value(draft, path, value, PARAMETERS[name])
    _check_whole_answers(draft, request)
    _check_plugins(draft, request.get("plugins"))
    _check_tools(draft, request.get("tools"))


def near_parameter(name: str) -> str | None:
    """The known parameter that an unknown name must have meant."""
    close = [] if name in PARAMETERS or name in NEVER_SENT else get_close_matches(name, PARAMETERS, n=1, cutoff=NEAR)
    return close[0] if close else None


def _check_value(draft: Draft, path: KeyPath, value: Json, parameter: Parameter) -> None:
    if value is None:
        return
    if not _fits(value, parameter) and reread(draft, path):
        value = draft.get(*path)
    if not _fits(value, parameter):
        draft.blame(path, f"expected {parameter.words}, got {draft.shown(path, value)}")
    elif (
        path[-1] == "stop"
        and isinstance(value, list)
        and (len(value) > 4 or not all(isinstance(v, str) for v in value))
    ):
        draft.blame(path, "expected text, or a list of at most four texts")


def _fits(value: Json, parameter: Parameter) -> bool:
    if not isinstance(value, parameter.types) or (isinstance(value, bool) and bool not in parameter.types):
        return False
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    return (parameter.low is None or value >= parameter.low) and (parameter.high is None or value <= parameter.high)


def _check_whole_answers(draft: Draft, request: JsonObject) -> None:
    """One whole text per request is all that a run reads."""
    n = request.get("n")
    if type(n) is int and n > 1:
        draft.blame(("request", "n"), "one request brings one answer; `n` above 1 is not read")
    modalities = request.get("modalities")
    if isinstance(modalities, list) and modalities != ["text"]:
        draft.blame(("request", "modalities"), "answers are read as text; only [text] can be asked for")


def _check_plugins(draft: Draft, plugins: Json) -> None:
    for index, plugin in enumerate(plugins if isinstance(plugins, list) else ()):
        path = ("request", "plugins", index)
        if not isinstance(plugin, dict) or not isinstance(plugin.get("id"), str):
            draft.blame(path, "a plugin is a mapping with an `id`")
            continue
        if plugin.get("enabled") is not False:
            for complaint in _plugin_complaints(plugin):
                draft.blame(path, complaint)


def _plugin_complaints(plugin: JsonObject) -> Iterator[str]:
    name = plugin["id"]
    if name == "file-parser":
        pdf = plugin.get("pdf")
        if not isinstance(pdf, dict) or pdf.get("engine") != FREE_PDF_ENGINE:
            yield f"the file parser costs money unless its engine is named: write pdf: {{engine: {FREE_PDF_ENGINE}}}"
    elif name not in FREE_PLUGINS:
        yield f"the plugin {shown(name)} is not known to be free of charge, or chooses other models"


def _check_tools(draft: Draft, tools: Json) -> None:
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        path = ("request", "tools", index)
        if not isinstance(tool, dict):
            draft.blame(path, "a tool is a mapping: {type: function, function: {name: …, parameters: …}}")
        elif tool.get("type") != "function":
            draft.blame(path, "only tools of type function may be sent; the service's own tools cost money")
        elif not isinstance(tool.get("function"), dict) or not isinstance(tool["function"].get("name"), str):
            draft.blame(path, "a tool needs a function with a name: {type: function, function: {name: …}}")
