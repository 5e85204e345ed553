"""OpenRouter's JSON: builds request bodies, and reads the catalogue and the state of a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from msgspec.structs import replace

from batchfree.core.chat import ChatRequest, Failure, Json, JsonObject, Kind
from batchfree.core.parameters import FREE_PDF_ENGINE, FREE_PLUGINS, NEVER_SENT
from batchfree.core.routes import FREE_ROUTER, MOST_MODELS, is_free_id
from batchfree.core.text import clean
from batchfree.service.openrouter.body import MOST_VALUES, UnreadableBodyError, body_text, count_values
from batchfree.service.openrouter.judge import NO_SECRET, judge
from batchfree.service.openrouter.lenient import as_count, as_list, as_number, as_object, as_text, parse_json
from batchfree.service.openrouter.masking import Secret
from batchfree.service.routing import Model

LONGEST_NAME = 200

FREE_PARSER: JsonObject = {"id": "file-parser", "pdf": {"engine": FREE_PDF_ENGINE}}
PARSED_MEDIA = "application/pdf"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyState:
    """The answer of `GET /key`: free requests of the UTC day; None for a number that is missing."""

    day_limit: int | None = None
    day_used: int | None = None


def body(request: ChatRequest, models: Sequence[str], *, any_model: bool = False) -> JsonObject:
    """The body of one request to these models, the primary model first. Paid tools and plugins are left out.

    `any_model` allows models that are not free, for an endpoint of the user's own. Raises ValueError for a model that
    is not allowed, which is a bug of the caller.
    """
    if not 1 <= len(models) <= MOST_MODELS:
        raise ValueError(f"{len(models)} models in one request")
    free = all(each == FREE_ROUTER or is_free_id(each) for each in models)
    if not free and not any_model:
        raise ValueError(f"not a free model: {', '.join(models)}")
    sent: JsonObject = {"model": models[0], "messages": list(request.messages)}
    if len(models) > 1:
        sent["models"] = list(models)
    sent |= {name: value for name, value in request.parameters.items() if name not in NEVER_SENT}
    if not free:
        return sent
    sent.pop("plugins", None)
    if "tools" in sent:
        sent["tools"] = [tool for tool in as_list(_plain(sent["tools"])) if _is_function(tool)]
        if not sent["tools"]:
            sent = {name: value for name, value in sent.items() if name not in ("tools", "tool_choice")}
    if plugins := _plugins(request):
        sent["plugins"] = plugins
    return sent


def _plain(value: Json) -> Json:
    return list(value) if isinstance(value, tuple) else value


def _is_function(tool: Json) -> bool:
    """Whether the caller runs the tool. Server tools such as web search cost money."""
    kind = as_object(tool).get("type")
    return kind is None or bool(kind == "function")


def _plugins(request: ChatRequest) -> list[JsonObject]:
    """The plugins to send: the free ones of the request, and the free PDF parser if a message may contain a file."""
    asked = [as_object(each) for each in as_list(_plain(request.parameters.get("plugins")))]
    kept = [each for each in asked if each.get("id") in FREE_PLUGINS]
    wants_parser = any(each.get("id") == "file-parser" for each in asked)
    parsed = any(_may_be_pdf(part) for message in request.messages for part in _parts(message))
    return [*kept, FREE_PARSER] if parsed or wants_parser else kept


def _parts(message: Mapping[str, Json]) -> list[Json]:
    return as_list(_plain(message.get("content")))


def _may_be_pdf(part: Json) -> bool:
    """Whether a part is a file, or an image part that contains a PDF."""
    kind = str(as_object(part).get("type"))
    url = str(as_object(as_object(part).get("image_url")).get("url", ""))[:2000].lower()
    return "file" in kind or PARSED_MEDIA in url or url.endswith(".pdf")


def read_catalogue(text: str) -> tuple[Model, ...]:
    """The models of `GET /models`. Unreadable entries are skipped. An id is free only if all its entries are free.

    Some servers list bare names, or call the list `models` and the id `name`, as Ollama does.
    """
    payload = parse_json(text) if count_values(text) <= MOST_VALUES else None
    whole = as_object(payload)
    entries = as_list(payload) or as_list(whole.get("data")) or as_list(whole.get("models"))
    if all(isinstance(each, str) for each in entries):
        entries = [{"id": each} for each in entries]
    models: dict[str, Model] = {}
    for entry in entries:
        for model in _model(as_object(entry)):
            known = models.get(model.id)
            models[model.id] = model if known is None else replace(known, free=known.free and model.free)
    return tuple(models.values())


def _model(entry: JsonObject) -> Iterator[Model]:
    name = entry.get("id", entry.get("name"))
    if not isinstance(name, str) or not 0 < len(name.strip()) <= LONGEST_NAME or not name.isprintable():
        return
    architecture, top = as_object(entry.get("architecture")), as_object(entry.get("top_provider"))
    own = (entry.get("max_model_len"), as_object(entry.get("meta")).get("n_ctx"))  # vLLM's word, and llama.cpp's
    lengths = (entry.get("context_length"), top.get("context_length"), *own)
    yield Model(
        id=clean(name),
        free=is_free_id(name) and costs_nothing(entry.get("pricing")),
        context_length=min((n for each in lengths if (n := as_count(each))), default=None),
        max_completion_tokens=as_count(top.get("max_completion_tokens")) or None,
        input_modalities=_string_set(architecture.get("input_modalities")) or frozenset({"text"}),
        output_modalities=_string_set(architecture.get("output_modalities")) or frozenset({"text"}),
        parameters=_string_set(entry.get("supported_parameters")),
        expires=_date(entry.get("expiration_date")),
        reasoning_mandatory=as_object(entry.get("reasoning")).get("mandatory") is True,
    )


def costs_nothing(pricing: Json) -> bool:
    """Whether all listed prices are zero, including those of prompt and completion."""
    prices = as_object(pricing)
    listed = {name: price for name, price in prices.items() if name != "discount" and price is not None}
    return {"prompt", "completion"} <= listed.keys() and all(_is_zero(price) for price in listed.values())


def _is_zero(price: Json) -> bool:
    """Whether a price is zero; for conditional prices (`overrides`), whether all are."""
    if isinstance(price, list):
        tables = [as_object(each) for each in price]
        return all(_is_zero(v) for each in tables for name, v in each.items() if not name.startswith(("min_", "max_")))
    return as_number(price) == 0


def _string_set(value: Json) -> frozenset[str]:
    return frozenset(each for each in as_list(value) if isinstance(each, str))


def _date(value: Json) -> date | None:
    try:
        return date.fromisoformat((as_text(value) or "")[:10])
    except ValueError:
        return None


def read_key(status: int, headers: Mapping[str, str], body: bytes, secret: Secret = NO_SECRET) -> KeyState | Failure:
    """The state of the key from the answer of `GET /key`, or why it can't be read."""
    if status >= 300:
        judged = judge(status, headers, body, secret)
        assert isinstance(judged, Failure)
        return judged
    try:
        text = body_text(headers, body)
        payload = as_object(parse_json(text)) if count_values(text) <= MOST_VALUES else {}
    except UnreadableBodyError:
        payload = {}
    if payload.get("error") or not isinstance(payload.get("data"), dict):
        judged = judge(status, headers, body, secret)
        unclear = Failure(
            kind=Kind.BAD_RESPONSE, message="the service does not report the state of the key", status=status
        )
        return judged if isinstance(judged, Failure) else unclear
    data = payload["data"]
    day = as_object(data.get("free_model_daily_requests"))
    return KeyState(
        day_limit=as_count(day.get("limit")),
        day_used=as_count(day.get("used")),
    )
