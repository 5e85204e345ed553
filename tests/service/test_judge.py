"""The judge of responses, with every kind of body that OpenRouter documents or was seen to send.

The file is long because most of it is a table.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfree.core.chat import Completion, Failure, Judged, Kind, ToolCall
from batchfree.core.finish_reasons import Ending
from batchfree.service.openrouter.judge import judge
from batchfree.service.openrouter.masking import Secret
from batchfree.service.openrouter.time_hints import parse_duration

GEMMA = "google/gemma-4-31b-it:free"
LFM = "liquid/lfm-2.5-2.6b:free"
SAFETY = "nvidia/nemotron-3.5-content-safety:free"
KEY = "sk-or-v1-" + "0123456789abcdef" * 4
USAGE = {
    "prompt_tokens": 17,
    "completion_tokens": 80,
    "total_tokens": 97,
    "cost": 0,
    "completion_tokens_details": {"reasoning_tokens": 76},
}


def reply(
    content: Any = "Hello.", *, model: str = LFM, finish: str | None = "stop", usage: Any = USAGE, **message: Any
) -> dict[str, Any]:
    """A successful response in OpenRouter's format."""
    choice = {
        "index": 0,
        "logprobs": None,
        "finish_reason": finish,
        "native_finish_reason": finish,
        "message": {"role": "assistant", "content": content, "refusal": None, "reasoning": "Hm.", **message},
    }
    return {
        "id": "gen-1791331200-Ab12Cd34Ef56Gh78Ij90",
        "object": "chat.completion",
        "created": 1791331200,
        "model": model,
        "provider": "Liquid",
        "system_fingerprint": None,
        "choices": [choice],
        "usage": usage,
    }


def error(code: Any, message: str, /, *, availability: Any = None, **metadata: Any) -> dict[str, Any]:
    """An error in OpenRouter's format, always with an account id."""
    told = {"code": code, "message": message, "metadata": metadata, "availability": availability}
    return {"error": {key: value for key, value in told.items() if value}, "user_id": "user_2abcDEF"}


def judged(status: int, body: Any, headers: dict[str, str] | None = None) -> Judged:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return judge(status, headers or {"Content-Type": "application/json"}, raw)


@dataclass(frozen=True)
class Case:
    """A response, and what of the failure must be so."""

    name: str
    status: int
    body: Any
    kind: Kind
    facts: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    says: str = ""


