"""The short forms of a job spec, and the values of `--set`, `--endpoint` and `--output` that replace the job's own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from batchfree.core.chat import Json
from batchfree.core.errors import Mistake
from batchfree.core.text import KeyPath, dotted, is_utf8
from batchfree.jobspec.draft import Draft, Origin, masked
from batchfree.jobspec.yaml.parse import MAX_DEPTH, parse_yaml

SET, ENDPOINT, OUTPUT = "--set", "--endpoint", "--output"
COMMAND_LINE = (SET, ENDPOINT, OUTPUT)
"""The option that a mistake names as its file if the value came from the command line."""

SHORT_FORMS = {"input": "path", "output": "path", "endpoint": "base_url", "executor": "name"}
"""Key → the inner key that gets a bare value."""
TEXTS = (("prompt",), ("system",))
"""Keys whose values are taken literally if YAML would not read them as text. An example is `{{ text }}`."""


def expand(draft: Draft) -> None:
    """Writes every short form out: `input: x` becomes `input: {path: x}`, with the same lines."""
    for key, inner in SHORT_FORMS.items():
        value = draft.get(key)
        if value is None or isinstance(value, dict) or (isinstance(value, list) and key != "input"):
            continue
        moved = {path: draft.origins[path] for path in draft.under((key,))}
        draft.data[key] = {inner: value}
        for path, origin in moved.items():
            draft.origins[(key, inner, *path[1:])] = origin
            if path != (key,):
                del draft.origins[path]
        line = moved[(key,)]
        draft.origins[(key,)] = Origin(file=line.file, line=line.line)


def override(draft: Draft, overrides: Sequence[str]) -> None:
    """Sets every KEY=VALUE of `--set`; the last one wins. Values are read as YAML."""
    for text in overrides:
        key, sign, value = text.partition("=")
        path: KeyPath = tuple(key.strip().split("."))
        if not sign or not all(path):
            given = masked(key if sign else text)
            message = f"`{given}` is no override; write KEY=VALUE, such as limits.concurrency=4"
            draft.mistakes.append(Mistake(file=SET, message=message))
            continue
        if len(path) > MAX_DEPTH:
            message = f"a key of more than {MAX_DEPTH} parts is none of a job spec"
            draft.mistakes.append(Mistake(file=SET, message=message))
            continue
        _set(draft, path, key.strip(), value)
        expand(draft)


def put_option(draft: Draft, path: KeyPath, value: str, option: str) -> None:
    """Replaces the value of a key by the value of a command-line option."""
    if not is_utf8(value):
        message = "this holds bytes that are not UTF-8 text; take another name"
        draft.mistakes.append(Mistake(file=option, key=dotted(path), message=message))
        return
    _put(draft, path, value, {(): Origin(file=option, text=value, tag="str")}, option)


def _set(draft: Draft, path: KeyPath, key: str, text: str) -> None:
    read = parse_yaml(text, SET)
    if text.strip() == "":
        read = parse_yaml("null", SET)
    elif path in TEXTS and (read.mistakes or not isinstance(read.data, str | None)):
        read = parse_yaml(json.dumps(text), SET)
    if read.mistakes:
        for mistake in read.mistakes:
            inner = f"{key}.{mistake.key}".replace(".[", "[") if mistake.key else key
            draft.mistakes.append(Mistake(file=SET, key=masked(inner), message=mistake.message))
        return
    origins = {
        below: Origin(file=SET, text=origin.text, tag=origin.tag, plain=origin.plain)
        for below, origin in read.origins.items()
    }
    _put(draft, path, read.data, origins, SET)


def _put(draft: Draft, path: KeyPath, value: Json, origins: Mapping[KeyPath, Origin], option: str) -> None:
    """Replaces a value of the job file. `origins` holds the paths inside the new value."""
    if not _make_mappings(draft, path, option):
        return
    for old in draft.under(path):
        del draft.origins[old]
    draft.origins.update({(*path, *below): origin for below, origin in origins.items()})
    draft.put(path, value)


def _make_mappings(draft: Draft, path: KeyPath, option: str) -> bool:
    """Makes the missing mappings on the way to a key. Returns False if another kind of value is in the way."""
    for depth in range(1, len(path)):
        above = path[:depth]
        value = draft.get(*above)
        if value is None:
            draft.put(above, {})
            draft.origins[above] = Origin(file=option)
        elif not isinstance(value, dict):
            message = f"`{masked(dotted(above))}` is no mapping, so nothing can be set inside it; set it as a whole"
            draft.mistakes.append(Mistake(file=option, key=masked(dotted(path)), message=message))
            return False
    return True
