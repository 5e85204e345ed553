"""The models on offer: a small built-in catalogue, or the entries of a real `/models` snapshot.

The built-in names say that they are emulated; their abilities vary the way the free models of August 2026 did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batchfree.emulator.emulated_model import FREE_ROUTER, Behaviour, EmulatedModel, JsonObject, Nature

CREATED = 1_775_148_486
SAMPLING = (
    "frequency_penalty",
    "max_completion_tokens",
    "max_tokens",
    "presence_penalty",
    "stop",
    "temperature",
    "top_p",
)
MODALITIES = {"t": "text", "i": "image", "a": "audio", "v": "video"}
STYLES = ("bare", "capital", "bold", "lead", "sentence")


def entry(
    id: str,
    name: str,
    *,
    context: int,
    output: int | None,
    inputs: str = "t",
    parameters: Sequence[str] = (),
    outputs: Sequence[str] = ("text",),
    prices: tuple[str, str] = ("0", "0"),
    thinking: str = "",
    expires: str | None = None,
    tokenizer: str = "Other",
) -> JsonObject:
    """A model object as the official OpenAPI document wants it (schema `Model`). Long because it is one table."""
    modalities = [MODALITIES[letter] for letter in inputs]
    slug = id.split(":")[0]
    model: JsonObject = {
        "id": id,
        "canonical_slug": slug if slug.startswith("openrouter/") else f"{slug}-20260402",
        "hugging_face_id": "",
        "name": name,
        "created": CREATED,
        "description": f"{name}: an emulation. It answers by simple rules and belongs to no one.",
        "context_length": context,
        "architecture": {
            "modality": f"{'+'.join(modalities)}->{'+'.join(outputs)}",
            "input_modalities": modalities,
            "output_modalities": list(outputs),
            "tokenizer": tokenizer,
            "instruct_type": None,
        },
        "pricing": {"prompt": prices[0], "completion": prices[1]},
        "top_provider": {"context_length": context, "max_completion_tokens": output, "is_moderated": False},
        "per_request_limits": None,
        "supported_parameters": sorted({*SAMPLING, *parameters}),
        "default_parameters": {"temperature": None, "top_p": None, "frequency_penalty": None},
        "supported_voices": None,
        "knowledge_cutoff": None,
        "expiration_date": expires,
        "links": {"details": f"/api/v1/models/{id}/endpoints"},
    }
    if thinking:
        model["reasoning"] = {"mandatory": thinking == "m", "default_enabled": thinking in "md"}
    return model


ABILITIES = {
    "S": ("structured_outputs",),
    "R": ("response_format",),
    "T": ("tools", "tool_choice"),
    "s": ("seed",),
    "o": ("include_reasoning", "reasoning"),
}

# slug, name, context, most tokens of output, inputs, abilities, thinking, accuracy, verbosity, label style
FREE: tuple[tuple[str, str, int, int | None, str, str, str, float, int, str], ...] = (
    ("north-mini-code", "North Mini Code", 256_000, 64_000, "t", "Tso", "o", 0.80, 0, "bare"),
    ("dots-3-note", "Dots 3 Note", 512_000, 512_000, "ti", "SRTo", "o", 0.86, 1, "bare"),
    ("gemma-4-26b-a4b-it", "Gemma 4 26B A4B", 262_144, 32_768, "tiv", "RTso", "o", 0.88, 1, "bold"),
    ("gemma-4-31b-it", "Gemma 4 31B", 262_144, 32_768, "tiv", "RTso", "o", 0.92, 1, "bare"),
    ("lfm-2.5-2.6b", "LFM 2.5 2.6B", 65_536, 8_192, "t", "SRTso", "m", 0.74, 0, "capital"),
    ("nemotron-3-super-120b", "Nemotron 3 Super 120B", 262_144, 262_144, "t", "SRTso", "d", 0.93, 2, "bare"),
    ("nemotron-3-ultra-550b", "Nemotron 3 Ultra 550B", 1_000_000, 65_536, "t", "Tso", "d", 0.95, 2, "sentence"),
    ("nemotron-3-nano-omni-30b", "Nemotron 3 Nano Omni 30B", 256_000, 65_536, "tiav", "Tso", "d", 0.82, 1, "lead"),
    ("laguna-s-2.1", "Laguna S 2.1", 262_144, 32_768, "t", "To", "o", 0.84, 0, "capital"),
    ("glm-5.2", "GLM 5.2", 256_000, None, "t", "SRTso", "o", 0.94, 1, "bare"),
)


def builtin() -> tuple[EmulatedModel, ...]:
    """The built-in catalogue: ten free chat models, and everything beside them that a client must not fall for."""
    return (*(_free(row) for row in FREE), *_oddities())


def _free(row: tuple[str, str, int, int | None, str, str, str, float, int, str]) -> EmulatedModel:
    slug, name, context, output, inputs, abilities, thinking, accuracy, verbosity, style = row
    parameters = [parameter for letter in abilities for parameter in ABILITIES[letter]]
    return EmulatedModel(
        entry=entry(
            f"emulated/{slug}:free",
            f"Emulated: {name} (free)",
            context=context,
            output=output,
            inputs=inputs,
            parameters=parameters,
            thinking=thinking,
        ),
        provider=f"Emulated {name.split()[0]}",
        hand=Behaviour(accuracy=accuracy, verbosity=verbosity, style=style),
    )


def _oddities() -> tuple[EmulatedModel, ...]:
    """Not for an ordinary free request: a classifier, a gated model, paid ones, media, routers. Long: one table."""
    everything = [parameter for names in ABILITIES.values() for parameter in names]
    rows: tuple[tuple[Nature, str, JsonObject], ...] = (
        (
            "classifier",
            "Emulated Nemotron",
            entry(
                "emulated/nemotron-3.5-content-safety:free",
                "Emulated: Nemotron 3.5 Content Safety (free)",
                context=128_000,
                output=8_192,
                inputs="ti",
                parameters=ABILITIES["s"] + ABILITIES["o"],
                thinking="o",
            ),
        ),
        ("gated", "Emulated Inkling", _large("inkling:free", "Inkling (free)", inputs="tia")),
        (
            "paid",
            "Emulated Gemma",
            _large("gemma-4-31b-it", "Gemma 4 31B", inputs="tiv", prices=("0.00000014", "0.0000004")),
        ),
        ("paid", "Emulated GLM", _large("glm-5.2", "GLM 5.2", prices=("0.0000006", "0.0000022"))),
        ("paid", "Emulated GLM", _large("glm-5.2:batch", "GLM 5.2 (batch)", prices=("0.0000003", "0.0000011"))),
        (
            "media",
            "Emulated Lyria",
            entry(
                "emulated/lyria-3-clip-preview",
                "Emulated: Lyria 3 Clip Preview",
                context=1_048_576,
                output=65_536,
                inputs="ti",
                parameters=("response_format", "seed"),
                outputs=("text", "audio"),
            ),
        ),
        (
            "router",
            "Emulated OpenRouter",
            entry(
                "openrouter/auto",
                "Emulated: Auto Router",
                context=2_000_000,
                output=None,
                inputs="tia",
                parameters=everything,
                prices=("-1", "-1"),
                tokenizer="Router",
            ),
        ),
        (
            "router",
            "Emulated OpenRouter",
            entry(
                FREE_ROUTER,
                "Emulated: Free Models Router",
                context=200_000,
                output=None,
                inputs="ti",
                parameters=everything,
                tokenizer="Router",
            ),
        ),
    )
    return tuple(EmulatedModel(entry=model, provider=provider, nature=nature) for nature, provider, model in rows)


def _large(slug: str, name: str, *, inputs: str = "t", prices: tuple[str, str] = ("0", "0")) -> JsonObject:
    abilities = "Tso" if slug.endswith(":free") else "SRTso"
    return entry(
        f"emulated/{slug}",
        f"Emulated: {name}",
        context=262_144,
        output=262_144,
        inputs=inputs,
        parameters=[parameter for letter in abilities for parameter in ABILITIES[letter]],
        prices=prices,
        thinking="o",
    )


def from_snapshot(document: Mapping[str, Any]) -> tuple[EmulatedModel, ...]:
    """The models of a real `/models` reply: `{"data": [entries]}`. Broken entries are served but never answer."""
    models = []
    for number, raw in enumerate(document.get("data") or ()):
        name = str(raw.get("name") or raw["id"])
        accuracy = 0.74 + 0.2 * ((number * 7) % 11) / 10
        models.append(
            EmulatedModel(
                entry=dict(raw),
                provider=f"Emulated {name.split(':')[0].split()[0]}",
                nature=nature(raw),
                hand=Behaviour(accuracy=accuracy, verbosity=number % 3, style=STYLES[number % len(STYLES)]),
            )
        )
    return tuple(models)


def nature(raw: Mapping[str, Any]) -> Nature:
    """What kind of model an entry of `/models` is, by its id, outputs and prices."""
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
