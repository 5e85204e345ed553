"""Reads the body of a chat request: a call that free models may get, or a refusal before any request is spent.

Only known parameters are passed on. Everything that could cost money or reach a model that is not free is refused:
other model ids, presets, plugins and tools of the service, web search.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from batchfree.answers import AnswerRule, with_tools
from batchfree.core.chat import ChatRequest, Json, JsonObject
from batchfree.core.parameters import DECIDED_HERE
from batchfree.core.routes import FREE_ROUTER, LOCAL, MOST_MODELS, ROUTERS, is_free_id
from batchfree.core.text import without_surrogates
from batchfree.gateway.http_refusal import HttpRefusal
from batchfree.jobspec.check import parameter_complaints
from batchfree.jobspec.rules.answer_schema import schema_findings
from batchfree.jobspec.rules.request_parameters import RequestParameters
from batchfree.service.openrouter.body import MOST_VALUES, count_values

PASSED_ON = frozenset(RequestParameters.model_fields) - {"n", "stream", "modalities"}
"""Parameters that are passed on. Unknown harmless parameters are left out, as OpenRouter does."""
OF_PROVIDERS = frozenset(
    {
        *("order", "only", "ignore", "allow_fallbacks", "require_parameters", "data_collection", "zdr"),
        *("enforce_distillable_text", "quantizations", "sort", "max_price"),
        *("preferred_min_throughput", "preferred_max_latency"),
    }
)
"""Keys of `provider` that choose among providers of a model (OpenRouter docs, "Provider Selection"); none of them
costs money."""
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
ANY_OBJECT: JsonObject = {"type": "object"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCall:
    """One chat request of a client. `route` has the form of `RoutingPolicy.route`."""

    route: tuple[str, ...]
    request: ChatRequest
    rule: AnswerRule
    stream: bool = False

    @property
    def digest(self) -> str:
        """A hash of the messages. Two safety verdicts prove a classifier only if their questions differ."""
        text = json.dumps(self.request.messages, sort_keys=True)
        return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


def read_call(raw: bytes, allowed: Sequence[str] | None) -> ChatCall | HttpRefusal:
    """The call in the body of a POST. `allowed` are the only models that may be asked; None: every free model."""
    body = _parse(raw)
    return body if isinstance(body, HttpRefusal) else call_of(body, allowed)


def call_of(body: JsonObject, allowed: Sequence[str] | None) -> ChatCall | HttpRefusal:
    """The call that a JSON object asks for."""
    route = _route(body, allowed)
    if isinstance(route, HttpRefusal):
        return route
    if (mistake := _message_mistake(body.get("messages"))) is not None:
        return _refuse(mistake)
    stream = body.get("stream")
    if stream not in (None, True, False):
        return _refuse("`stream` must be true or false")
    parameters = {
        name: value
        for name, value in body.items()
        if name not in DECIDED_HERE and name != "models" and value is not None
    }
    if complaints := parameter_complaints(parameters):
        return _refuse(complaints[0])
    parameters = {name: value for name, value in parameters.items() if name in PASSED_ON}
    if "provider" in parameters:
        parameters["provider"] = {key: v for key, v in parameters["provider"].items() if key in OF_PROVIDERS}
    request = ChatRequest(messages=tuple(body["messages"]), parameters=parameters)
    rule = with_tools(AnswerRule(schema=_schema(parameters), mode="native", repair=False), parameters)
    return ChatCall(route=route, request=request, rule=rule, stream=bool(stream))


def _parse(raw: bytes) -> JsonObject | HttpRefusal:
    try:
        text = raw.decode("utf-8-sig")
        if count_values(text) > MOST_VALUES:
            return HttpRefusal(status=413, message=f"the body holds more than {MOST_VALUES:,} values")
        body = without_surrogates(json.loads(text, parse_constant=_refuse_constant))
    except (ValueError, RecursionError) as error:
        return _refuse(f"the body is not JSON: {str(error)[:200]}")
    return body if isinstance(body, dict) else _refuse("the body must be a JSON object")


def _refuse_constant(constant: str) -> Json:
    raise ValueError(f"{constant} is no JSON number")


def _route(body: JsonObject, allowed: Sequence[str] | None) -> tuple[str, ...] | HttpRefusal:
    """The route for `model` and `models`. A list of models allows all of them, whichever is drawn first."""
    more = body.get("models")
    if more is not None and (not isinstance(more, list) or len(more) > MOST_MODELS):
        return _refuse(f"'models' array must have {MOST_MODELS} items or fewer.")
    asked = [each for each in [body.get("model"), *(more or ())] if each is not None]
    if not asked:
        return _refuse(f"`model` is missing; write {FREE_ROUTER}, {LOCAL} or an id that ends in :free")
    for each in asked:
        if (mistake := _model_mistake(each, allowed)) is not None:
            return _refuse(mistake)
    routers = [each for each in asked if each in ROUTERS]
    if routers:
        return tuple(allowed) if allowed else (routers[0],)
    return tuple(dict.fromkeys(asked))


def _model_mistake(model: Json, allowed: Sequence[str] | None) -> str | None:
    if not isinstance(model, str):
        return "a model must be named by a text"
    if model in ROUTERS or (model in allowed if allowed else is_free_id(model)):
        return None
    if allowed:
        names = ", ".join(allowed)
        return f"{model[:200]!r} is not served here; the job allows {FREE_ROUTER}, {LOCAL}, {names}"
    return f"{model[:200]!r} is not free: only {FREE_ROUTER}, {LOCAL} and ids that end in :free are served here"


def _message_mistake(messages: Json) -> str | None:
    if not isinstance(messages, list) or not messages:
        return "`messages` must be a list of messages"
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            return f"messages[{place}] must be an object whose role is one of {', '.join(sorted(ROLES))}"
        content = message.get("content")
        if not isinstance(content, str | list | None):
            return f"messages[{place}].content must be a text or a list of parts"
        if isinstance(content, list) and not all(isinstance(part, dict) for part in content):
            return f"messages[{place}].content must hold objects with a type"
        if content is None and message["role"] != "assistant":
            return f"messages[{place}] has no content"
    return None


def _schema(parameters: JsonObject) -> JsonObject | None:
    """The schema for the JSON of the answer; None if no JSON is asked for, or the schema can't be checked here."""
    asked = parameters.get("response_format") or {}
    if asked.get("type") == "json_object":
        return ANY_OBJECT
    named = asked.get("json_schema") if asked.get("type") == "json_schema" else None
    schema = named.get("schema") if isinstance(named, dict) else None
    return schema if isinstance(schema, dict) and not schema_findings(schema) else None


def _refuse(message: str) -> HttpRefusal:
    return HttpRefusal(status=400, message=message)