DAY = {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1791331200000"}
MINUTE = {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1785658140000"}
POOL_FULL = (
    f"{GEMMA} is temporarily rate-limited upstream. Please retry shortly, or add your own key to accumulate your "
    "rate limits: https://openrouter.ai/settings/integrations"
)
CONTEXT = (
    "This endpoint's maximum context length is 16384 tokens. However, you requested about 26265 tokens (26255 of text "
    "input, 10 in the output). Please reduce the length of either one, or use the context-compression plugin"
)
GATED = (
    "thinkingmachines/inkling:free is only available on agentic harnesses. Try plugging it into a coding agent or "
    "productivity app listed on https://openrouter.ai/apps"
)
PRIVACY = "No endpoints found matching your data policy ({}). Configure: https://openrouter.ai/settings/privacy"
PROVIDER = "Provider returned error"
CHOICE_ERROR = {"code": 502, "message": "Upstream died", "metadata": {"error_type": "provider_unavailable"}}
HTML = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>cloudflare</body></html>"

INSIDE_200 = [
    Case(
        "error without choices",
        200,
        error(502, "Upstream error from Nvidia: ResourceExhausted: Worker local total request limit reached (32/32)"),
        Kind.UPSTREAM_ERROR,
        {"status": 502},
        says="ResourceExhausted",
    ),
    Case(
        "overloaded provider",
        200,
        error(503, "Service temporarily overloaded", error_type="provider_overloaded"),
        Kind.UPSTREAM_ERROR,
        {"status": 503},
    ),
    Case("choices null with an error", 200, {**error(429, PROVIDER), "choices": None}, Kind.UPSTREAM_RATE_LIMIT),
    Case("choices empty with an error", 200, {**error(503, "down"), "choices": []}, Kind.UPSTREAM_ERROR),
    Case("choices empty without an error", 200, {**reply(), "choices": []}, Kind.BAD_RESPONSE, {"model": LFM}),
    Case("choices null without an error", 200, {**reply(), "choices": None}, Kind.BAD_RESPONSE),
    Case(
        "an error beside a whole answer",
        200,
        {**reply(), **error(500, "Internal Server Error")},
        Kind.UPSTREAM_ERROR,
    ),
    Case(
        "an error inside the choice, after half an answer",
        200,
        {**reply(), "choices": [{**reply("Half an", finish="error")["choices"][0], "error": CHOICE_ERROR}]},
        Kind.UPSTREAM_ERROR,
        {"content": "Half an", "finish_reason": "error", "model": LFM, "provider": "Liquid", "status": 502},
        says="Upstream died",
    ),
    Case("finish reason error and nothing else", 200, reply("Half", finish="error"), Kind.UPSTREAM_ERROR),
    Case("an error code that is a word", 200, error("server_error", "oops"), Kind.UPSTREAM_ERROR, {"status": 500}),
    Case("an error that is a text", 200, {"error": "model overloaded"}, Kind.UPSTREAM_ERROR, says="model overloaded"),
    Case("null content", 200, reply(None), Kind.EMPTY, {"model": LFM, "finish_reason": "stop"}),
    Case("empty content, no finish reason", 200, reply("", finish=None), Kind.EMPTY),
    Case("blank content", 200, reply(" \n\t"), Kind.EMPTY),
    Case("no message at all", 200, {**reply(), "choices": [{"index": 0}]}, Kind.EMPTY),
    Case("only thinking in the parts", 200, reply([{"type": "thinking", "text": "Hm"}]), Kind.EMPTY),
    Case(
        "all tokens gone into reasoning", 200, reply("", finish="length"), Kind.TRUNCATED, {"finish_reason": "length"}
    ),
    Case("content filter", 200, reply("I", finish="content_filter"), Kind.CONTENT_POLICY),
    Case("native filter", 200, reply(None, finish="SAFETY"), Kind.CONTENT_POLICY),
    Case("refusal", 200, reply(None, refusal="I can't help with that"), Kind.REFUSED, says="can't help"),
    Case("a classifier's verdict", 200, reply("User Safety: safe", model=SAFETY), Kind.NOT_CHAT, {"model": SAFETY}),
    Case("a classifier's JSON", 200, reply('{"safety":"safe"}', model=SAFETY), Kind.NOT_CHAT),
    Case("a classifier's empty answer", 200, reply("", model=SAFETY), Kind.NOT_CHAT),
    Case("a classifier's long answer", 200, reply("positive", model="meta-llama/llama-guard-4:free"), Kind.NOT_CHAT),
    Case(
        "an event stream with an error only",
        200,
        b': OPENROUTER PROCESSING\n\ndata: {"choices":[],"error":{"code":429,"message":"Provider returned error",'
        b'"metadata":{"error_type":"rate_limit_exceeded"}}}\n\n',
        Kind.UPSTREAM_RATE_LIMIT,
    ),
    Case(
        "an event stream that ends in an error",
        200,
        b'data: {"choices":[{"delta":{"content":"Ha"}}]}\n\ndata: {"error":{"code":"server_error","message":"x"},'
        b'"choices":[{"finish_reason":"error"}]}\n\ndata: [DONE]\n',
        Kind.UPSTREAM_ERROR,
    ),
    Case("an event stream nobody asked for", 200, b'data: {"choices":[{"delta":{"content":"H"}}]}', Kind.BAD_RESPONSE),
]

UNREADABLE = [
    Case("nothing", 200, b"", Kind.BAD_RESPONSE),
    Case("only blanks", 200, b"\n\n   \n \t\r\n", Kind.BAD_RESPONSE, says="blanks"),
    Case("only blanks and comments", 200, b"\n: OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING", Kind.BAD_RESPONSE),
    Case("an HTML page", 200, HTML, Kind.BAD_RESPONSE, says="502 Bad Gateway"),
    Case("an HTML page as 404", 404, HTML, Kind.BAD_RESPONSE),
    Case("an HTML page as 403", 403, HTML, Kind.BAD_RESPONSE),
    Case("an HTML page as 502", 502, HTML, Kind.UPSTREAM_ERROR),
    Case("an HTML page as 524", 524, HTML, Kind.TIMEOUT),
    Case("an HTML page as 429, a flood block", 429, HTML, Kind.MINUTE_LIMIT),
    Case("JSON that breaks off", 200, json.dumps(reply()).encode()[:-9], Kind.BAD_RESPONSE),
    Case("two documents", 200, json.dumps(reply()).encode() * 2, Kind.BAD_RESPONSE),
    Case("a list", 200, [reply()], Kind.BAD_RESPONSE),
    Case("a number", 200, 7, Kind.BAD_RESPONSE),
    Case("choices of the wrong type", 200, {"choices": "none"}, Kind.BAD_RESPONSE),
    Case("a choice of the wrong type", 200, {"choices": ["x"]}, Kind.BAD_RESPONSE),
    Case("a thousand levels", 200, b"[" * 100_000, Kind.BAD_RESPONSE),
    Case("a redirect", 307, b"", Kind.BAD_RESPONSE, headers={"Location": "https://evil.example/x?k=1"}, says="evil"),
    Case("a redirect with a reply in it", 302, reply(), Kind.BAD_RESPONSE),
    Case("an error without a body", 500, b"", Kind.UPSTREAM_ERROR),
    Case("an error that is no object", 400, [1], Kind.BAD_RESPONSE),
    Case("an answer with an error's status", 500, reply(), Kind.UPSTREAM_ERROR),
    Case("a teapot", 418, {"error": {"message": "short and stout"}}, Kind.BAD_RESPONSE),
]

LIMITS = [
    Case(
        "the day, under ten credits",
        429,
        error(
            429,
            "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day",
            headers=DAY,
            limit_source="openrouter_free_tier_daily",
        ),
        Kind.DAY_LIMIT,
        {"limit": 50, "resets_at": 1791331200.0, "retry_after": None, "model": None},
    ),
    Case(
        "the day, ten credits or more",
        429,
        error(
            429,
            "Rate limit exceeded: free-models-per-day-high-balance. ",
            headers={**DAY, "X-RateLimit-Limit": "1000"},
            limit_source="openrouter_free_tier_daily",
        ),
        Kind.DAY_LIMIT,
        {"limit": 1000, "message": "Rate limit exceeded: free-models-per-day-high-balance."},
    ),
    Case(
        "the minute",
        429,
        error(
            429,
            "Rate limit exceeded: free-models-per-min. ",
            headers=MINUTE,
            limit_source="openrouter_free_tier_per_minute",
        ),
        Kind.MINUTE_LIMIT,
        {"limit": 20, "resets_at": 1785658140.0},
    ),
    Case(
        "the minute without a source, reset in the response's headers and in seconds",
        429,
        error(429, "Rate limit exceeded: free-models-per-min. "),
        Kind.MINUTE_LIMIT,
        {"limit": 16, "resets_at": 1785658140.0},
        {"x-ratelimit-limit": "16", "x-ratelimit-reset": "1785658140"},
    ),
    Case(
        "the day without a source",
        429,
        error(429, "Rate limit exceeded: free-models-per-day", headers=DAY),
        Kind.DAY_LIMIT,
        {"limit": 50},
    ),
    Case(
        "an upstream pool that is full",
        429,
        error(
            429,
            PROVIDER,
            raw=POOL_FULL,
            provider_name="Google AI Studio",
            is_byok=False,
            limit_source="upstream_provider_shared_pool",
        ),
        Kind.UPSTREAM_RATE_LIMIT,
        {"model": GEMMA, "provider": "Google AI Studio", "limit": None},
        says="Google AI Studio: google/gemma-4-31b-it:free is temporarily rate-limited upstream.",
    ),
    Case(
        "an upstream pool with a hint",
        429,
        error(
            429,
            PROVIDER,
            raw=POOL_FULL,
            provider_name="Venice",
            retry_after_seconds=17,
            retry_after_seconds_raw=16.007,
            headers={"Retry-After": "17"},
        ),
        Kind.UPSTREAM_RATE_LIMIT,
        {"retry_after": 17.0},
    ),
    Case(
        "an upstream pool, hint in a header",
        429,
        error(429, PROVIDER),
        Kind.UPSTREAM_RATE_LIMIT,
        {"retry_after": 9},
        {"retry-after": "9"},
    ),
    Case(
        "an upstream pool, hint as a date",
        429,
        error(429, PROVIDER),
        Kind.UPSTREAM_RATE_LIMIT,
        {"retry_after": None, "resets_at": 1791331200.0},
        {"retry-after": "Wed, 07 Oct 2026 00:00:00 GMT"},
    ),
    Case(
        "an old upstream body",
        429,
        error(429, PROVIDER, raw=POOL_FULL, provider_name="Chutes"),
        Kind.UPSTREAM_RATE_LIMIT,
    ),
    Case(
        "a stream's upstream body",
        429,
        error(429, f"{GEMMA} is temporarily rate-limited upstream.", error_type="rate_limit_exceeded"),
        Kind.UPSTREAM_RATE_LIMIT,
        {"model": GEMMA},
    ),
    Case(
        "the router's own upstream body",
        429,
        error(429, "openrouter/free is temporarily rate-limited upstream. Please retry", retry_after_seconds=8),
        Kind.UPSTREAM_RATE_LIMIT,
        {"model": None, "retry_after": 8.0},
    ),
    Case(
        "high demand for one model",
        429,
        error(
            429,
            "Rate limit exceeded: limit_rpm/google/gemma-4-31b-it/1f0c. High demand for google/gemma-4-31b-it:free on "
            "OpenRouter - limited to 8 requests per minute. Please retry shortly.",
            headers={"X-RateLimit-Limit": "8"},
        ),
        Kind.UPSTREAM_RATE_LIMIT,
        {"model": GEMMA, "limit": None},
    ),
    Case("high demand by the day", 429, error(429, "Rate limit exceeded: limit_rpd/a/b."), Kind.UPSTREAM_RATE_LIMIT),
    Case(
        "the source counts, not the words",
        429,
        error(429, "free-models-per-day", limit_source="upstream_provider_shared_pool"),
        Kind.UPSTREAM_RATE_LIMIT,
    ),
    Case("a limit without a word", 429, error(429, "Rate limit exceeded", headers=MINUTE), Kind.MINUTE_LIMIT),
    Case("a limit without anything", 429, error(429, "Too many requests"), Kind.UPSTREAM_RATE_LIMIT),
    Case(
        "no credits",
        402,
        error(
            402,
            "Insufficient credits. Add more using https://openrouter.ai/settings/credits",
            limit_source="openrouter_credits",
        ),
        Kind.CREDITS_OWED,
    ),
    Case(
        "too dear",
        402,
        error(402, "This request requires more credits, or fewer max_tokens.", limit_source="openrouter_key_limit"),
        Kind.CREDITS_OWED,
    ),
    Case("a plain 402", 402, error(402, "Payment required"), Kind.CREDITS_OWED),
    Case(
        "a budget in flight",
        402,
        error(
            402, "Too much in flight", limit_source="openrouter_in_flight_budget", reason="in_flight_budget_exhausted"
        ),
        Kind.UPSTREAM_RATE_LIMIT,
        {"retry_after": 3.0},
        {"Retry-After": "3"},
    ),
    Case("a 402 with a hint", 402, error(402, "Wait"), Kind.UPSTREAM_RATE_LIMIT, {}, {"Retry-After": "3"}),
    Case("a provider that owes", 402, error(402, PROVIDER, provider_name="Chutes"), Kind.MODEL_UNAVAILABLE),
    *(
        Case(
            f"a budget: {source}",
            403,
            error(403, "Budget", limit_source=source, limit_usd=1, spend_usd=2, resets_at="2026-10-07T00:00:00Z"),
            Kind.CREDITS_OWED,
            {"resets_at": 1791331200.0},
        )
        for source in ("openrouter_guardrail_budget", "openrouter_workspace_budget", "openrouter_key_limit")
    ),
]

GONE = {"permanent": True}
STAYS = {"permanent": False}
STATUSES = [
    *(
        Case(f"malformed: {says[:20]}", 400, error(400, says), Kind.INVALID_REQUEST, STAYS)
        for says in (
            'Input required: specify "prompt" or "messages"',
            "Input must have at least 1 token.",
            "'models' array must have 3 items or fewer.",
        )
    ),
    Case(
        "a Zod error",
        400,
        {"success": False, "error": {"name": "ZodError", "message": '[{"message":"Expected number, got string"}]'}},
        Kind.INVALID_REQUEST,
        says="Expected number",
    ),
    Case(
        "no such model",
        400,
        error(400, "foo/bar:free is not a valid model ID"),
        Kind.MODEL_UNAVAILABLE,
        {**GONE, "model": "foo/bar:free"},
    ),
    Case("a context too long", 400, error(400, CONTEXT, provider_name=None), Kind.CONTEXT_LENGTH),
    Case("a context as llama.cpp says", 500, error(500, "Context size has been exceeded."), Kind.CONTEXT_LENGTH),
    Case(
        "a context as Ollama says", 500, {"error": "input length exceeds maximum context length"}, Kind.CONTEXT_LENGTH
    ),
    Case("a minute's tokens", 413, error(413, "too large on tokens per minute (TPM): Limit 6"), Kind.MODEL_UNAVAILABLE),
    Case("a context by type", 400, error(400, "no", error_type="context_length_exceeded"), Kind.CONTEXT_LENGTH),
    Case("a prompt by type", 400, error(400, "no", error_type="token_limit_exceeded"), Kind.CONTEXT_LENGTH),
    Case(
        "mandatory reasoning",
        400,
        error(400, "Reasoning is mandatory for this endpoint and cannot be disabled."),
        Kind.MODEL_UNAVAILABLE,
        {"unsupported": "reasoning", **STAYS},
    ),
    Case(
        "no JSON mode",
        400,
        error(400, f"Model '{GEMMA}' does not support 'json_object' response format."),
        Kind.MODEL_UNAVAILABLE,
        {"unsupported": "response_format"},
    ),
    Case(
        "a schema that a provider does not take",
        400,
        error(400, PROVIDER, raw='{"error":{"message":"Invalid json_schema: oneOf"}}', provider_name="Liquid"),
        Kind.MODEL_UNAVAILABLE,
        {"unsupported": "response_format", "provider": "Liquid"},
        says="Liquid: Invalid json_schema: oneOf",
    ),
    Case(
        "few tokens for a provider",
        400,
        error(400, PROVIDER, raw="max_tokens must be at least 16", provider_name="Azure"),
        Kind.MODEL_UNAVAILABLE,
        {"unsupported": "max_tokens"},
    ),
    Case(
        "many tokens by type",
        400,
        error(400, "no", error_type="max_tokens_exceeded"),
        Kind.MODEL_UNAVAILABLE,
        {"unsupported": "max_tokens"},
    ),
    Case("a provider's 400", 400, error(400, PROVIDER, raw="ERROR", provider_name="X"), Kind.MODEL_UNAVAILABLE, STAYS),
    Case("policy by type", 400, error(400, "no", error_type="content_policy_violation"), Kind.CONTENT_POLICY),
    Case("refusal by type", 400, error(400, "no", error_type="refusal"), Kind.REFUSED),
    *(
        Case(f"an image: {kind}", status, error(status, "no", error_type=kind), Kind.INVALID_REQUEST)
        for status, kind in (
            *((400, "invalid_image"), (400, "image_too_large"), (400, "image_too_small")),
            *((400, "unsupported_image_format"), (400, "image_download_failed"), (404, "image_not_found")),
        )
    ),
    *(
        Case(f"key: {says}", 401, error(401, says), Kind.KEY_REFUSED)
        for says in ("No auth credentials found", "No cookie auth credentials found", "User not found.")
    ),
    Case("key, null provider", 401, error(401, "User not found.", provider_name=None), Kind.KEY_REFUSED),
    Case("a provider's 401", 401, error(401, PROVIDER, provider_name="Chutes"), Kind.MODEL_UNAVAILABLE, STAYS),
    Case(
        "moderation",
        403,
        error(403, "Flagged", reasons=["violence"], flagged_input="…", provider_name="OpenAI", model_slug="x/y"),
        Kind.CONTENT_POLICY,
    ),
    Case("guardrail", 403, error(403, "Blocked", patterns=["ssn"]), Kind.CONTENT_POLICY),
    Case(
        "agents only",
        403,
        error(403, GATED, failed_routing_step="Gate Free Endpoints by Agentic Harness"),
        Kind.MODEL_UNAVAILABLE,
        {**GONE, "model": "thinkingmachines/inkling:free"},
    ),
    Case("agents only, by words", 403, error(403, GATED), Kind.MODEL_UNAVAILABLE, GONE),
    Case(
        "attestation",
        403,
        error(
            403,
            "Attestation missing",
            missing_attestation_types=["hipaa"],
            failed_routing_step="Gate Endpoints with Attestations",
        ),
        Kind.MODEL_UNAVAILABLE,
        GONE,
    ),
    Case("region", 403, error(403, "This model is not available in your region"), Kind.MODEL_UNAVAILABLE, GONE),
    Case(
        "region as 400",
        400,
        error(400, PROVIDER, raw="User location is not supported for the API use."),
        Kind.MODEL_UNAVAILABLE,
        GONE,
    ),
    Case("banned author", 403, error(403, "Author x is banned"), Kind.MODEL_UNAVAILABLE),
    Case(
        "terms of a provider",
        403,
        error(403, "The request is prohibited due to a violation of provider Terms Of Service."),
        Kind.MODEL_UNAVAILABLE,
        STAYS,
    ),
    Case("a provider's 403", 403, error(403, PROVIDER, provider_name="X"), Kind.MODEL_UNAVAILABLE),
    *(
        Case(
            f"data policy: {setting}",
            404,
            error(
                404,
                PRIVACY.format(setting),
                routing_funnel=[{"step": "Initial Endpoints", "endpoint_count": 1}],
                failed_routing_step="Filter by Data Policy",
            ),
            Kind.PRIVACY_SETTING,
        )
        for setting in ("Free model training", "Free model publication", "Free model training / publication")
    ),
    Case("data policy by words", 404, error(404, PRIVACY.format("Free model training")), Kind.PRIVACY_SETTING),
    Case(
        "parameters",
        404,
        error(
            404,
            "No endpoints found that can handle the requested parameters. To learn more: …",
            failed_routing_step="Filter by Parameters",
        ),
        Kind.MODEL_UNAVAILABLE,
        {**STAYS, "unsupported": None},
    ),
    Case(
        "tools",
        404,
        error(
            404, "No endpoints found that support tool use. Try…", failed_routing_step="Filter by Tool Compatibility"
        ),
        Kind.MODEL_UNAVAILABLE,
        {**STAYS, "unsupported": "tools"},
    ),
    Case("images", 404, error(404, "No endpoints found that support image input"), Kind.MODEL_UNAVAILABLE, STAYS),
    Case(
        "modalities",
        404,
        error(404, "No endpoints found that support the requested output modalities: text"),
        Kind.MODEL_UNAVAILABLE,
        STAYS,
    ),
    Case(
        "vanished",
        404,
        error(404, f"No endpoints found for {GEMMA}."),
        Kind.MODEL_UNAVAILABLE,
        {**GONE, "model": GEMMA},
    ),
    Case(
        "an ended promotion",
        404,
        error(
            404,
            "This model is unavailable for free. The paid version is available - use this slug: z-ai/glm-5.2",
            availability={
                "code": "free_variant_ended",
                "retryable": False,
                "requested_models": ["z-ai/glm-5.2:free"],
                "fallback_models": ["z-ai/glm-5.2"],
            },
        ),
        Kind.MODEL_UNAVAILABLE,
        {**GONE, "model": None},
    ),
    Case(
        "a provider's 404",
        404,
        error(404, PROVIDER, raw="model not found", provider_name="X"),
        Kind.MODEL_UNAVAILABLE,
        GONE,
    ),
    Case(
        "no allowed provider",
        404,
        error(404, "No allowed providers are available for the selected model."),
        Kind.MODEL_UNAVAILABLE,
        GONE,
    ),
    Case(
        "guardrails",
        404,
        error(404, "Nothing left", failed_routing_step="Filter by Guardrails"),
        Kind.MODEL_UNAVAILABLE,
        GONE,
    ),
    Case(
        "max price",
        404,
        error(
            404,
            "No endpoints found that satisfy the max price for this request",
            failed_routing_step="Filter by Max Price",
        ),
        Kind.MODEL_UNAVAILABLE,
        GONE,
    ),
    Case("408", 408, error(408, "Request timed out"), Kind.TIMEOUT),
    Case("412", 412, error(412, "Precondition failed"), Kind.INVALID_REQUEST),
    Case("413", 413, error(413, "Payload too large"), Kind.INVALID_REQUEST),
    Case("413 as HTML", 413, HTML, Kind.INVALID_REQUEST),
    Case("422", 422, error(422, "Unprocessable"), Kind.INVALID_REQUEST),
    Case("a provider's 422", 422, error(422, PROVIDER, provider_name="X", raw="odd"), Kind.MODEL_UNAVAILABLE),
    Case("500", 500, error(500, "Internal Server Error", error_type="server"), Kind.UPSTREAM_ERROR),
    Case(
        "502",
        502,
        error(502, "Upstream error from Nvidia: …", provider_name="Nvidia"),
        Kind.UPSTREAM_ERROR,
        {"provider": "Nvidia"},
    ),
    Case(
        "503",
        503,
        error(503, "Service temporarily overloaded"),
        Kind.UPSTREAM_ERROR,
        {"retry_after": 4.0},
        {"Retry-After": "4"},
    ),
    Case("504", 504, error(504, "Upstream timeout exceeded"), Kind.TIMEOUT),
    Case("524", 524, error(524, "CDN timeout"), Kind.TIMEOUT),
    Case("529", 529, error(529, "Provider overloaded"), Kind.UPSTREAM_ERROR),
    Case("another server's detail", 404, {"detail": "Not Found"}, Kind.MODEL_UNAVAILABLE, says="Not Found"),
    Case("another server's message", 401, {"message": "bad token", "type": "x"}, Kind.KEY_REFUSED, says="bad token"),
    Case("another server's code", 401, error("invalid_api_key", "Incorrect API key provided"), Kind.KEY_REFUSED),
]

AVAILABILITY = [
    Case(
        code,
        status,
        error(status, "No", availability={"code": code, "retryable": retryable, "retry_after": 5, **more}),
        kind,
        {"permanent": permanent, "retry_after": 5.0},
    )
    for code, status, retryable, more, kind, permanent in (
        ("model_not_found", 400, False, {}, Kind.MODEL_UNAVAILABLE, True),
        ("wrong_endpoint", 400, False, {}, Kind.MODEL_UNAVAILABLE, True),
        ("no_endpoints", 404, False, {}, Kind.MODEL_UNAVAILABLE, True),
        ("model_deprecated", 404, False, {}, Kind.MODEL_UNAVAILABLE, True),
        ("model_unavailable_upstream", 404, False, {}, Kind.MODEL_UNAVAILABLE, True),
        ("model_unavailable_upstream", 404, True, {}, Kind.MODEL_UNAVAILABLE, False),
        ("privacy_restricted", 404, False, {}, Kind.PRIVACY_SETTING, False),
        ("constraint_filtered", 404, False, {}, Kind.MODEL_UNAVAILABLE, False),
        ("constraint_filtered", 404, False, {"excluded_by": ["data_policy:zdr"]}, Kind.PRIVACY_SETTING, False),
        ("constraint_filtered", 404, False, {"excluded_by": ["context_length"]}, Kind.CONTEXT_LENGTH, False),
        ("free_variant_ended", 404, False, {}, Kind.MODEL_UNAVAILABLE, True),
        ("region_restricted", 403, False, {}, Kind.MODEL_UNAVAILABLE, True),
        ("capacity_exhausted", 429, True, {}, Kind.UPSTREAM_RATE_LIMIT, False),
        ("temporarily_unavailable", 503, True, {}, Kind.UPSTREAM_ERROR, False),
        ("temporarily_unavailable", 503, False, {}, Kind.MODEL_UNAVAILABLE, False),
    )
]


LIMITED = "rate limit exceeded (RPM)"
SAID_IN_200 = [
    Case(name, 200, body, kind, facts, says=says)
    for name, body, kind, facts, says in (
        (
            "base_resp",
            {"id": "x", "choices": None, "base_resp": {"status_code": 1002, "status_msg": LIMITED}},
            Kind.UPSTREAM_RATE_LIMIT,
            {"request_id": "x"},
            LIMITED,
        ),
        (
            "base_resp beside a reply",
            {**reply(), "base_resp": {"status_code": 1027, "status_msg": "output new_sensitive"}},
            Kind.CONTENT_POLICY,
            {},
            "new_sensitive",
        ),
        ("detail", {"detail": LIMITED}, Kind.UPSTREAM_RATE_LIMIT, {}, LIMITED),
        (
            "detail as a list",
            {"detail": [{"loc": ["body"], "msg": "field required"}]},
            Kind.UPSTREAM_ERROR,
            {},
            "field",
        ),
        ("message", {"message": LIMITED, "choices": []}, Kind.UPSTREAM_RATE_LIMIT, {}, LIMITED),
        ("errors", {"errors": [{"message": LIMITED}]}, Kind.UPSTREAM_RATE_LIMIT, {}, LIMITED),
        ("errors of texts", {"errors": [LIMITED]}, Kind.UPSTREAM_RATE_LIMIT, {}, LIMITED),
        ("errors beside a reply", {**reply(), "errors": [{"code": 429}]}, Kind.UPSTREAM_RATE_LIMIT, {}, "status 429"),
        ("error as a text", {"error": LIMITED}, Kind.UPSTREAM_RATE_LIMIT, {}, LIMITED),
        ("error true", {"error": True, "message": LIMITED}, Kind.UPSTREAM_RATE_LIMIT, {}, LIMITED),
        ("code and msg", {"code": 1302, "msg": "您的请求频率过高", "data": None}, Kind.UPSTREAM_RATE_LIMIT, {}, "频率"),
        ("code 429", {"code": 429, "msg": "slow down"}, Kind.UPSTREAM_RATE_LIMIT, {"status": 429}, "slow down"),
        ("code as a text", {"code": "429", "msg": "slow down"}, Kind.UPSTREAM_RATE_LIMIT, {}, "slow down"),
        (
            "Error in capitals",
            {"Response": {"Error": {"Code": "RequestLimitExceeded.Throttling", "Message": "Slow down."}}},
            Kind.UPSTREAM_RATE_LIMIT,
            {},
            "Slow down.",
        ),
        (
            "Baidu",
            {"error_code": 18, "error_msg": "Open api qps request limit reached"},
            Kind.UPSTREAM_RATE_LIMIT,
            {},
            "qps",
        ),
        ("nested", {"data": {"result": {"error": {"message": LIMITED}}}}, Kind.UPSTREAM_RATE_LIMIT, {}, LIMITED),
        (
            "JSON in a text",
            {"message": json.dumps({"error": {"message": LIMITED}})},
            Kind.UPSTREAM_RATE_LIMIT,
            {},
            LIMITED,
        ),
        (
            "a fault",
            {"fault": {"faultstring": "Rate limit quota violation"}},
            Kind.UPSTREAM_RATE_LIMIT,
            {},
            "violation",
        ),
        ("a list", [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}], Kind.UPSTREAM_RATE_LIMIT, {}, ""),
        ("a bare text", LIMITED, Kind.UPSTREAM_RATE_LIMIT, {}, LIMITED),
        ("bare words", b"Too Many Requests", Kind.UPSTREAM_RATE_LIMIT, {}, "Too Many Requests"),
        ("a type", {"type": "error", "error": {"type": "overloaded_error"}}, Kind.UPSTREAM_ERROR, {"status": 503}, ""),
        (
            "a hint in words",
            {"message": "Rate limit reached. Please try again in 1m7.5s."},
            Kind.UPSTREAM_RATE_LIMIT,
            {"retry_after": 67.5},
            "try again",
        ),
        (
            "a hint in seconds",
            {"detail": "Rate limit: retry after 20 seconds"},
            Kind.UPSTREAM_RATE_LIMIT,
            {"retry_after": 20.0},
            "",
        ),
        (
            "milliseconds",
            {"detail": "Rate limit: retry in 500 ms"},
            Kind.UPSTREAM_RATE_LIMIT,
            {"retry_after": 0.5},
            "",
        ),
        ("the account's day", {"message": "Rate limit exceeded: free-models-per-day"}, Kind.DAY_LIMIT, {}, "per-day"),
        (
            "the account's minute",
            {"error": "Rate limit exceeded: free-models-per-min"},
            Kind.MINUTE_LIMIT,
            {},
            "per-min",
        ),
        (
            "a balance",
            {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
            Kind.CREDITS_OWED,
            {},
            "balance",
        ),
        (
            "a key",
            {"code": 1004, "msg": "login fail: Please carry the API secret key"},
            Kind.KEY_REFUSED,
            {},
            "login fail",
        ),
        (
            "a context",
            {"message": "This model's maximum context length is 4096 tokens"},
            Kind.CONTEXT_LENGTH,
            {},
            "4096",
        ),
        ("a model", {"message": "The model `x` does not exist"}, Kind.MODEL_UNAVAILABLE, {"permanent": True}, "`x`"),
        ("anything else", {"message": "the moon is in the wrong house"}, Kind.UPSTREAM_ERROR, {}, "wrong house"),
        ("success", {"code": 0, "message": "success", "data": None}, Kind.BAD_RESPONSE, {}, "no choices"),
        ("no word", {"id": "x", "choices": None, "status": "ok"}, Kind.BAD_RESPONSE, {}, "no choices"),
        (
            "Ollama's own reply",
            {"message": {"role": "assistant", "content": "rate limit"}},
            Kind.BAD_RESPONSE,
            {},
            "no choices",
        ),
    )
]

OTHER_SHAPES_OF_ERRORS = [
    Case(f"{status}: {name}", status, body, kind, says=LIMITED)
    for name, body in (
        ("base_resp", {"base_resp": {"status_code": 1002, "status_msg": LIMITED}}),
        ("errors", {"errors": [{"message": LIMITED}]}),
        ("Error", {"Response": {"Error": {"Message": LIMITED}}}),
    )
    for status, kind in ((429, Kind.UPSTREAM_RATE_LIMIT), (503, Kind.UPSTREAM_ERROR), (400, Kind.INVALID_REQUEST))
]


@pytest.mark.parametrize(
    "fine", [{"errors": []}, {"base_resp": {"status_code": 0, "status_msg": "success"}}, {"code": 0}]
)
def test_fields_that_say_that_all_is_well_do_not_change_a_reply(fine: dict[str, Any]) -> None:
    assert isinstance(judged(200, {**reply(), **fine, "message": "ok", "detail": None}), Completion)


@pytest.mark.parametrize(
    "case",
    [*SAID_IN_200, *OTHER_SHAPES_OF_ERRORS, *INSIDE_200, *UNREADABLE, *LIMITS, *STATUSES, *AVAILABILITY],
    ids=lambda case: case.name,
)
def test_every_recorded_failure_gets_the_right_kind(case: Case) -> None:
    failure = judged(case.status, case.body, case.headers)
    assert isinstance(failure, Failure), failure
    assert failure.kind is case.kind, failure
    assert {name: getattr(failure, name) for name in case.facts} == case.facts
    assert case.says in failure.message
    assert 0 < len(failure.message) <= 300
    assert "\n" not in failure.message


def test_all_fields_of_a_success_are_read() -> None:
    body = {**reply(), "openrouter_metadata": {"requested": "openrouter/free", "strategy": "free", "attempt": 1}}
    completion = judged(200, body)
    assert completion == Completion(
        model=LFM,
        content="Hello.",
        provider="Liquid",
        finish_reason="stop",
        request_id="gen-1791331200-Ab12Cd34Ef56Gh78Ij90",
        usage=completion.usage,
        router={"requested": "openrouter/free", "strategy": "free", "attempt": 1},
    )
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens, completion.usage.cost) == (17, 80, 0.0)


@pytest.mark.parametrize(
    "body",
    [
        b"\n \n\n" + json.dumps(reply()).encode() + b"\n",
        b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n" + json.dumps(reply()).encode(),
        b"\xef\xbb\xbf" + json.dumps(reply()).encode(),
        json.dumps({**reply(), "unheard_of": {"new": [1]}, "error": None}).encode(),
        json.dumps(reply([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo."}])).encode(),
        json.dumps(reply(["Hello", {"text": "."}, {"type": "reasoning", "text": "no"}, 7])).encode(),
    ],
    ids=["blanks", "comments", "byte order mark", "unknown fields", "parts", "odd parts"],
)
def test_padding_unknown_fields_and_parts_do_not_change_a_success(body: bytes) -> None:
    completion = judge(200, {"content-type": "text/plain"}, body)
    assert isinstance(completion, Completion)
    assert completion.content == "Hello."


def test_an_answer_cut_off_by_length_is_still_a_completion() -> None:
    completion = judged(200, reply('{"a": "x", "b', finish="length"))
    assert isinstance(completion, Completion)
    assert (completion.content, completion.finish_reason) == ('{"a": "x", "b', "length")


@dataclass(frozen=True)
class Ended:
    """A choice with half an answer, and what it must be judged as: a kind, a cut answer, or a whole one."""

    choice: dict[str, Any]
    judged: Kind | Ending
    finish: str | None = None
    top: dict[str, Any] = field(default_factory=dict)


def finish(*words: str) -> dict[str, Any]:
    """Fields of a choice: `finish_reason`, and behind it `native_finish_reason` if there is a second word."""
    return dict(zip(("finish_reason", "native_finish_reason"), words, strict=False))


ENDED = [
    *(
        Ended(finish(word), Ending.CUT, word)
        for word in ("length", "LENGTH", "MAX_TOKENS", "max_tokens", "model_length", "max_output_tokens", "MaxTokens")
    ),
    *(
        Ended(finish("stop", word), Ending.CUT, "stop")
        for word in ("MAX_TOKENS", "length", "FinishReason.MAX_TOKENS", "model_context_window_exceeded", "max-tokens")
    ),
    Ended({"finish_reason": None, "native_finish_reason": "max_tokens"}, Ending.CUT),
    Ended({"finish_reason": "null", "native_finish_reason": "limit"}, Ending.CUT),
    Ended(finish("length", "stop"), Ending.CUT, "length"),
    Ended({"finish_reason": {"type": "length", "length": 64}}, Ending.CUT, "length"),
    Ended({"finish_reason": None, "stop_reason": "max_tokens"}, Ending.CUT, "max_tokens"),
    Ended({"finish_details": {"type": "max_tokens"}}, Ending.CUT, "max_tokens"),
    Ended({"finish_reason": None}, Ending.CUT, "length", top={"done_reason": "length"}),
    *(
        Ended(finish(*words), Kind.UPSTREAM_ERROR, words[0])
        for words in (
            *(("error",), ("ERROR",), ("abort",), ("aborted",), ("cancelled",), ("USER_CANCEL",), ("network_error",)),
            *(("insufficient_system_resource",), ("timeout",), ("TIME_LIMIT",), ("incomplete",), ("pause_turn",)),
            *(("stop", "abort"), ("stop", "error"), ("length", "network_error"), ("stop", "MALFORMED_FUNCTION_CALL")),
            ("function_call_filter: MALFORMED_FUNCTION_CALL",),
        )
    ),
    *(
        Ended(finish(*words), Kind.CONTENT_POLICY, words[0])
        for words in (
            *(("content_filter",), ("content-filter",), ("sensitive",), ("SAFETY",), ("RECITATION",), ("ERROR_TOXIC",)),
            *(
                ("guardrail_intervened",),
                ("content_filter: PROHIBITED_CONTENT",),
                ("stop", "SAFETY"),
                ("error", "spii"),
            ),
            ("length", "content_filtered"),
        )
    ),
    Ended(finish("refusal"), Kind.REFUSED, "refusal"),
    Ended(finish("stop", "refusal"), Kind.REFUSED, "stop"),
    *(
        Ended(finish(*words), Ending.WHOLE, words[0])
        for words in (("stop",), ("STOP",), ("eos_token",), ("end_turn",), ("COMPLETE",), ("stop", "STOP_SEQUENCE"))
    ),
    Ended({"finish_reason": "stop", "stop_reason": "length"}, Ending.WHOLE, "stop"),
    Ended({"finish_reason": None, "stop_reason": "my own stop"}, Ending.UNKNOWN),
    Ended(finish("astral_alignment"), Ending.UNKNOWN, "astral_alignment"),
    Ended({"finish_reason": None}, Ending.UNKNOWN),
    Ended({"finish_reason": []}, Ending.UNKNOWN),
]


@pytest.mark.parametrize("case", ENDED, ids=lambda case: f"{case.choice} {case.top}")
def test_a_reply_that_was_cut_filtered_or_broken_off_never_stands_as_a_whole_one(case: Ended) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "The capital is the ci"}, **case.choice}
    result = judged(200, {**reply(), "choices": [choice], **case.top})
    assert result.finish_reason == case.finish
    assert result.content == "The capital is the ci"
    if isinstance(case.judged, Kind):
        assert isinstance(result, Failure), result
        assert result.kind is case.judged
    else:
        assert isinstance(result, Completion), result
        assert result.ending is case.judged


def test_an_unknown_finish_reason_of_the_provider_is_kept_for_the_journal() -> None:
    choice = {**reply()["choices"][0], "native_finish_reason": "astral_alignment"}
    assert judged(200, {**reply(), "choices": [choice]}).native_finish_reason == "astral_alignment"
    assert judged(200, reply()).native_finish_reason is None


@pytest.mark.parametrize("word", ["MAX_TOKENS", "LENGTH", "model_length"])
def test_an_empty_reply_at_its_limit_is_truncated_in_every_spelling(word: str) -> None:
    failure = judged(200, reply("", finish=word))
    assert isinstance(failure, Failure)
    assert failure.kind is Kind.TRUNCATED


INVISIBLE = (
    "\u200b",
    "\ufeff\u200d\u2060",
    "\u00ad",
    "\ufe0f",
    "\u3164\u115f",
    "\U000e0041",
    "\u2800",
    "\x00\x07",
    "\u00a0\u3000\u2028",
)


@pytest.mark.parametrize("content", INVISIBLE, ids=ascii)
@pytest.mark.parametrize("finish", ["stop", None, "unheard_of"])
def test_invisible_characters_alone_are_an_empty_answer(content: str, finish: str | None) -> None:
    failure = judged(200, reply(f" {content}\n", finish=finish))
    assert isinstance(failure, Failure), failure
    assert failure.kind is Kind.EMPTY


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('{"label": "yes", "n": 1}', '{"label": "yes", "n": 1}'),
        ('{"n": 123456789012345678901234567890, "x": 1.50}', '{"n": 123456789012345678901234567890, "x": 1.50}'),
        ('{"label": "a", "label": "b"}', '{"label": "a", "label": "b"}'),
        ("7", "7"),
        ("0", "0"),
        ("-1.0e3", "-1.0e3"),
        ("true", "true"),
        ("false", "false"),
        ("{}", "{}"),
        ("[1, 2]", "[1, 2]"),
        ('[{"label": "yes"}, {"label": "no"}]', '[{"label": "yes"}, {"label": "no"}]'),
        ('{"a": ["\\u00e9", null, true]}', '{"a": ["é", null, true]}'),
        ('{"type": "text", "text": "Hello."}', "Hello."),
        ('{"text": "Hello."}', "Hello."),
        ('[{"type": "text", "text": {"value": "Hello."}}]', "Hello."),
        ('["Hello."]', "Hello."),
    ],
)
def test_content_that_is_no_text_is_read_as_what_it_is(content: str, text: str) -> None:
    body = json.dumps(reply("HERE")).replace('"HERE"', content).encode()
    completion = judge(200, {}, body)
    assert isinstance(completion, Completion), completion
    assert completion.content == text


