"""The `pool` of a scenario: which models there are, and what is different about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from batchfree.emulator.builtin_models import STYLES, builtin, entry, from_snapshot
from batchfree.emulator.emulated_model import Behaviour, EmulatedModel, JsonObject, JsonSkill, Latency
from batchfree.emulator.scenario.yaml_reader import Reader

SKILLS: tuple[JsonSkill, ...] = ("enforces", "mode", "words", "prose")
NATURES = ("chat", "classifier", "gated", "paid", "router", "media")


def read_pool(reader: Reader, folder: Path) -> tuple[EmulatedModel, ...]:
    """The built-in catalogue, or a snapshot's, thinned out by `only`, changed and extended by `models`."""
    models = {model.id: model for model in _base(reader, folder)}
    only = reader.strings("only")
    if only:
        models = {id: model for id, model in models.items() if any(fnmatchcase(id, glob) for glob in only)}
    latency = _latency(reader.child("latency"), Latency()) if reader.has("latency") else None
    reader.child("latency")
    accuracy = reader.take("accuracy", float, None, null=True)
    follows = reader.take("follows", float, None, null=True)
    for id, model in models.items():
        hand = model.hand
        hand = replace(hand, latency=latency) if latency else hand
        hand = replace(hand, accuracy=accuracy) if accuracy is not None else hand
        models[id] = replace(model, hand=replace(hand, follows=follows) if follows is not None else hand)
    for changed in reader.children("models"):
        _change(changed, models, latency or Latency())
    reader.finish()
    return tuple(models.values())


def _base(reader: Reader, folder: Path) -> Sequence[EmulatedModel]:
    snapshot = reader.take("snapshot", str, None, null=True)
    if reader.take("replace", bool, False):
        return [model for model in builtin() if model.nature == "router"]
    if snapshot is None:
        return builtin()
    try:
        document = json.loads((folder / snapshot).read_bytes())
        return from_snapshot(document if isinstance(document, dict) else {"data": document})
    except (OSError, ValueError, KeyError, TypeError) as error:
        reader.mistake("snapshot", f"can't be read: {error}")
        return ()


def _latency(reader: Reader, default: Latency) -> Latency:
    constant = reader.take("constant", float, None, null=True)
    latency = Latency(
        median=reader.take("median", float, default.median), sigma=reader.take("sigma", float, default.sigma)
    )
    reader.finish()
    return Latency(median=constant) if constant is not None else latency


def _change(reader: Reader, models: dict[str, EmulatedModel], latency: Latency) -> None:
    """One entry of `models`: a glob changes the models it fits, a new id makes a model, `like` another."""
    id = reader.take("id", str, "")
    like = reader.take("like", str, None, null=True)
    fitting = [known for known in models if fnmatchcase(known, id)]
    if not id or (like is not None and like not in models):
        reader.mistake("like" if id else "id", f"no such model: {like}" if id else "is missing")
        fitting = []
    elif not fitting:
        made = _renamed(models[like], id) if like else _made(id, latency)
        models[id] = made
        fitting = [id]
    changes = _changes(reader)
    for known in fitting:
        models[known] = _changed(models[known], changes)
    reader.finish()


def _made(id: str, latency: Latency) -> EmulatedModel:
    parameters = ("tools", "tool_choice", "seed", "response_format", "structured_outputs")
    made = entry(id, f"Emulated: {id.split('/')[-1]}", context=128_000, output=None, parameters=parameters)
    nature: Any = "chat" if id.endswith(":free") else "paid"
    return EmulatedModel(
        entry=made, provider=f"Emulated {id.split('/')[0].title()}", nature=nature, hand=Behaviour(latency=latency)
    )


def _renamed(model: EmulatedModel, id: str) -> EmulatedModel:
    renamed = deepcopy(model.entry) | {
        "id": id,
        "canonical_slug": id.split(":")[0],
        "name": f"Emulated: {id.split('/')[-1]}",
    }
    renamed["links"] = {"details": f"/api/v1/models/{id}/endpoints"}
    return replace(model, entry=renamed)


def _changes(reader: Reader) -> JsonObject:
    """What one entry says, checked. Long: one line for each key."""
    changes: JsonObject = {
        "context_length": reader.take("context_length", int, None, null=True),
        "max_completion_tokens": reader.take("max_completion_tokens", int, None, null=True),
        "inputs": reader.strings("inputs"),
        "parameters": reader.strings("parameters") if reader.has("parameters") else None,
        "add": reader.strings("add"),
        "remove": reader.strings("remove"),
        "expires": reader.take("expires", object, None, null=True),
        "prompt_price": reader.take("prompt_price", str, None, null=True),
        "completion_price": reader.take("completion_price", str, None, null=True),
        "thinking": reader.choice("thinking", ("keep", "no", "optional", "default", "mandatory"), "keep"),
        "entry": reader.take("entry", dict, {}),
        "provider": reader.take("provider", str, None, null=True),
        "nature": reader.choice("nature", ("keep", *NATURES), "keep"),
    }
    reader.take("parameters", object, None, null=True)
    hand = {
        "accuracy": reader.take("accuracy", float, None, null=True),
        "follows": reader.take("follows", float, None, null=True),
        "verbosity": reader.take("verbosity", int, None, null=True),
        "json": reader.choice("json", ("keep", *SKILLS), "keep"),
        "style": reader.choice("style", ("keep", *STYLES), "keep"),
    }
    changes["hand"] = {key: value for key, value in hand.items() if value not in (None, "keep")}
    if reader.has("latency"):
        changes["hand"]["latency"] = _latency(reader.child("latency"), Latency())
    presence = {
        "appears_at": reader.take("appears_at", float, None, null=True),
        "vanishes_at": reader.take("vanishes_at", float, None, null=True),
        "appears_after": reader.take("appears_after", int, None, null=True),
        "vanishes_after": reader.take("vanishes_after", int, None, null=True),
    }
    changes["presence"] = {key: value for key, value in presence.items() if value is not None}
    return changes


def _changed(model: EmulatedModel, changes: JsonObject) -> EmulatedModel:
    """The model with the changes made. Long: one line for each key."""
    new = deepcopy(model.entry)
    if changes["context_length"] is not None:
        new["context_length"] = new["top_provider"]["context_length"] = changes["context_length"]
    if changes["max_completion_tokens"] is not None:
        new["top_provider"]["max_completion_tokens"] = changes["max_completion_tokens"]
    if changes["inputs"]:
        outputs = "+".join(new["architecture"]["output_modalities"])
        new["architecture"]["input_modalities"] = changes["inputs"]
        new["architecture"]["modality"] = f"{'+'.join(changes['inputs'])}->{outputs}"
    parameters = set(new["supported_parameters"] if changes["parameters"] is None else changes["parameters"])
    new["supported_parameters"] = sorted((parameters | set(changes["add"])) - set(changes["remove"]))
    if changes["expires"] is not None:
        new["expiration_date"] = str(changes["expires"])
    for part in ("prompt", "completion"):
        if changes[f"{part}_price"] is not None:
            new["pricing"][part] = changes[f"{part}_price"]
    thinking = changes["thinking"]
    if thinking != "keep":
        new.pop("reasoning", None)
        if thinking != "no":
            new["reasoning"] = {"mandatory": thinking == "mandatory", "default_enabled": thinking != "optional"}
    return replace(
        model,
        entry=new | changes["entry"],
        provider=changes["provider"] or model.provider,
        nature=model.nature if changes["nature"] == "keep" else changes["nature"],
        hand=replace(model.hand, **changes["hand"]),
        presence=replace(model.presence, **changes["presence"]),
    )
