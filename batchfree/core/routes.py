"""Routes: what a request may ask for, which routes are free, and their limits.

`openrouter/free`, `local` and ids that end in `:free` are free routes on every endpoint, and the free limits apply to
them (OpenRouter FAQ: "`:free` variants are always provided for free and have low rate limits").
"""

from __future__ import annotations

import re
from pathlib import PurePath

FREE_ROUTER = "openrouter/free"
"""OpenRouter's Free Models Router: the service draws the model."""
LOCAL = "local"
"""batchfree's own router draws the model."""
SMALL_MODEL = "SmolLM2-135M"
"""The one model of `endpoint: llama` if the job names no other file."""
ROUTERS = (FREE_ROUTER, LOCAL)
"""Routes that name no model."""

FREE_REQUESTS_PER_MINUTE = 20
"""Requests that an account may start in a minute on free routes (OpenRouter docs, "Limits")."""
MOST_MODELS = 3
"""Entries that OpenRouter takes in `models`, the primary model included; a fourth is answered with a 400."""

FREE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)+:free")
"""The form `author/model:free`, with this one variant suffix only. `x/y:online:free` would switch on a paid helper, and
ids that begin with `~` or `@` are aliases of other models."""


def llama_model(file: str | None) -> str:
    """The id of the model that llama.cpp runs: the name of its file without `.gguf`."""
    return SMALL_MODEL if file is None else PurePath(file).stem


def is_free_id(model_id: str) -> bool:
    """Whether an id names a free variant. Only these are safe to ask for: a listed price of 0 proves nothing."""
    return FREE_ID.fullmatch(model_id) is not None


def is_free_route(route: str) -> bool:
    """Whether the free limits apply to this route. The endpoint does not matter."""
    return route in ROUTERS or route.endswith(":free")