def test_a_message_that_is_a_text_is_its_content() -> None:
    completion = judged(200, {**reply(), "choices": [{"message": "Hello.", "finish_reason": "stop"}]})
    assert completion.content == "Hello."


def test_the_arguments_of_a_tool_keep_their_numbers() -> None:
    calls = [{"function": {"name": "f", "arguments": "HERE"}}]
    body = json.dumps(reply(None, finish="tool_calls", tool_calls=calls))
    completion = judge(200, {}, body.replace('"HERE"', '{"n": 12345678901234567890123}').encode())
    assert isinstance(completion, Completion)
    assert completion.tool_calls == (ToolCall(name="f", arguments='{"n": 12345678901234567890123}'),)


def test_reasoning_inside_the_content_is_ordinary_text() -> None:
    assert isinstance(judged(200, reply("We need to produce a label.")), Completion)


def test_tool_calls_are_an_answer_even_without_text() -> None:
    calls = [
        {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}},
        {"function": {"name": "see", "arguments": {"b": 2}}},
        {"function": {}},
        "junk",
    ]
    completion = judged(200, reply(None, finish="tool_calls", tool_calls=calls))
    assert isinstance(completion, Completion)
    assert completion.tool_calls == (
        ToolCall(name="look", arguments='{"at": 1}'),
        ToolCall(name="see", arguments='{"b": 2}'),
    )


