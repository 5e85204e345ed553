"""Faults that are sent instead of an answer: error bodies, word for word, with their status or inside a 200.

Sources: OpenRouter docs (errors, limits), and recorded traffic of July to October 2026.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from batchfree.emulator import error_bodies as bodies
from batchfree.emulator.error_bodies import Refusal, provider_error, refusal_body
from batchfree.emulator.faults.fault import Fault, Options
from batchfree.emulator.model_call import ModelCall

CREDITS = "Insufficient credits. Add more using https://openrouter.ai/settings/credits"
AFFORD = (
    "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford "
    "12. To increase, visit https://openrouter.ai/settings/keys and adjust the key's total limit"
)
TERMS = "The request is prohibited due to a violation of provider Terms Of Service."
EXHAUSTED = "ResourceExhausted: Worker local total request limit reached (32/32)"


def _error_200(call: ModelCall, options: Options) -> Refusal:
    message = options["message"] or f"Upstream error from {call.provider}: {EXHAUSTED}"
    body: dict[str, Any] = {"error": {"message": message, "code": options["code"]}}
    if options["choices"] != "absent":
        body |= {"id": "gen-0-error", "object": "chat.completion", "created": int(call.now), "model": call.model}
        body["choices"] = None if options["choices"] == "null" else []
    return Refusal(status=200, body=body | {"user_id": bodies.USER})


def _overloaded_200(call: ModelCall, options: Options) -> Refusal:
    error = {"message": f"Upstream error from {call.provider}: Service temporarily overloaded", "code": 503}
    return Refusal(status=200, body={"error": error | {"metadata": {"error_type": "provider_overloaded"}}})


def _budget_402(call: ModelCall, options: Options) -> Refusal:
    metadata = {"limit_source": "openrouter_in_flight_budget", "reason": "in_flight_budget_exhausted"}
    headers = {"Retry-After": str(options["seconds"])}
    return refusal_body(402, "In-flight budget exhausted. Retry shortly.", metadata=metadata, headers=headers)


def _budget_403(call: ModelCall, options: Options) -> Refusal:
    metadata = {
        "limit_source": options["source"],
        "scope": "daily",
        "limit_usd": 1,
        "spend_usd": 1.02,
        "resets_at": options["resets_at"],
    }
    return refusal_body(403, "Budget limit exceeded", metadata=metadata, user=True)


def _moderation_403(call: ModelCall, options: Options) -> Refusal:
    metadata = {
        "reasons": ["violence"],
        "flagged_input": call.content[:100],
        "provider_name": call.provider,
        "model_slug": call.model,
    }
    message = f'{call.model} requires moderation on {call.provider}. Your input was flagged for "violence".'
    return refusal_body(403, message, metadata=metadata, falls_over=True, user=True)


def _free_ended(call: ModelCall, options: Options) -> Refusal:
    paid = options["fallback"] or call.model.removesuffix(":free")
    availability = {
        "code": "free_variant_ended",
        "retryable": False,
        "requested_models": [call.model],
        "fallback_models": [paid],
        "docs_url": "https://openrouter.ai/docs/api-reference/errors",
    }
    message = f"The free promotion of {call.model} has ended. The paid version is available: {paid}"
    return refusal_body(404, message, falls_over=True, user=True, availability=availability)


def _capacity_429(call: ModelCall, options: Options) -> Refusal:
    availability = {
        "code": "capacity_exhausted",
        "retryable": True,
        "retry_after": options["seconds"],
        "requested_models": [call.model],
        "docs_url": "https://openrouter.ai/docs/api-reference/errors",
    }
    return refusal_body(429, "No capacity is available now.", falls_over=True, availability=availability)


def _upstream_429(call: ModelCall, options: Options) -> Refusal:
    if options["form"] == "short":
        message = f"{call.model} is temporarily rate-limited upstream."
        return refusal_body(429, message, metadata={"error_type": "rate_limit_exceeded"}, falls_over=True)
    if options["form"] == "old":
        raw = f"{call.model} is temporarily rate-limited upstream. Please retry shortly."
        return provider_error(429, call.provider, raw)
    return bodies.upstream_limit(call.model, call.provider, options["seconds"])


def _limit_rpm(call: ModelCall, options: Options) -> Refusal:
    family, slug = call.model.removesuffix(":free"), "0b8c2f0e-0000-4000-8000-000000000000"
    message = (
        f"Rate limit exceeded: {options['window']}/{family}/{slug}. High demand for {call.model} on OpenRouter - "
        f"limited to {options['limit']} requests per minute. Please retry shortly."
    )
    mark = str(int((call.now // 60 + 1) * 60_000))
    headers = {"X-RateLimit-Limit": str(options["limit"]), "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": mark}
    return refusal_body(429, message, metadata={"headers": headers, "provider_name": None}, falls_over=True, user=True)


def _day_429(call: ModelCall, options: Options) -> Refusal:
    return bodies.day_limit(options["limit"], (call.now // 86_400 + 1) * 86_400, options["hint"])


def _minute_429(call: ModelCall, options: Options) -> Refusal:
    return bodies.minute_limit(options["limit"], (call.now // 60 + 1) * 60, options["hint"])


def _response_format_400(call: ModelCall, options: Options) -> Refusal:
    wording = f"Model '{call.model}' does not support '{options['type']}' response format."
    return provider_error(400, call.provider, json.dumps({"error": {"message": wording, "code": 400}}))


def _context_400(call: ModelCall, options: Options) -> Refusal:
    return bodies.context_length(options["limit"], options["limit"] + len(call.content) // 4 + 1, 10)


def _overloaded_503(call: ModelCall, options: Options) -> Refusal:
    headers = {} if options["seconds"] is None else {"Retry-After": str(options["seconds"])}
    message = f"Upstream error from {call.provider}: Service temporarily overloaded"
    return refusal_body(503, message, metadata={"error_type": "provider_overloaded"}, headers=headers, falls_over=True)


def _attestation_403(call: ModelCall, options: Options) -> Refusal:
    metadata = {
        "missing_attestation_types": ["identity"],
        "failed_routing_step": "Gate Endpoints with Attestations",
    }
    return refusal_body(403, f"{call.model} requires an attestation.", metadata=metadata, falls_over=True, user=True)


def _plain(status: int, message: str, *, falls_over: bool = False, **metadata: Any) -> Callable[..., Refusal]:
    """A refusal of one sentence; `{model}` and `{provider}` are filled in, also in the metadata."""

    def refuse(call: ModelCall, options: Options) -> Refusal:
        names = {"model": call.model, "provider": call.provider}
        filled = {key: value.format(**names) if isinstance(value, str) else value for key, value in metadata.items()}
        text = message.format(**names)
        return refusal_body(status, text, metadata=filled or None, falls_over=falls_over, user=True)

    return refuse


def _provider(status: int, raw: str) -> Callable[..., Refusal]:
    return lambda call, options: provider_error(
        status, call.provider, raw.format(model=call.model, provider=call.provider)
    )


def _funnel(message: str, step: str, *, falls_over: bool = True) -> Callable[..., Refusal]:
    return lambda call, options: bodies.no_endpoints(message.format(model=call.model), step, falls_over=falls_over)


def _fault(name: str, does: str, refuse: Callable[..., Refusal], options: Mapping[str, Any] | None = None) -> Fault:
    def named(call: ModelCall, given: Options) -> Refusal:
        return replace(refuse(call, given), name=name)

    return Fault(name=name, does=does, options=options or {}, refuse=named)


PARAMETERS = (
    "No endpoints found that can handle the requested parameters. To learn more, visit: https://openrouter.ai/docs"
)
ENDED = "This model is unavailable for free. The paid version is available now"

FAULTS = (
    _fault(
        "error_200",
        "answers 200 with only an error inside; `choices`: absent, null or empty",
        _error_200,
        {"code": 502, "message": "", "choices": "absent"},
    ),
    _fault("overloaded_200", "answers 200 with a 503 `provider_overloaded` inside", _overloaded_200),
    _fault("invalid_400", "says that the request is malformed", _plain(400, "Input must have at least 1 token.")),
    _fault("content_policy_400", "refuses the content", _plain(
        400, "The request was refused by the content policy.", falls_over=True,
        error_type="content_policy_violation", provider_name="{provider}")),
    _fault("image_400", "can't read the picture", _plain(
        400, "Could not process image", error_type="invalid_image", provider_name="{provider}")),
    _fault("response_format_400", "refuses `response_format`", _response_format_400, {"type": "json_schema"}),
    _fault("schema_400", "refuses the JSON Schema", _provider(400, "Invalid schema for response_format")),
    _fault("max_tokens_400", "refuses `max_tokens`", _provider(400, "max_tokens must be at least 16")),
    _fault("reasoning_400", "refuses thinking switched off", _plain(
        400, "Reasoning is mandatory for this endpoint and cannot be disabled.", falls_over=True)),
    _fault("context_400", "says that the request is too long", _context_400, {"limit": 16_384}),
    _fault("unknown_model_400", "does not know the model", _plain(400, "{model} is not a valid model ID")),
    _fault("key_401", "refuses the key", _plain(401, "User not found.")),
    _fault("provider_401", "has a provider that refuses its key", _provider(401, "Unauthorized: invalid API key")),
    _fault("credits_402", "demands credits", _plain(402, CREDITS, limit_source="openrouter_credits")),
    _fault("key_limit_402", "says that the limit of the key is too low", _plain(
        402, AFFORD, limit_source="openrouter_key_limit")),
    _fault("in_flight_402", "says that too much is in flight; with Retry-After", _budget_402, {"seconds": 5}),
    _fault("budget_403", "says that a budget is spent", _budget_403,
           {"source": "openrouter_guardrail_budget", "resets_at": "2030-01-01T00:00:00Z"}),
    _fault("agent_403", "reserves the model for coding agents", lambda call, options: bodies.agents_only(call.model)),
    _fault("moderation_403", "flags the input", _moderation_403),
    _fault("guardrail_403", "blocks the content by a guardrail", _plain(
        403, "Request blocked by guardrail: content matched a blocked pattern", patterns=["secret"])),
    _fault("attestation_403", "demands an attestation", _attestation_403),
    _fault("region_403", "is closed in this region", _plain(
        403, "The model is not available in your region", falls_over=True, provider_name="{provider}")),
    _fault("terms_403", "says that the provider's terms are violated", _plain(403, TERMS, falls_over=True)),
    _fault("privacy_404", "has no endpoint that fits the account's privacy settings",
           lambda call, options: bodies.privacy(options["kind"]), {"kind": "Free model training"}),
    _fault("gone_404", "has no endpoint for the model any more", _plain(
        404, "No endpoints found for {model}.", falls_over=True)),
    _fault("unavailable_404", "serves the model only for money", _plain(404, ENDED, falls_over=True)),
    _fault("free_ended_404", "ended the free variant and names the paid one", _free_ended, {"fallback": ""}),
    _fault("provider_404", "has a provider that does not know the model", _provider(404, "model not found")),
    _fault("parameters_404", "has no endpoint for these parameters", _funnel(PARAMETERS, "Filter by Parameters")),
    _fault("tools_404", "has no endpoint for tools", _funnel(
        "No endpoints found that support tool use.", "Filter by Tool Compatibility")),
    _fault("image_404", "has no endpoint for pictures", _funnel(
        "No endpoints found that support image input", "Filter by Input Modalities")),
    _fault("providers_404", "allows no provider of the model", _funnel(
        "No allowed providers are available for the selected model.", "Filter by Guardrails")),
    _fault("timeout_408", "timed out", _plain(408, "Request timed out")),
    _fault("precondition_412", "says that a precondition failed", _plain(412, "Precondition failed")),
    _fault("too_large_413", "says that the body is too large", _plain(413, "Payload too large")),
    _fault("unprocessable_422", "can't process the request", _plain(422, "Unprocessable entity")),
    _fault("upstream_429", "has a provider that is full; `seconds`: its hint; `form`: new, short or old", _upstream_429,
           {"seconds": None, "form": "new"}),
    _fault("capacity_429", "has no capacity (`availability`)", _capacity_429, {"seconds": 5}),
    _fault("limit_rpm_429", "limits the requests to one model", _limit_rpm, {"limit": 8, "window": "limit_rpm"}),
    _fault("day_429", "says that the day's quota is spent", _day_429, {"limit": 50, "hint": "body"}),
    _fault("minute_429", "says that the minute's quota is spent", _minute_429, {"limit": 20, "hint": "body"}),
    _fault("server_500", "fails itself", _plain(500, "Internal Server Error", falls_over=True)),
    _fault("upstream_502", "gets an invalid answer from the provider", _plain(
        502, "Upstream error from {provider}: " + EXHAUSTED, falls_over=True, provider_name="{provider}")),
    _fault("overloaded_503", "is overloaded; `seconds`: Retry-After", _overloaded_503, {"seconds": 3}),
    _fault("upstream_504", "gets no answer from the provider in time", _plain(
        504, "Upstream timeout exceeded", falls_over=True)),
    _fault("cdn_524", "times out at the CDN", _plain(524, "A timeout occurred")),
    _fault("overloaded_529", "has an overloaded provider", _plain(529, "Provider overloaded", falls_over=True)),
)  # fmt: skip
