"""The routes about models: the list with its filters and pages, one model, its endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from batchfree.emulator import error_bodies as bodies
from batchfree.emulator.chat_service import EmulatedService
from batchfree.emulator.emulated_model import EmulatedModel, JsonObject
from batchfree.emulator.http.account_routes import refusal_response

MOST_A_PAGE = 1000
MILLION = 1_000_000


def models(service: EmulatedService, request: Request) -> Response:
    """`GET /models`: all models, or one page of them if the query has `offset` or `limit`."""
    query = request.query_params
    listed = [model.entry for model in service.models() if _fits(model, query)]
    try:
        offset = max(0, int(query.get("offset", 0)))
        limit = min(MOST_A_PAGE, int(query.get("limit", 500 if "offset" in query else MOST_A_PAGE)))
    except ValueError:
        return refusal_response(bodies.refusal_body(400, "Invalid query: offset and limit are whole numbers"))
    page = listed[offset : offset + limit]
    following = None
    if offset + limit < len(listed):
        wanted = dict(query) | {"offset": str(offset + limit), "limit": str(limit)}
        following = f"/api/v1/models?{urlencode(wanted)}"
    return JSONResponse({"data": page, "total_count": len(listed), "links": {"next": following}})


def models_of_user(service: EmulatedService, request: Request) -> Response:
    """`GET /models/user`: the models that this account may use, without those reserved for coding agents."""
    refusal = service.check_key(request.headers)
    if refusal is not None:
        return refusal_response(refusal)
    listed = [model.entry for model in service.models() if model.nature not in ("gated", "media")]
    return JSONResponse({"data": listed, "total_count": len(listed), "links": {"next": None}})


def count(service: EmulatedService, request: Request) -> Response:
    return JSONResponse({"data": {"count": len([m for m in service.models() if _fits(m, request.query_params)])}})


def model(service: EmulatedService, request: Request) -> Response:
    """`GET /model/{author}/{slug}`: one model."""
    found = _find(service.models(), request)
    return JSONResponse({"data": found.entry}) if found else _unknown(request)


def endpoints(service: EmulatedService, request: Request) -> Response:
    """`GET /models/{author}/{slug}/endpoints`: one endpoint for a model, none for a router."""
    found = _find(service.models(), request)
    if found is None:
        return _unknown(request)
    keys = ("id", "name", "created", "description", "architecture")
    listed = [] if found.nature == "router" else [_endpoint(found)]
    return JSONResponse({"data": {key: found.entry.get(key) for key in keys} | {"endpoints": listed}})


def _endpoint(model: EmulatedModel) -> JsonObject:
    return {
        "name": f"{model.provider} | {model.id}",
        "model_id": model.id,
        "model_name": model.entry["name"],
        "context_length": model.context,
        "pricing": {**model.entry["pricing"], "discount": 0},
        "provider_name": "FakeProvider",
        "tag": "emulated",
        "quantization": None,
        "max_completion_tokens": model.max_output,
        "max_prompt_tokens": None,
        "supported_parameters": sorted(model.parameters),
        "status": 0,
        "uptime_last_5m": 100.0,
        "uptime_last_30m": 100.0,
        "uptime_last_1d": 100.0,
        "latency_last_30m": None,
        "throughput_last_30m": None,
        "supports_implicit_caching": False,
        "supports_diarization": False,
        "native_tools": {},
        "service_tier": None,
        "supports_tool_choice": dict.fromkeys(("none", "auto", "required", "function"), "tools" in model.parameters),
    }


def _fits(model: EmulatedModel, query: object) -> bool:
    """Whether a model passes the filters of the query; unknown filters are ignored, as the service does."""
    get = query.get  # type: ignore[attr-defined]
    written = (model.entry.get("architecture") or {}).get("output_modalities") or ["text"]
    outputs = (get("output_modalities") or "text").split(",")
    return (
        all(name in model.parameters for name in filter(None, (get("supported_parameters") or "").split(",")))
        and all(kind in model.inputs for kind in filter(None, (get("input_modalities") or "").split(",")))
        and ("all" in outputs or any(kind in written for kind in outputs))
        and (get("max_price") is None or 0 <= _price(model) <= float(get("max_price")))
        and (get("context") is None or model.context >= int(get("context")))
        and (get("q") is None or get("q").lower() in f"{model.id} {model.entry['name']}".lower())
    )


def _price(model: EmulatedModel) -> float:
    """USD for a million tokens of prompt; negative if the entry names no price."""
    return float((model.entry.get("pricing") or {}).get("prompt", -1)) * MILLION


def _find(models: Sequence[EmulatedModel], request: Request) -> EmulatedModel | None:
    id = f"{request.path_params['author']}/{request.path_params['slug']}"
    return next((model for model in models if id in (model.id, model.entry["canonical_slug"])), None)


def _unknown(request: Request) -> Response:
    id = f"{request.path_params['author']}/{request.path_params['slug']}"
    return refusal_response(bodies.refusal_body(404, f"Model {id} not found"))