@pytest.mark.parametrize(
    ("cost", "read"),
    [(0, 0.0), ("0.25", 0.25), (1e-9, 1e-9), (None, 0.0), ("free", 0.0), (True, 0.0), (-1, 0.0), ([1], 0.0)],
)
def test_a_cost_is_read_in_every_form(cost: Any, read: float) -> None:
    assert judged(200, reply(usage={"cost": cost})).usage.cost == read


@pytest.mark.parametrize("usage", [None, [], "much", {"prompt_tokens": -1}, {"prompt_tokens": 10**400}])
def test_unreadable_usage_is_missing_usage(usage: Any) -> None:
    assert judged(200, reply(usage=usage)).usage.prompt_tokens is None


def test_a_cost_that_is_no_number_is_zero() -> None:
    body = json.dumps(reply()).replace('"cost": 0', '"cost": NaN').encode()
    assert judge(200, {}, body).usage.cost == 0.0


def test_the_request_id_comes_from_the_headers_if_the_body_has_none() -> None:
    assert judged(500, error(500, "x"), {"X-Generation-Id": "gen-1"}).request_id == "gen-1"


def test_broken_unicode_becomes_text_that_can_be_written() -> None:
    body = json.dumps(reply("half a pair: \ud83d")).encode()
    content = judge(200, {}, body).content
    assert content.encode()
    assert content.startswith("half a pair: ")


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        "sk-or-v1-abc...123",
        "user_2abcDEF",
        "org_2xyzGHI",
        "https://openrouter.ai/workspaces/default/keys/0a1b2c3d",
    ],
)
@pytest.mark.parametrize("place", ["message", "raw", "html", "refusal", "router", "code"])
def test_keys_and_account_ids_are_masked_everywhere(secret: str, place: str) -> None:
    said = f"Key limit for {secret}, see your settings"
    body: Any = {
        "message": error(403, said),
        "raw": error(400, PROVIDER, raw=json.dumps({"error": {"message": said}}), provider_name=secret),
        "html": f"<html><title>{said}</title></html>".encode(),
        "refusal": reply(None, refusal=said),
        "router": {**error(500, "x"), "openrouter_metadata": {"summary": said, "deep": [{"x": said}]}},
        "code": error(said, said, error_type=said),
    }[place]
    failure = judged(403 if place != "refusal" else 200, body)
    tail = secret.rsplit("/", 1)[-1].removeprefix("sk-or-v1-").removeprefix("user_").removeprefix("org_")
    assert tail not in repr(failure)


