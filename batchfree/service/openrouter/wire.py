"""OpenRouter's JSON both ways: request bodies, the catalogue, the state of a key; `judge` reads replies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from batchfree.core.chat import ChatRequest, Failure, Json, JsonObject, Kind
from batchfree.core.parameters import FREE_PDF_ENGINE, FREE_PLUGINS, NEVER_SENT
from batchfree.core.routes import FREE_ROUTER, MOST_MODELS, is_free_id
from batchfree.core.text import clean
from batchfree.service.openrouter.judge import judge, unpadded
from batchfree.service.openrouter.lenient import count, document, listing, number, table, word
from batchfree.service.routing import Model

__all__ = ["KeyState", "body", "judge", "read_catalogue", "read_key"]

LONGEST_NAME = 200

FREE_PARSER: JsonObject = {"id": "file-parser", "pdf": {"engine": FREE_PDF_ENGINE}}
PARSED_MEDIA = "application/pdf"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyState:
    """What `GET /key` tells of the account: free requests of the UTC day, where it says so."""

    day_limit: int | None = None
    day_used: int | None = None


def body(request: ChatRequest, models: Sequence[str], *, any_model: bool = False) -> JsonObject:
    """The body of one request to these models, primary first. Paid helpers are left out.

    A `ValueError` is a bug: only the free router and free ids travel, unless `any_model` says that the endpoint is
    one's own and its models are nobody else's business.
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
        sent["tools"] = [tool for tool in listing(_plain(sent["tools"])) if _is_function(tool)]
        if not sent["tools"]:
            sent = {name: value for name, value in sent.items() if name not in ("tools", "tool_choice")}
    if plugins := _plugins(request):
        sent["plugins"] = plugins
    return sent


def _plain(value: Json) -> Json:
    return list(value) if isinstance(value, tuple) else value


def _is_function(tool: Json) -> bool:
    """Whether a tool runs at the caller's side. Server tools, such as web search, cost money."""
    kind = table(tool).get("type")
    return kind is None or bool(kind == "function")


def _plugins(request: ChatRequest) -> list[JsonObject]:
    """The plugins to send: the free ones that were asked for, and the free parser where there may be a file."""
    asked = [table(each) for each in listing(_plain(request.parameters.get("plugins")))]
    kept = [each for each in asked if each.get("id") in FREE_PLUGINS]
    wants_parser = any(each.get("id") == "file-parser" for each in asked)
    parsed = any(_may_be_file(part) for message in request.messages for part in _parts(message))
    return [*kept, FREE_PARSER] if parsed or wants_parser else kept


def _parts(message: Mapping[str, Json]) -> list[Json]:
    return listing(_plain(message.get("content")))


def _may_be_file(part: Json) -> bool:
    """Whether a part is a file, or pretends to be an image and is one."""
    kind = str(table(part).get("type"))
    url = str(table(table(part).get("image_url")).get("url", ""))[:2000].lower()
    return "file" in kind or PARSED_MEDIA in url or url.endswith(".pdf")


def read_catalogue(text: bytes) -> tuple[Model, ...]:
    """The models of `GET /models`; entries that can't be read are skipped. Of one id told twice the dearer stands."""
    payload = document(unpadded(text))
    entries = listing(payload) or listing(table(payload).get("data"))
    models: dict[str, Model] = {}
    for entry in entries:
        for model in _model(table(entry)):
            known = models.get(model.id)
            models[model.id] = model if known is None else replace(known, free=known.free and model.free)
    return tuple(models.values())


def _model(entry: JsonObject) -> Iterator[Model]:
    name = entry.get("id")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= LONGEST_NAME:
        return
    architecture, top = table(entry.get("architecture")), table(entry.get("top_provider"))
    lengths = (entry.get("context_length"), top.get("context_length"), entry.get("max_model_len"))
    yield Model(
        id=clean(name),
        free=is_free_id(name) and costs_nothing(entry.get("pricing")),
        context_length=min((n for each in lengths if (n := count(each))), default=None),
        max_completion_tokens=count(top.get("max_completion_tokens")) or None,
        input_modalities=_words(architecture.get("input_modalities")) or frozenset({"text"}),
        output_modalities=_words(architecture.get("output_modalities")) or frozenset({"text"}),
        parameters=_words(entry.get("supported_parameters")),
        expires=_date(entry.get("expiration_date")),
        reasoning_mandatory=table(entry.get("reasoning")).get("mandatory") is True,
    )


def costs_nothing(pricing: Json) -> bool:
    """Whether every price that is listed is exactly zero, those of a prompt and its completion among them."""
    prices = table(pricing)
    listed = {name: price for name, price in prices.items() if name != "discount" and price is not None}
    return {"prompt", "completion"} <= listed.keys() and all(_is_zero(price) for price in listed.values())


def _is_zero(price: Json) -> bool:
    """A price of zero; of conditional prices (`overrides`), that all are zero."""
    if isinstance(price, list):
        tables = [table(each) for each in price]
        return all(_is_zero(v) for each in tables for name, v in each.items() if not name.startswith(("min_", "max_")))
    return number(price) == 0


def _words(value: Json) -> frozenset[str]:
    return frozenset(each for each in listing(value) if isinstance(each, str))


def _date(value: Json) -> date | None:
    try:
        return date.fromisoformat((word(value) or "")[:10])
    except ValueError:
        return None


def read_key(status: int, headers: Mapping[str, str], text: bytes) -> KeyState | Failure:
    """The state of the key as `GET /key` tells it, or why it can't be read."""
    if status >= 300:
        judged = judge(status, headers, text)
        assert isinstance(judged, Failure)
        return judged
    payload = table(document(unpadded(text)))
    if payload.get("error") or not isinstance(payload.get("data"), dict):
        judged = judge(status, headers, text)
        wrong = Failure(kind=Kind.BAD_RESPONSE, message="the service does not tell the state of the key", status=status)
        return judged if isinstance(judged, Failure) else wrong
    data = payload["data"]
    day = table(data.get("free_model_daily_requests"))
    return KeyState(
        day_limit=count(day.get("limit")),
        day_used=count(day.get("used")),
    )
