"""Wrong types, unknown keys and values out of range: pydantic's errors as sentences that a user understands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from batchfree.core.chat import Json
from batchfree.core.text import KeyPath, did_you_mean, dotted, nearest
from batchfree.jobspec.draft import Draft
from batchfree.jobspec.rules.chat_messages import PART_MODELS, TAGS, Message, Role
from batchfree.jobspec.rules.request_parameters import RequestParameters
from batchfree.jobspec.rules.type_marks import SENTENCE
from batchfree.jobspec.schema import JobSpec

EXPECTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
"""Pydantic's type of error → what was expected."""

LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
    "greater_than": ("more than", "gt"),
}
"""Pydantic's type of error → the words for it, and the name of the limit in the error's context."""

ELSEWHERE = {
    "model": "router.route",
    "models": "router.route",
    "rows": "input.path",
    "workers": "limits.concurrency",
    "schema": "answer.schema",
    "retries": "retry.max_attempts",
    "api_base": "endpoint.base_url",
}
"""Words that users know from other tools → the key of a job spec."""

OR_ONE: set[KeyPath] = {("input", "path"), ("input", "files"), ("router", "route")}
"""Lists that may also be written as one text."""

REQUIRED: dict[KeyPath, str] = {
    ("input",): "a job needs an input: a path to its rows",
    ("input", "path"): "an input needs a path to its rows",
    ("messages", 0, "role"): f"a message needs a `role`: {', '.join(get_args(Role))}",
}
"""Required key → the sentence if it is missing. Index 0 stands for every index."""

TOO_FEW: dict[KeyPath, str] = {
    ("messages",): "an empty list asks nothing; write at least one message",
}


def blame_all(draft: Draft, error: ValidationError) -> list[KeyPath]:
    """Blames every wrong type, unknown name and value out of range. Returns the paths of the wrong values."""
    groups: dict[KeyPath, list[Mapping[str, Any]]] = {}
    for fault in error.errors(include_url=False):
        if fault["type"] == "too_short" and len(fault["input"]) >= fault["ctx"]["min_length"]:
            continue  # pydantic counts only the entries that are right
        groups.setdefault(_path(draft, fault), []).append(fault)
    wrong = []
    for path, faults in groups.items():
        kind = faults[0]["type"]
        if draft.blamed(path) or (kind == "missing" and draft.broken(path)):
            pass  # said already
        elif kind == "extra_forbidden":
            draft.blame(path, f"there is no such key{_suggestion(path, faults[0]['loc'])}", breaks=False)
        elif kind == "missing":
            draft.blame(path, REQUIRED.get(_first(path), "this key is required"))
        else:
            draft.blame(path, _sentence(draft, path, faults))
        wrong.append(path)
    return wrong


def wrong_paths(draft: Draft, error: ValidationError) -> set[KeyPath]:
    """The paths of the wrong values."""
    return {_path(draft, fault) for fault in error.errors(include_url=False)}


def _path(draft: Draft, fault: Mapping[str, Any]) -> KeyPath:
    """The path in the job file. Pydantic adds the names of the forms that it tried."""
    path: KeyPath = tuple(part for part in fault["loc"] if part not in TAGS)
    return path if fault["type"] in ("extra_forbidden", "missing", SENTENCE) else draft.place(path)


def _first(path: KeyPath) -> KeyPath:
    return tuple(0 if isinstance(part, int) else part for part in path)


def _sentence(draft: Draft, path: KeyPath, faults: Iterable[Mapping[str, Any]]) -> str:
    """Several faults at one place are the alternatives of a union, or the items of one value."""
    expected: list[str] = []
    value: Json = None
    for fault in faults:
        value, context = fault["input"], fault.get("ctx", {})
        if fault["type"] == SENTENCE:
            return str(fault["msg"])
        if fault["type"] in LIMITS:
            words, name = LIMITS[fault["type"]]
            return f"must be {words} {_number(context[name])}, got {draft.shown(path, value)}"
        if fault["type"] == "string_pattern_mismatch":
            return _pattern_sentence(path)
        if fault["type"] == "too_short":
            least, got = context["min_length"], context["actual_length"] or "none"
            entries = "one entry" if least == 1 else f"{least} entries"
            return TOO_FEW.get(path, f"expected a list of at least {entries}, got {got}")
        expected.append(EXPECTED.get(fault["type"]) or context.get("expected") or "another value")
    if path in OR_ONE:
        expected.append("text")
    words = " or ".join(dict.fromkeys(expected))
    got = f"expected {words}, got {draft.shown(path, value)}"
    if path in draft.origins and draft.origins[path].source is not None:
        return got
    return got + _advice(value, expected, words)


def _advice(value: Json, expected: list[str], words: str) -> str:
    """What to write instead, if the value shows what the user meant."""
    if value is None:
        return "; leave the key out for its default"
    if isinstance(value, str) and any(name in expected for name in ("an integer", "a number")) and _is_number(value):
        return "; write it without quotes"
    if "text" in expected and not isinstance(value, dict | list):
        return "; put it in quotes"
    return did_you_mean(value, re.findall("'([^']*)'", words))


def _pattern_sentence(path: KeyPath) -> str:
    if path == ("endpoint", "api_key_env"):
        return "expected the name of an environment variable, such as OPENROUTER_API_KEY, never the key itself"
    if path == ("input", "separator"):
        return 'expected one character, such as ";", and for a tab "\\t" in double quotes'
    return "must not be blank"


def _number(limit: float) -> str:
    return f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _suggestion(path: KeyPath, loc: KeyPath) -> str:
    """The nearest key in the same mapping, else the same word elsewhere in the spec, else a parameter of `request`.

    `loc` is the path as pydantic gives it.
    """
    word = str(path[-1])
    siblings = _keys(loc[:-1])
    if close := nearest(word, siblings):
        return f"; did you mean `{dotted((*path[:-1], close))}`?"
    for section in _keys(()):
        if word in _keys((section,)):
            return f"; did you mean `{section}.{word}`?"
    if word in ELSEWHERE:
        return f"; did you mean `{ELSEWHERE[word]}`?"
    if word in RequestParameters.model_fields:
        return f"; did you mean `request.{word}`?"
    close = nearest(word, siblings, cutoff=0.4)
    return f"; the nearest key is `{close}`" if close else f"; known keys are {', '.join(siblings)}"


def _keys(loc: KeyPath) -> list[str]:
    """The keys that may stand in the mapping at this place; none if its keys are not fixed."""
    model: type[BaseModel] = JobSpec
    for part in loc:
        if isinstance(part, int) or (part in TAGS and part not in PART_MODELS) or (model, part) == (Message, "content"):
            continue
        found = PART_MODELS.get(part) or _inner(model, part)
        if found is None:
            return []
        model = found
    return [field.alias or name for name, field in model.model_fields.items()]


def _inner(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    """The model of the mapping under a key."""
    if (model, key) == (JobSpec, "messages"):
        return Message
    field = model.model_fields.get(key)
    kinds = () if field is None else (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