SECRET = "aK3y0fMy-0wn/Server+42"
DISGUISES = (
    SECRET,
    "".join(f"\\u{ord(each):04x}" for each in SECRET),
    SECRET.replace("y", "\\u0079"),
    SECRET.replace("y", "\\\\u0079"),
    SECRET.replace("/", "%2F"),
    SECRET.replace("a", "&#97;"),
    SECRET.replace("-", "-\u200b"),
    SECRET.replace("0", "0\n"),
)


@pytest.mark.parametrize("secret", DISGUISES, ids=ascii)
@pytest.mark.parametrize(
    "place",
    ["message", "raw", "name", "content", "object", "tool", "router", "html", "id", "location", "type", "finish"],
)
def test_the_value_of_the_key_is_nowhere_in_a_judgement(secret: str, place: str) -> None:
    said = f"no: {secret}"
    call = [{"function": {"name": secret, "arguments": {"x": said}}}]
    status, body, headers = {
        "message": (400, error(400, said), {}),
        "raw": (400, error(400, PROVIDER, raw=json.dumps({"error": {"message": said}}), provider_name=secret), {}),
        "name": (200, {**reply(), "model": secret, "provider": secret, "id": secret}, {}),
        "content": (200, reply(said, refusal=said), {}),
        "object": (200, reply({"x": said}), {}),
        "tool": (200, reply(None, tool_calls=call), {}),
        "router": (200, {**reply(), "openrouter_metadata": {secret: [said]}}, {}),
        "html": (502, f"<html><title>{said}</title>".encode(), {}),
        "id": (200, {**reply(), "id": None}, {"x-generation-id": secret}),
        "location": (302, b"", {"location": f"https://x.example/{secret}"}),
        "type": (200, b"oops", {"content-type": secret}),
        "finish": (200, reply(finish=secret), {}),
    }[place]
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    escaped = "".join(f"\\u{ord(each):04x}" for each in SECRET)
    for sent in (raw, raw.replace(SECRET.encode(), escaped.encode())):
        told = repr(judge(status, headers, sent, Secret(SECRET)))
        assert "0wn" not in told
        assert escaped[-12:] not in told


