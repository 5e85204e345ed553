"""The models on offer: a small built-in catalogue, or the entries of a real `/models` snapshot.

The built-in names say that the models are emulated. Their abilities vary like those of the free models of August 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from batchfree.emulator.emulated_model import (
    FREE_ROUTER,
    Behaviour,
    EmulatedModel,
    JsonObject,
    LabelStyle,
    Nature,
    Thinking,
)

SAMPLING = [
    "frequency_penalty",
    "max_completion_tokens",
    "max_tokens",
    "presence_penalty",
    "stop",
    "temperature",
    "top_p",
]
ABILITIES = {
    "S": ("structured_outputs",),
    "R": ("response_format",),
    "T": ("tools", "tool_choice"),
    "s": ("seed",),
    "o": ("include_reasoning", "reasoning"),
}
"""Letter in the tables below → supported parameters."""
INPUTS = {"t": "text", "i": "image", "a": "audio", "v": "video"}
STYLES: tuple[LabelStyle, ...] = ("bare", "capital", "bold", "lead", "sentence")
SAME_FOR_ALL: JsonObject = {
    "hugging_face_id": "",
    "created": 1_775_148_486,
    "per_request_limits": None,
    "default_parameters": {"temperature": None, "top_p": None, "frequency_penalty": None},
    "supported_voices": None,
    "knowledge_cutoff": None,
    "expiration_date": None,
}
"""Members that are the same in every entry."""


class CatalogueRow(NamedTuple):
    """The facts in which models differ. `context` and `output` are in tokens, `prices` in USD per token."""

    id: str
    name: str
    context: int
    output: int | None
    inputs: str = "t"
    abilities: str = ""
    thinking: Thinking = "no"
    prices: tuple[str, str] = ("0", "0")
    outputs: tuple[str, ...] = ("text",)


# row of the catalogue, accuracy, verbosity, label style
FREE: tuple[tuple[CatalogueRow, float, int, LabelStyle], ...] = (
    (CatalogueRow("north-mini-code", "North Mini Code", 256_000, 64_000, "t", "Tso", "optional"), 0.80, 0, "bare"),
    (CatalogueRow("dots-3-note", "Dots 3 Note", 512_000, 512_000, "ti", "SRTo", "optional"), 0.86, 1, "bare"),
    (CatalogueRow("gemma-4-26b-a4b-it", "Gemma 4 26B A4B", 262_144, 32_768, "tiv", "RTso", "optional"),
     0.88, 1, "bold"),
    (CatalogueRow("gemma-4-31b-it", "Gemma 4 31B", 262_144, 32_768, "tiv", "RTso", "optional"), 0.92, 1, "bare"),
    (CatalogueRow("lfm-2.5-2.6b", "LFM 2.5 2.6B", 65_536, 8_192, "t", "SRTso", "mandatory"), 0.74, 0, "capital"),
    (CatalogueRow("nemotron-3-super-120b", "Nemotron 3 Super 120B", 262_144, 262_144, "t", "SRTso", "default"),
     0.93, 2, "bare"),
    (CatalogueRow("nemotron-3-ultra-550b", "Nemotron 3 Ultra 550B", 1_000_000, 65_536, "t", "Tso", "default"),
     0.95, 2, "sentence"),
    (CatalogueRow("nemotron-3-nano-omni-30b", "Nemotron 3 Nano Omni 30B", 256_000, 65_536, "tiav", "Tso", "default"),
     0.82, 1, "lead"),
    (CatalogueRow("laguna-s-2.1", "Laguna S 2.1", 262_144, 32_768, "t", "To", "optional"), 0.84, 0, "capital"),
    (CatalogueRow("glm-5.2", "GLM 5.2", 256_000, None, "t", "SRTso", "optional"), 0.94, 1, "bare"),
)  # fmt: skip

LARGE = 262_144
# nature, provider, row of the catalogue
ODDITIES: tuple[tuple[Nature, str, CatalogueRow], ...] = (
    ("classifier", "Emulated Nemotron", CatalogueRow(
        "emulated/nemotron-3.5-content-safety:free", "Nemotron 3.5 Content Safety (free)", 128_000, 8_192, "ti", "so",
        "optional")),
    ("gated", "Emulated Inkling", CatalogueRow(
        "emulated/inkling:free", "Inkling (free)", LARGE, LARGE, "tia", "Tso", "optional")),
    ("paid", "Emulated Gemma", CatalogueRow(
        "emulated/gemma-4-31b-it", "Gemma 4 31B", LARGE, LARGE, "tiv", "SRTso", "optional",
        ("0.00000014", "0.0000004"))),
    ("paid", "Emulated GLM", CatalogueRow(
        "emulated/glm-5.2", "GLM 5.2", LARGE, LARGE, "t", "SRTso", "optional", ("0.0000006", "0.0000022"))),
    ("paid", "Emulated GLM", CatalogueRow(
        "emulated/glm-5.2:batch", "GLM 5.2 (batch)", LARGE, LARGE, "t", "SRTso", "optional",
        ("0.0000003", "0.0000011"))),
    ("media", "Emulated Lyria", CatalogueRow(
        "emulated/lyria-3-clip-preview", "Lyria 3 Clip Preview", 1_048_576, 65_536, "ti", "Rs",
        outputs=("text", "audio"))),
    ("router", "Emulated OpenRouter", CatalogueRow(
        "openrouter/auto", "Auto Router", 2_000_000, None, "tia", "SRTso", prices=("-1", "-1"))),
    ("router", "Emulated OpenRouter", CatalogueRow(
        FREE_ROUTER, "Free Models Router", 200_000, None, "ti", "SRTso")),
)  # fmt: skip
"""Models that a client must not ask by mistake: a classifier, a gated model, paid ones, media, routers."""


def builtin_models() -> tuple[EmulatedModel, ...]:
    """The built-in catalogue: ten free chat models, and the oddities."""
    free = [
        EmulatedModel(
            entry=catalogue_entry(row._replace(id=f"emulated/{row.id}:free", name=f"{row.name} (free)")),
            provider=f"Emulated {row.name.split()[0]}",
            behaviour=Behaviour(accuracy=accuracy, verbosity=verbosity, style=style),
        )
        for row, accuracy, verbosity, style in FREE
    ]
    odd = [
        EmulatedModel(entry=catalogue_entry(row), provider=provider, nature=nature)
        for nature, provider, row in ODDITIES
    ]
    return (*free, *odd)


def catalogue_entry(row: CatalogueRow) -> JsonObject:
    """An entry of `/models`. Source: schema `Model` of OpenRouter's OpenAPI document."""
    inputs = [INPUTS[letter] for letter in row.inputs]
    parameters = [parameter for letter in row.abilities for parameter in ABILITIES[letter]]
    is_router = row.id.startswith("openrouter/")
    slug = row.id.split(":")[0]
    return SAME_FOR_ALL | {
        "id": row.id,
        "canonical_slug": slug if is_router else f"{slug}-20260402",
        "name": f"Emulated: {row.name}",
        "description": f"Emulated: {row.name}: an emulation. It answers by simple rules and belongs to no one.",
        "context_length": row.context,
        "architecture": {
            "modality": f"{'+'.join(inputs)}->{'+'.join(row.outputs)}",
            "input_modalities": inputs,
            "output_modalities": list(row.outputs),
            "tokenizer": "Router" if is_router else "Other",
            "instruct_type": None,
        },
        "pricing": {"prompt": row.prices[0], "completion": row.prices[1]},
        "top_provider": {"context_length": row.context, "max_completion_tokens": row.output, "is_moderated": False},
        "supported_parameters": sorted({*SAMPLING, *parameters}),
        "links": {"details": f"/api/v1/models/{row.id}/endpoints"},
        **reasoning_member(row.thinking),
    }


