"""The `pool` of a scenario: which models there are, and how they differ from the built-in ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationInfo, model_validator

from batchfree.emulator.builtin_models import (
    CatalogueRow,
    builtin_models,
    catalogue_entry,
    reasoning_member,
    snapshot_models,
)
from batchfree.emulator.emulated_model import Behaviour, EmulatedModel, JsonObject, Latency, Nature, Presence, Thinking
from batchfree.emulator.settings import Listed, Members, Settings, TextList, mistakes


class ModelChange(Behaviour, Presence):
    """One entry of `pool.models`. An `id` that is a glob changes all models that fit; a new id adds a model.

    Only the keys that are given change anything. `like` names the model to copy; `entry` replaces raw members.
    """

    id: str
    like: str | None = None
    provider: str | None = None
    nature: Nature | None = None
    context_length: int | None = None
    max_completion_tokens: int | None = None
    inputs: TextList = ()
    parameters: TextList | None = None
    add: TextList = ()
    remove: TextList = ()
    expires: Annotated[str | None, BeforeValidator(lambda date: None if date is None else str(date))] = None
    prompt_price: str | None = None
    completion_price: str | None = None
    thinking: Thinking | None = None
    entry: Members = Field(default_factory=dict)

    def applied_to(self, model: EmulatedModel) -> EmulatedModel:
        """The model with the changes."""
        return replace(
            model,
            entry=self._changed_entry(model.entry) | self.entry,
            provider=self.provider or model.provider,
            nature=self.nature or model.nature,
            behaviour=model.behaviour.model_copy(update=self._given(Behaviour)),
            presence=model.presence.model_copy(update=self._given(Presence)),
        )

    def _given(self, group: type[Settings]) -> dict[str, Any]:
        """The values that the file gives for the keys of one group."""
        return {name: getattr(self, name) for name in group.model_fields if name in self.model_fields_set}

    def _changed_entry(self, entry: JsonObject) -> JsonObject:
        new = deepcopy(entry)
        if self.context_length is not None:
            new["context_length"] = new["top_provider"]["context_length"] = self.context_length
        if self.max_completion_tokens is not None:
            new["top_provider"]["max_completion_tokens"] = self.max_completion_tokens
        if self.inputs:
            outputs = new["architecture"]["output_modalities"]
            new["architecture"]["input_modalities"] = list(self.inputs)
            new["architecture"]["modality"] = f"{'+'.join(self.inputs)}->{'+'.join(outputs)}"
        parameters = {*(new["supported_parameters"] if self.parameters is None else self.parameters), *self.add}
        new["supported_parameters"] = sorted(parameters - set(self.remove))
        if self.expires is not None:
            new["expiration_date"] = self.expires
        for part, price in (("prompt", self.prompt_price), ("completion", self.completion_price)):
            if price is not None:
                new["pricing"][part] = price
        if self.thinking is not None:
            new.pop("reasoning", None)
            new |= reasoning_member(self.thinking)
        return new


class PoolSettings(Settings):
    """The built-in catalogue or a snapshot's, reduced to `only`, then changed and extended by `models`."""

    replace: bool = False
    snapshot: str | None = None
    only: TextList = ()
    latency: Latency | None = None
    accuracy: float | None = None
    follows: float | None = None
    models: Listed[ModelChange] = ()
    _built: tuple[EmulatedModel, ...] = PrivateAttr(())

    @property
    def built(self) -> tuple[EmulatedModel, ...]:
        """The models of the pool."""
        return self._built

    @model_validator(mode="after")
    def _build(self, info: ValidationInfo) -> Self:
        """Builds the models. The path of a snapshot starts at the context's `folder`."""
        folder = (info.context or {}).get("folder", Path())
        changes = {name: getattr(self, name) for name in ("latency", "accuracy", "follows")}
        update = {name: value for name, value in changes.items() if value is not None}
        models = {
            model.id: replace(model, behaviour=model.behaviour.model_copy(update=update))
            for model in self._base(folder)
            if not self.only or any(fnmatchcase(model.id, glob) for glob in self.only)
        }
        for number, change in enumerate(self.models):
            if change.like is not None and change.like not in models:
                raise mistakes((("models", number, "like"), f"no such model: {change.like}"))
            fitting = [id for id in models if fnmatchcase(id, change.id)]
            if not fitting:
                models[change.id] = self._new(change, models)
            for id in fitting or [change.id]:
                models[id] = change.applied_to(models[id])
        self._built = tuple(models.values())
        return self

    def _base(self, folder: Path) -> Sequence[EmulatedModel]:
        if self.replace:
            return [model for model in builtin_models() if model.nature == "router"]
        if self.snapshot is None:
            return builtin_models()
        try:
            document = json.loads((folder / self.snapshot).read_bytes())
            return snapshot_models(document if isinstance(document, dict) else {"data": document})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise mistakes((("snapshot",), f"can't be read: {error}")) from None

    def _new(self, change: ModelChange, models: dict[str, EmulatedModel]) -> EmulatedModel:
        """A model that no glob fits: a copy of `like`, or a plain one."""
        name = change.id.split("/")[-1]
        if change.like is None:
            return EmulatedModel(
                entry=catalogue_entry(CatalogueRow(change.id, name, 128_000, None, "t", "SRTs")),
                provider=f"Emulated {change.id.split('/')[0].title()}",
                nature="chat" if change.id.endswith(":free") else "paid",
                behaviour=Behaviour(latency=self.latency or Latency()),
            )
        model = models[change.like]
        renamed = {
            "id": change.id,
            "canonical_slug": change.id.split(":")[0],
            "name": f"Emulated: {name}",
            "links": {"details": f"/api/v1/models/{change.id}/endpoints"},
        }
        return replace(model, entry=deepcopy(model.entry) | renamed)