@pytest.mark.parametrize("word", ["EMPTY", "sk-local", None])
def test_a_short_key_is_no_secret(word: str | None) -> None:
    assert judge(200, {}, json.dumps(reply("EMPTY sk-local")).encode(), Secret(word)).content == "EMPTY sk-local"


@pytest.mark.parametrize(
    "secret",
    [
        *(
            "gsk_aBcD1234efGH5678",
            "hf_aBcD1234efGH5678",
            "AIzaSyD-1234abcd_efgh",
            "xai-aBcD1234efGH5678",
            "r8_aBcD1234ef",
        ),
        *("pplx-1234abcd5678", "nvapi-aB1234_cd-5678", "csk-12abcd34efgh", "tgp_v1_aBcD1234ef", "cpk_12ab34cd.56ef"),
        *(
            "sk-ant-api03-aBcD_12-34",
            "sk-proj-aB12",
            "sk-…4321",
            "sk-a*****b12",
            "gsk_...ab12CD34",
            "AKIAABCDEFGH12345678",
        ),
        *("eyJhbGciOi.eyJzdWIiOi.sIg-1", "0123456789abcdef0123456789abcdef.aBcD1234efGH"),
        *(
            "api_key=aBcD1234efGH",
            "API key provided: aBcD12*****efGH",
            "Bearer aBcD1234efGH",
            "key hash (token) = 88dc28d0f030",
        ),
        *(
            "user_2abcDEF",
            "org-aBcD1234",
            "proj_aBcD1234",
            "user\\u005f2abcDEF",
            "org_\\u0032xyzGHI",
            "user_\u200b2abcDEF",
        ),
    ],
)
def test_keys_of_other_vendors_and_split_account_ids_are_masked(secret: str) -> None:
    failure = judged(401, error(401, f"Incorrect: {secret} is unknown"))
    assert isinstance(failure, Failure)
    tail = secret.rpartition(" ")[2].rpartition("=")[2][-4:]
    assert tail not in failure.message
    assert "is unknown" in failure.message


