"""Moves a JSON Schema into a larger one and rewrites its references for the new place."""

from __future__ import annotations

from urllib.parse import unquote

from batchfree.core.chat import Json, JsonObject

NAME = "answer"
DATA = frozenset(["const", "enum", "default", "examples", "example"])
NAMED_SCHEMAS = frozenset(["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"])
"""Keywords that hold schemas under names of the author's own."""


def definitions(schema: JsonObject) -> JsonObject:
    """The `$defs` of a document in which `#/$defs/answer` is this schema.

    The schema's own definitions move up beside it, because some services don't follow deeper references.
    """
    own = schema.get("$defs")
    own = own if isinstance(own, dict) else {}
    names = {name: name if name != NAME else _free_name(own) for name in own}
    identity = schema.get("$id") if isinstance(schema.get("$id"), str) else None
    root = {key: each for key, each in schema.items() if key not in ("$defs", "$schema", "$id")}
    moved = {names[name]: _rooted(each, names, identity) for name, each in own.items()}
    return {NAME: _rooted(root, names, identity), **moved}


def _free_name(taken: JsonObject) -> str:
    number = 2
    while f"{NAME}_{number}" in taken:
        number += 1
    return f"{NAME}_{number}"


def _rooted(schema: Json, names: dict[str, str], identity: str | None) -> Json:
    """The schema with its references rewritten. A schema with its own `$id` is another document and stays as it is."""
    if isinstance(schema, list):
        return [_rooted(each, names, identity) for each in schema]
    if not isinstance(schema, dict) or isinstance(schema.get("$id"), str):
        return schema
    made: JsonObject = {}
    for key, each in schema.items():
        if key in ("$ref", "$dynamicRef") and isinstance(each, str):
            made[key] = _reference(each, names, identity)
        elif key in NAMED_SCHEMAS and isinstance(each, dict):
            made[key] = {name: _rooted(inner, names, identity) for name, inner in each.items()}
        else:
            made[key] = each if key in DATA else _rooted(each, names, identity)
    return made


def _reference(reference: str, names: dict[str, str], identity: str | None) -> str:
    """A reference of the old document as it is written in the new one. Anchors keep their names."""
    if identity and reference.startswith(identity):
        reference = "#" + reference[len(identity) :].lstrip("#")
    if reference == "#":
        return f"#/$defs/{NAME}"
    if not reference.startswith("#/"):
        return reference
    head, name, *rest = [*reference[2:].split("/"), ""]
    decoded = unquote(name).replace("~1", "/").replace("~0", "~")
    if head == "$defs" and decoded in names:
        renamed = (decoded != NAME and name) or names[decoded]
        return "/".join(["#", "$defs", renamed, *rest]).rstrip("/")
    return f"#/$defs/{NAME}{reference[1:]}"
