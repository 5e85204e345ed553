"""Routes: what a request may ask for, and which of it is free.

`openrouter/free`, `local` and ids that end in `:free` are free routes on every endpoint; the free limits go with the
route (OpenRouter FAQ: "`:free` variants are always provided for free and have low rate limits").
"""

from __future__ import annotations

import re

FREE_ROUTER = "openrouter/free"
"""The Free Models Router of the service: it draws the model itself."""
LOCAL = "local"
"""Every draw is made by batchfree's own router."""
ROUTERS = (FREE_ROUTER, LOCAL)
"""Routes that name no model."""

FREE_REQUESTS_PER_MINUTE = 20
"""Requests that an account may start in a minute on free routes (OpenRouter docs, "Limits")."""
MOST_MODELS = 3
"""Entries that OpenRouter takes in `models`, the primary model included; a fourth is answered with a 400."""

FREE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)+:free")
"""`author/model:free`: one variant suffix and no other. `x/y:online:free` would switch on a paid helper; ids that begin
with `~` or `@` are aliases for other models."""


def is_free_id(model_id: str) -> bool:
    """Whether an id names a free variant. Only such ids are safe to ask for: a listed price of "0" proves nothing."""
    return FREE_ID.fullmatch(model_id) is not None


def is_free_route(route: str) -> bool:
    """Whether the free limits go with this route, on whatever endpoint."""
    return route in ROUTERS or route.endswith(":free")