@pytest.mark.parametrize(
    "said",
    [
        "the api key is missing",
        "user_agent and org_name are wrong",
        "api_key_not_found_error",
        "use hf_hub_download instead",
        "token limit of 16384 tokens",
        "tokenization failed with 123456789 tokens",
    ],
)
def test_ordinary_words_are_not_masked(said: str) -> None:
    failure = judged(400, error(400, said))
    assert isinstance(failure, Failure)
    if "user_" not in said:
        assert failure.message == said


FORGED = "ok\n09:00:00 row 1: a/b:free, 0.1 s: ok\x1b[2K\u2028\u202e\x9bA\x00\ufeff"


def test_names_and_errors_from_outside_are_one_line_without_controls() -> None:
    bodies: list[tuple[int, Any]] = [
        (200, {**reply(finish=FORGED), "model": FORGED, "provider": FORGED, "id": FORGED}),
        (400, error(400, FORGED, raw=FORGED, provider_name=FORGED)),
        (200, reply(None, refusal=FORGED)),
        (502, f"<html><title>{FORGED}</title>".encode()),
        (200, FORGED.encode()),
    ]
    for status, body in bodies:
        result = judged(status, body, {"x-generation-id": FORGED, "content-type": f"text/{FORGED}"})
        names = (result.model, result.provider, result.request_id, result.finish_reason)
        texts = [*names, result.message if isinstance(result, Failure) else None]
        for text in filter(None, texts):
            assert text.isprintable()


