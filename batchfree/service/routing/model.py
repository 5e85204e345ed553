"""A model of the catalogue, and what its id says about it."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

import msgspec

TEXT_ONLY = frozenset({"text"})

SAFETY_CLASSIFIERS = re.compile(
    r"content-?safety|(?<!van)guard(?!rail)|shield-?gemma|moderation|safety-?classif|wild-?guard|jailbreak-?detect|"
    r"prompt-?injection",
    re.IGNORECASE,
)
"""Ids of models that answer every prompt with a verdict such as `User Safety: safe`."""

NO_CHAT = re.compile(
    r"(?<![a-z])(embed(ding)?s?|re-?rank(er)?|whisper|transcribe|tts|gpt-image|dall-?e|sora)(?![a-z])", re.IGNORECASE
)
"""Ids of models that do not chat, whichever modalities they list."""

FOR_AGENTS = ("thinkingmachines/inkling:", "thinkingmachines/inkling-")
"""Prefixes of ids that answer ordinary callers with 403 `only available on agentic harnesses` (seen in autumn 2026)."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the catalogue. Lengths in tokens. `free`: the id ends in `:free`, every listed price is zero."""

    id: str
    free: bool = False
    context_length: int | None = None
    max_completion_tokens: int | None = None
    input_modalities: frozenset[str] = TEXT_ONLY
    output_modalities: frozenset[str] = TEXT_ONLY
    parameters: frozenset[str] = frozenset()
    expires: date | None = None
    reasoning_mandatory: bool = False


def is_chat_model(model: Model) -> bool:
    """Whether a model takes and writes text, by its modalities and its id."""
    speaks_text = model.output_modalities == TEXT_ONLY and "text" in model.input_modalities
    return speaks_text and NO_CHAT.search(model.id) is None


@lru_cache(maxsize=256)
def is_safety_classifier(model_id: str) -> bool:
    """Whether the id is that of a known safety classifier, which answers every prompt with a verdict."""
    return SAFETY_CLASSIFIERS.search(model_id) is not None
