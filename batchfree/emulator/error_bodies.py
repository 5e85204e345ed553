"""Error bodies, word for word as the service sends them.

Sources: OpenRouter docs (errors, limits, provider selection), and recorded traffic of August to October 2026.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batchfree.emulator.emulated_model import JsonObject

USER = "user_2emulated0000000000000000000"
SETTINGS = "https://openrouter.ai/settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A reply that is an error: its HTTP status, its JSON body, its own headers.

    `falls_over` says that the service tries the next of the request's `models`. `name` is its name in the request log.
    """

    status: int
    body: JsonObject
    headers: Mapping[str, str] = field(default_factory=dict)
    falls_over: bool = False
    name: str = ""

    def encode(self) -> bytes:
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()


def refusal_body(
    status: int,
    message: str,
    *,
    name: str = "",
    metadata: JsonObject | None = None,
    headers: Mapping[str, str] | None = None,
    falls_over: bool = False,
    user: bool = False,
    **members: Any,
) -> Refusal:
    """A refusal in the envelope of OpenRouter's docs (errors); `members` go beside `code` and `message`."""
    error: JsonObject = {"message": message, "code": status}
    if metadata is not None:
        error["metadata"] = metadata
    body: JsonObject = {"error": error | members}
    if user:
        body["user_id"] = USER
    return Refusal(status=status, body=body, headers=headers or {}, falls_over=falls_over, name=name)


def day_limit(limit: int, reset: float, hint: str = "body") -> Refusal:
    """429 of the day's quota; `reset` in epoch seconds."""
    wording = (
        "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day"
        if limit < 1000
        else "Rate limit exceeded: free-models-per-day-high-balance. "
    )
    remedy = (
        "Wait for the daily reset (see X-RateLimit-Reset), or purchase credits to raise your free-model daily limit."
    )
    return _limit("day_429", wording, "openrouter_free_tier_daily", remedy, limit, reset, hint, user=True)


def minute_limit(limit: int, reset: float, hint: str = "body") -> Refusal:
    """429 of the minute's quota; `reset` in epoch seconds."""
    remedy = "Slow down requests to free models, or retry after the per-minute window resets."
    wording = "Rate limit exceeded: free-models-per-min. "
    return _limit("minute_429", wording, "openrouter_free_tier_per_minute", remedy, limit, reset, hint, user=False)


def _limit(
    name: str, wording: str, source: str, remedy: str, limit: int, reset: float, hint: str, *, user: bool
) -> Refusal:
    mark = str(int(reset)) if hint == "seconds" else str(int(reset * 1000))
    headers = {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": mark}
    metadata = {"headers": headers, "limit_source": source, "remedy_hint": remedy, "provider_name": None}
    if hint == "headers":
        del metadata["headers"]
    real = headers if hint in ("headers", "both") else {}
    return refusal_body(429, wording, name=name, metadata=metadata, headers=real, user=user)


def upstream_limit(model: str, provider: str, seconds: float | None) -> Refusal:
    """429 of a provider's shared pool; `seconds` is its hint, None for no hint."""
    metadata: JsonObject = {
        "raw": f"{model} is temporarily rate-limited upstream. Please retry shortly, or add your own key to accumulate "
        f"your rate limits: {SETTINGS}/integrations",
        "provider_name": provider,
        "is_byok": False,
        "provider_error_code": "429",
        "limit_source": "upstream_provider_shared_pool",
        "remedy_hint": "Retry shortly, add your own provider key, or route to another provider with provider routing.",
    }
    headers = {}
    if seconds is not None:
        headers = {"Retry-After": str(round(seconds))}
        metadata |= {"retry_after_seconds": round(seconds), "retry_after_seconds_raw": seconds, "headers": headers}
    return refusal_body(
        429,
        "Provider returned error",
        name="upstream_429",
        metadata=metadata,
        headers=headers,
        falls_over=True,
        user=True,
    )


def provider_error(status: int, provider: str, raw: str, **extra: Any) -> Refusal:
    """An error that a provider sent; its text is in `metadata.raw`, the message is always the same."""
    metadata = {"raw": raw, "provider_name": provider, "is_byok": False, **extra}
    return refusal_body(status, "Provider returned error", metadata=metadata, falls_over=True, user=True)


def context_length(limit: int, prompt: int, output: int) -> Refusal:
    """400 for a request that is too long; all numbers in tokens."""
    message = (
        f"This endpoint's maximum context length is {limit} tokens. However, you requested about {prompt + output} "
        f"tokens ({prompt} of text input, {output} in the output). Please reduce the length of either one, or use the "
        "context-compression plugin to compress your prompt automatically."
    )
    return refusal_body(400, message, name="context_400", metadata={"provider_name": None}, falls_over=True, user=True)


def unknown_model(id: str) -> Refusal:
    """400 for an id that was never on offer."""
    return refusal_body(400, f"{id} is not a valid model ID", name="unknown_model", user=True)


def no_endpoints(message: str, step: str, *, falls_over: bool = True, name: str = "") -> Refusal:
    """404 of the routing funnel; `step` is the filter that left no endpoint."""
    metadata = {"routing_funnel": [{"step": "Initial Endpoints", "endpoint_count": 1}], "failed_routing_step": step}
    return refusal_body(404, message, name=name, metadata=metadata, falls_over=falls_over, user=True)


def agents_only(id: str) -> Refusal:
    """403 for a model that is reserved for coding agents."""
    message = (
        f"{id} is only available on agentic harnesses. Try plugging it into a coding agent or productivity app "
        "listed on https://openrouter.ai/apps"
    )
    metadata = {"failed_routing_step": "Gate Free Endpoints by Agentic Harness"}
    return refusal_body(403, message, name="agent_403", metadata=metadata, falls_over=True, user=True)


def privacy(kind: str = "Free model training") -> Refusal:
    """404 for an account whose privacy settings exclude the model."""
    message = f"No endpoints found matching your data policy ({kind}). Configure: {SETTINGS}/privacy"
    return no_endpoints(message, "Filter by Data Policy", falls_over=False, name="privacy_404")


def schema_mistake(path: str, message: str) -> Refusal:
    """400 in the second envelope of the service, which names the path of a wrong member."""
    detail = json.dumps([{"code": "invalid_type", "path": path.split("."), "message": message}])
    body: JsonObject = {"success": False, "error": {"name": "ZodError", "message": detail}}
    return Refusal(status=400, body=body, name="invalid_request")