def test_the_failed_model_is_read_from_the_routing_metadata() -> None:
    router = {"attempts": [{"model": GEMMA, "status": 429}, {"model": LFM, "status": 502}]}
    assert judged(502, {**error(502, "x"), "openrouter_metadata": router}).model == LFM


def test_a_paid_model_is_never_read_from_an_error() -> None:
    for said in (
        "use this slug: z-ai/glm-5.2",
        "use z-ai/glm-5.2:free/../x or z-ai/glm-5.2:free:online",
        "openai/gpt-5:thinking instead",
        "openrouter/free failed",
    ):
        failure = judged(404, {**error(404, said), "openrouter_metadata": {"attempts": [{"model": "openai/gpt-5"}]}})
        assert isinstance(failure, Failure)
        assert failure.model is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def perhaps(names: str, **shaped: Any) -> Any:
    """Objects with some of these keys and any values; values in `shaped` often have the right type."""
    shapes = {name: JSON | shape for name, shape in shaped.items()}
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names.split(), JSON) | shapes)


METADATA = perhaps(
    "raw headers provider_name limit_source error_type previous_errors resets_at retry_after_seconds "
    "failed_routing_step model_slug reasons"
)
CHOICE = perhaps(
    "error text finish_reason native_finish_reason", message=perhaps("content refusal tool_calls reasoning")
)
FIELDS = perhaps(
    "id model provider usage openrouter_metadata success detail message code",
    error=perhaps("code message type name availability", metadata=METADATA),
    choices=st.lists(CHOICE, max_size=2),
)
STATUS = st.sampled_from([200, 200, 201, 302, 400, 401, 402, 403, 404, 408, 413, 418, 422, 429, 500, 502, 524, 0, 999])
HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "x-ratelimit-reset", "X-RateLimit-Limit", "location", "content-type"]), st.text()
)


def check_usable(verdict: Judged) -> None:
    """A judgement must be fit for the journal and for messages."""
    msgspec.json.encode(verdict).decode()
    if isinstance(verdict, Failure):
        assert verdict.message
        assert len(verdict.message) <= 300
        assert verdict.model is None or len(verdict.model) <= 200
    else:
        assert verdict.content.strip() or verdict.tool_calls


@given(STATUS, HEADERS, st.binary())
def test_no_bytes_make_the_judge_raise(status: int, headers: dict[str, str], body: bytes) -> None:
    check_usable(judge(status, headers, body))


@given(STATUS, HEADERS, JSON | FIELDS)
def test_no_json_makes_the_judge_raise(status: int, headers: dict[str, str], body: Any) -> None:
    check_usable(judge(status, headers, json.dumps(body).encode()))


@pytest.mark.parametrize("padding", [b":\n", b"\n", b": OPENROUTER PROCESSING\n\n", b":"])
def test_megabytes_of_padding_are_read_quickly(padding: bytes) -> None:
    body = padding * (2_000_000 // len(padding)) + b"\n" + json.dumps(reply()).encode()
    assert isinstance(judge(200, {}, body), Completion)


@given(st.integers(0, len(json.dumps(reply()))))
def test_an_incomplete_reply_is_never_an_answer(length: int) -> None:
    body = json.dumps(reply()).encode()
    assert isinstance(judge(200, {}, body[:length]), Failure) == (length < len(body))


@pytest.mark.parametrize("depth", [100, 900, 990, 1000, 5000, 100_000])
@pytest.mark.parametrize("place", ["openrouter_metadata", "error", "choices", "arguments"])
def test_no_depth_of_nesting_makes_the_judge_raise(depth: int, place: str) -> None:
    nest = '{"a":' * depth + "1" + "}" * depth
    body = json.dumps({**reply(tool_calls=[{"function": {"name": "f", "arguments": 0}}]), place: "HERE"})
    body = body.replace('"arguments": 0', f'"arguments": {nest}') if place == "arguments" else body
    check_usable(judge(200, {}, body.replace('"HERE"', nest).encode()))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360.0),
        ("1s", 1.0),
        ("20ms", 0.02),
        ("7.66s", 7.66),
        ("2m59.56s", 179.56),
        ("11h7m30s", 40_050.0),
        ("1d", 86_400.0),
        ("12", 12.0),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("1795824000", None),
    ],
)
def test_durations_of_rate_limit_headers_are_read(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "limit", "wait"),
    [
        ({"requests": ("60", "0", "12s")}, 60, 12.0),
        ({"requests": ("14400", "14300", "6s"), "tokens": ("6000", "0", "7.66s")}, None, 7.66),
        ({"requests": ("1000", "0", "23h")}, None, 82_800.0),
        ({"requests": ("60", "0", "12s"), "retry-after-ms": "1500"}, 60, 1.5),
        ({"tokens": ("6000", "0", "20ms")}, None, 0.02),
    ],
)
def test_limits_of_openai_and_of_gateways_are_read_from_their_headers(
    headers: dict[str, Any], limit: int | None, wait: float
) -> None:
    sent = {}
    for name, value in headers.items():
        if isinstance(value, str):
            sent[name] = value
        else:
            facts = zip(("Limit", "Remaining", "Reset"), value, strict=True)
            sent |= {f"X-RateLimit-{fact}-{name}": said for fact, said in facts}
    failure = judge(429, sent, b'{"error": {"message": "Rate limit reached"}}')
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.limit) == (Kind.MINUTE_LIMIT, limit)
    assert failure.retry_after == pytest.approx(wait)
