"""`GET /models`: the free models of the catalogue, each with the service's own description."""

from __future__ import annotations

from collections.abc import Collection

from batchfree.core.chat import JsonObject
from batchfree.core.routes import FREE_ROUTER, LOCAL
from batchfree.service.openrouter.lenient import as_list, as_object, parse_json

ROUTER_ENTRY: JsonObject = {
    "canonical_slug": FREE_ROUTER,
    "hugging_face_id": "",
    "name": "Free Models Router",
    "created": 1769917427,
    "description": "A free model that can do what the request needs, drawn at random.",
    "context_length": 200_000,
    "architecture": {
        "modality": "text+image->text",
        "input_modalities": ["text", "image"],
        "output_modalities": ["text"],
        "tokenizer": "Router",
        "instruct_type": None,
    },
    "pricing": {"prompt": "0", "completion": "0"},
    "top_provider": {"context_length": None, "max_completion_tokens": None, "is_moderated": False},
    "per_request_limits": None,
    "supported_parameters": [],
    "default_parameters": None,
    "supported_voices": None,
    "knowledge_cutoff": None,
    "expiration_date": None,
    "links": {"details": "/api/v1/models/openrouter/free/endpoints"},
}
"""The entry of the router in OpenRouter's catalogue, for catalogues that have no such entry."""


def model_list(catalogue: str, eligible: Collection[str]) -> JsonObject:
    """The response, with both routers first. `catalogue` is the service's JSON text, `eligible` the ids that may
    answer."""
    payload = parse_json(catalogue)
    entries = [as_object(each) for each in as_list(payload) or as_list(as_object(payload).get("data"))]
    router = next((each for each in entries if each.get("id") == FREE_ROUTER), ROUTER_ENTRY)
    routers = [
        router | {"id": FREE_ROUTER},
        router | {"id": LOCAL, "canonical_slug": LOCAL, "name": "batchfree's own free router"},
    ]
    data = [*routers, *(each for each in entries if each.get("id") in eligible)]
    return {"object": "list", "data": data, "total_count": len(data), "links": {"next": None}}
