"""The server as an ASGI application: its paths and their handlers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from batchfree.core.errors import StorageError, UnavailableError
from batchfree.gateway.batches.batch_routes import refusal_response
from batchfree.gateway.gateway import Gateway
from batchfree.gateway.gateway_status import gateway_status
from batchfree.gateway.http_refusal import HttpRefusal, unavailable
from batchfree.gateway.key_shape import key_shape
from batchfree.gateway.metrics import CONTENT_TYPE, metrics
from batchfree.gateway.model_list import model_list
from batchfree.gateway.responses import send_refusal
from batchfree.gateway.status_page import policy, status_page

PREFIXES = ("/api/v1", "/v1", "")
"""The paths may begin with any of these, since clients have different parts of the path in their base URL."""
Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


def gateway_app(gateway: Gateway) -> ASGIApp:
    """The application, without what `FrontDoor` adds."""
    routes = [Route(f"{prefix}/chat/completions", gateway.chat, methods=["POST"]) for prefix in PREFIXES]
    gets = {
        "/models": _models(gateway),
        "/models/{id:path}": _model(gateway),
        "/key": _key(gateway),
    }
    routes += [
        Route(prefix + path, _explained(handler), methods=["GET"])
        for prefix in PREFIXES
        for path, handler in gets.items()
    ]
    routes += [route for prefix in PREFIXES for route in gateway.batch_routes.routes(prefix)]
    watching = {"/": _page(gateway), "/status": _status(gateway), "/metrics": _metrics(gateway)}
    routes += [Route(path, _explained(handler), methods=["GET"]) for path, handler in watching.items()]
    return Router(routes=routes, redirect_slashes=False, default=_not_found)


def _explained(handler: Handler) -> Handler:
    """The handler; if the service or the ledger can't be reached, it answers 503 with the reason."""

    async def explained(request: Request) -> Response:
        try:
            return await handler(request)
        except (UnavailableError, StorageError) as error:
            return refusal_response(unavailable(str(error)))

    return explained


def _models(gateway: Gateway) -> Handler:
    async def models(request: Request) -> Response:
        eligible = await gateway.eligible()
        return JSONResponse(model_list(gateway.endpoint.connection.catalogue.text, eligible))

    return models


def _model(gateway: Gateway) -> Handler:
    async def model(request: Request) -> Response:
        eligible = await gateway.eligible()
        listed = model_list(gateway.endpoint.connection.catalogue.text, eligible)["data"]
        asked = request.path_params["id"]
        found = next((entry for entry in listed if entry["id"] == asked), None)
        missing = HttpRefusal(status=404, message=f"there is no free model {asked[:200]}")
        return refusal_response(missing) if found is None else JSONResponse({**found, "object": "model"})

    return model


def _key(gateway: Gateway) -> Handler:
    async def key(request: Request) -> Response:
        usage = await gateway.usage()
        return JSONResponse(key_shape(limit=usage.day_limit, used=usage.day_used, left=usage.left("day")))

    return key


def _status(gateway: Gateway) -> Handler:
    async def status(request: Request) -> Response:
        return JSONResponse(await gateway_status(gateway))

    return status


def _metrics(gateway: Gateway) -> Handler:
    async def numbers(request: Request) -> Response:
        return Response(metrics(await gateway_status(gateway)), headers={"Content-Type": CONTENT_TYPE})

    return numbers


def _page(gateway: Gateway) -> Handler:
    async def page(request: Request) -> Response:
        return HTMLResponse(status_page(await gateway_status(gateway)), headers={"Content-Security-Policy": policy()})

    return page


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    await send_refusal(send, HttpRefusal(status=404, message=f"there is nothing at {scope['path'][:200]}"))