def reasoning_member(thinking: Thinking) -> JsonObject:
    """The member `reasoning` of an entry; nothing for a model that does not think."""
    if thinking == "no":
        return {}
    return {"reasoning": {"mandatory": thinking == "mandatory", "default_enabled": thinking != "optional"}}


def snapshot_models(document: Mapping[str, Any]) -> tuple[EmulatedModel, ...]:
    """The models of a real `/models` reply: `{"data": [entries]}`. Raises KeyError for an entry without an id."""
    models = []
    for number, raw in enumerate(document.get("data") or ()):
        name = str(raw.get("name") or raw["id"])
        accuracy = 0.74 + 0.2 * ((number * 7) % 11) / 10
        models.append(
            EmulatedModel(
                entry=dict(raw),
                provider=f"Emulated {name.split(':')[0].split()[0]}",
                nature=_nature(raw),
                behaviour=Behaviour(accuracy=accuracy, verbosity=number % 3, style=STYLES[number % len(STYLES)]),
            )
        )
    return tuple(models)


def _nature(raw: Mapping[str, Any]) -> Nature:
    """The kind of model of an entry of `/models`, from its id, outputs and prices."""
    id = str(raw.get("id"))
    outputs = set((raw.get("architecture") or {}).get("output_modalities") or ["text"])
    if id == FREE_ROUTER or (raw.get("pricing") or {}).get("prompt") == "-1":
        return "router"
    if "safety" in id or "guard" in id:
        return "classifier"
    if outputs != {"text"}:
        return "media"
    if id.startswith("thinkingmachines/inkling"):
        return "gated"
    return "chat" if id.endswith(":free") else "paid"
