"""The routes about the account: the state of the key, the credits, one generation."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from batchfree.emulator import error_bodies as bodies
from batchfree.emulator.chat_service import EmulatedService
from batchfree.emulator.emulated_model import JsonObject
from batchfree.emulator.error_bodies import Refusal


def refusal_response(refusal: Refusal) -> Response:
    """The refusal as an HTTP response."""
    return JSONResponse(refusal.body, status_code=refusal.status, headers=dict(refusal.headers))


def key(service: EmulatedService, request: Request) -> Response:
    """`GET /key`. Source: the schema of OpenRouter's SDK 1.3.84."""
    refusal = service.check_key(request.headers)
    if refusal is not None:
        return refusal_response(refusal)
    day = service.quota.of_the_day(service.clock())
    data: JsonObject = {
        "label": "sk-or-v1-emu...ted",
        "limit": None,
        "limit_remaining": None,
        "limit_reset": None,
        "include_byok_in_limit": False,
        **{f"{kind}usage{span}": 0 for kind in ("", "byok_") for span in ("", "_daily", "_weekly", "_monthly")},
        "is_free_tier": day["limit"] < 1000,
        "is_management_key": False,
        "is_provisioning_key": False,
        "free_model_daily_requests": day,
        "rate_limit": {"requests": -1, "interval": "10s", "note": "This field is deprecated and safe to ignore."},
        "expires_at": None,
        "creator_user_id": bodies.USER,
        "organization_id": None,
        "workspace_id": None,
        "allowed_data_regions": [],
        "budgets": [],
        "effective_budget": None,
    }
    return JSONResponse({"data": data | dict(service.scenario.key)})


def credits(service: EmulatedService, request: Request) -> Response:
    """`GET /credits`: USD bought, and USD spent on paid models."""
    refusal = service.check_key(request.headers)
    if refusal is not None:
        return refusal_response(refusal)
    bought = 0 if service.quota.of_the_day(service.clock())["limit"] < 1000 else 10
    spent = sum(logged.cost for logged in service.log.paid)
    return JSONResponse({"data": {"total_credits": bought, "total_usage": spent}})


def generation(service: EmulatedService, request: Request) -> Response:
    """`GET /generation?id=`: facts about one answer; 404 for the first `generation_lag` seconds."""
    refusal = service.check_key(request.headers)
    if refusal is not None:
        return refusal_response(refusal)
    id = request.query_params.get("id", "")
    known = service.generations.get(id)
    if known is None or service.clock() - known["at"] < service.scenario.generation_lag:
        return refusal_response(bodies.refusal_body(404, f"Generation {id} not found"))
    return JSONResponse({"data": _facts(id, known)})


UNKNOWN_MEMBERS = (
    "cache_discount", "moderation_latency", "service_tier", "native_tokens_completion_images", "native_tokens_cached",
    "num_media_prompt", "num_input_audio_prompt", "num_media_completion", "num_search_results", "num_fetches",
    "web_search_engine", "external_user", "preset_id", "user_agent", "http_referer", "workspace_id", "app_id",
    "upstream_id", "provider_responses",
)  # fmt: skip


def _facts(id: str, known: JsonObject) -> JsonObject:
    """The generation object; unknown members are null. Source: OpenRouter's OpenAPI document."""
    body, logged, usage = known["body"], known["logged"], known["body"].get("usage") or {}
    milliseconds = round(((logged.done_at or logged.at) - logged.at) * 1000)
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    return dict.fromkeys(UNKNOWN_MEMBERS) | {
        "id": id,
        "model": body.get("model"),
        "provider_name": body.get("provider"),
        "created_at": datetime.fromtimestamp(logged.at, UTC).isoformat(),
        "api_type": "completions",
        "streamed": bool((logged.body or {}).get("stream")),
        "cancelled": not logged.delivered,
        "finish_reason": logged.finish_reason,
        "native_finish_reason": logged.finish_reason,
        "latency": milliseconds,
        "generation_time": milliseconds,
        "tokens_prompt": usage.get("prompt_tokens"),
        "tokens_completion": usage.get("completion_tokens"),
        "native_tokens_prompt": usage.get("prompt_tokens"),
        "native_tokens_completion": usage.get("completion_tokens"),
        "native_tokens_reasoning": thought,
        "total_cost": usage.get("cost") or 0,
        "usage": usage.get("cost") or 0,
        "upstream_inference_cost": 0,
        "is_byok": False,
        "origin": "",
        "router": logged.asked[0] if logged.asked and logged.asked[0].startswith("openrouter/") else None,
        "data_region": "global",
    }
