"""The short forms of a job spec, and `--set KEY=VALUE` on top of them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from batchfree.core.errors import Mistake
from batchfree.core.text import KeyPath, dotted
from batchfree.jobspec.draft import OVERRIDE, Draft, Origin, masked
from batchfree.jobspec.yaml.parse import parse

SHORT_FORMS = {"input": "path", "output": "path", "endpoint": "base_url"}
"""Key → the key within that a bare value stands for."""
TEXTS = (("prompt",), ("system",))
"""Keys whose values are taken as they stand where YAML reads something else than text, as in `{{ text }}`."""


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
    """Sets every KEY=VALUE, the last one winning; values are read as YAML."""
    for text in overrides:
        key, sign, value = text.partition("=")
        path: KeyPath = tuple(key.strip().split("."))
        if not sign or not all(path):
            given = masked(key if sign else text)
            message = f"`{given}` is no override; write KEY=VALUE, such as limits.concurrency=4"
            draft.mistakes.append(Mistake(file=OVERRIDE, message=message))
            continue
        _set(draft, path, key.strip(), value)
        expand(draft)


def _set(draft: Draft, path: KeyPath, key: str, text: str) -> None:
    read = parse(text, OVERRIDE)
    if text.strip() == "":
        read = parse("null", OVERRIDE)
    elif path in TEXTS and (read.mistakes or not isinstance(read.data, str | None)):
        read = parse(json.dumps(text), OVERRIDE)
    if read.mistakes:
        for mistake in read.mistakes:
            inner = f"{key}.{mistake.key}".replace(".[", "[") if mistake.key else key
            draft.mistakes.append(Mistake(file=OVERRIDE, key=masked(inner), message=mistake.message))
        return
    if not _open(draft, path, key):
        return
    for old in draft.under(path):
        del draft.origins[old]
    for below, origin in read.origins.items():
        draft.origins[(*path, *below)] = Origin(file=OVERRIDE, text=origin.text, tag=origin.tag, plain=origin.plain)
    draft.put(path, read.data)


def _open(draft: Draft, path: KeyPath, key: str) -> bool:
    """Makes the mappings on the way to a key, where they are missing; False where something else is in the way."""
    for depth in range(1, len(path)):
        above = path[:depth]
        value = draft.get(*above)
        if value is None:
            draft.put(above, {})
            draft.origins[above] = Origin(file=OVERRIDE)
        elif not isinstance(value, dict):
            message = f"`{masked(dotted(above))}` is no mapping, so nothing can be set inside it; set it as a whole"
            draft.mistakes.append(Mistake(file=OVERRIDE, key=masked(key), message=message))
            return False
    return True
