"""Checks of a chat request before any model sees it: the key, the form of the body, and whether it counts as free."""

from __future__ import annotations

import math
from typing import Any

from batchfree.emulator import error_bodies as bodies
from batchfree.emulator.emulated_model import FREE_ROUTER, JsonObject
from batchfree.emulator.error_bodies import Refusal
from batchfree.emulator.incoming_request import IncomingRequest

ROLES = ("system", "developer", "user", "assistant", "tool")
RANGES = {"temperature": (0, 2), "top_p": (0, 1), "frequency_penalty": (-2, 2), "presence_penalty": (-2, 2)}
MOST_MODELS = 3


def check_key(authorization: str | None, keys: tuple[str, ...]) -> Refusal | None:
    """401 for a missing, malformed or unknown key, else None. With empty `keys` every well-formed key is accepted."""
    if not authorization:
        return _unauthorized("No cookie auth credentials found")
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key.strip().startswith("sk-or-"):
        return _unauthorized("No auth credentials found")
    if keys and key.strip() not in keys:
        return _unauthorized("User not found.")
    return None


def _unauthorized(message: str) -> Refusal:
    return bodies.refusal_body(401, message, name="key_401")


def check_form(body: Any) -> Refusal | None:
    """400 for a body that no model can answer; None for a well-formed one."""
    if not isinstance(body, dict):
        return _bad("Input must have at least 1 token.")
    return _check_messages(body) or _check_models(body) or _check_parameters(body)


def _check_messages(body: JsonObject) -> Refusal | None:
    if "messages" not in body and "prompt" not in body:
        return _bad('Input required: specify "prompt" or "messages"')
    if "messages" in body and not isinstance(body["messages"], list):
        return bodies.schema_mistake("messages", "Expected array")
    messages = IncomingRequest(body).messages
    if not messages:
        return _bad("Input must have at least 1 token.")
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            return bodies.schema_mistake(f"messages.{number}.role", "Invalid input")
        if not isinstance(message.get("content"), str | list | None):
            return bodies.schema_mistake(f"messages.{number}.content", "Invalid input")
    return None


def _check_models(body: JsonObject) -> Refusal | None:
    models = body.get("models")
    if models is not None and not (isinstance(models, list) and all(isinstance(id, str) for id in models)):
        return bodies.schema_mistake("models", "Expected array of string")
    if models and len(models) > MOST_MODELS:
        return _bad("'models' array must have 3 items or fewer.")
    if not isinstance(body.get("model"), str | None):
        return bodies.schema_mistake("model", "Expected string")
    return None


def _check_parameters(body: JsonObject) -> Refusal | None:
    for name, (low, high) in RANGES.items():
        if not _is_number(body.get(name), low, high):
            return bodies.schema_mistake(name, f"Expected number from {low} to {high}")
    for name in ("max_tokens", "max_completion_tokens"):
        if not _is_number(body.get(name), 1, math.inf) or isinstance(body.get(name), float):
            return bodies.schema_mistake(name, "Expected positive integer")
    wanted = body.get("response_format")
    if wanted is not None and not (isinstance(wanted, dict) and isinstance(wanted.get("type"), str)):
        return bodies.schema_mistake("response_format", "Expected object")
    if isinstance(wanted, dict) and wanted["type"] == "json_schema" and IncomingRequest(body).json_schema is None:
        return bodies.schema_mistake("response_format.json_schema", "Required")
    return None


def _is_number(value: Any, low: float, high: float) -> bool:
    """Whether a parameter is absent, or a number in this range."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high)


def counts_as_free(body: Any) -> bool:
    """Whether a request counts against the quota of free models. A request for paid models alone does not."""
    if not isinstance(body, dict):
        return True
    ids = [id for id in (body.get("model"), *(body.get("models") or ())) if isinstance(id, str)]
    return any(id == FREE_ROUTER or id.endswith(":free") for id in ids)


def _bad(message: str) -> Refusal:
    return bodies.refusal_body(400, message, name="invalid_request", user=True)
