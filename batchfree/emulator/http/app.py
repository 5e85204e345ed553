"""The emulated OpenRouter as an ASGI application: its paths and their handlers."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import anyio
from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from batchfree.emulator.chat_service import EmulatedService
from batchfree.emulator.http import account_routes, catalogue_routes
from batchfree.emulator.http.stream import Sleep, send_reply
from batchfree.emulator.request_log import RequestLog
from batchfree.emulator.scenario import Scenario

PREFIXES = ("/api/v1", "/v1")


class Emulator:
    """An ASGI application; `state.log` is its RequestLog, `state.service` its EmulatedService."""

    def __init__(self, service: EmulatedService, sleep: Sleep) -> None:
        self.service = service
        self.sleep = sleep
        self.state = State()
        self.state.log = service.log
        self.state.service = service
        self.router = Router(routes=[*self._routes()], redirect_slashes=False, default=self._not_found)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].endswith("/chat/completions"):
            await self._chat(scope, receive, send)
        elif scope["type"] in ("http", "lifespan"):
            await self.router(scope, receive, send)

    def _routes(self) -> list[Route]:
        gets: dict[str, Callable[[EmulatedService, Request], Response]] = {
            "/models": catalogue_routes.models,
            "/models/user": catalogue_routes.models_of_user,
            "/models/count": catalogue_routes.count,
            "/models/{author}/{slug}/endpoints": catalogue_routes.endpoints,
            "/model/{author}/{slug}": catalogue_routes.model,
            "/key": account_routes.key,
            "/auth/key": account_routes.key,
            "/credits": account_routes.credits,
            "/generation": account_routes.generation,
        }
        return [
            Route(prefix + path, self._endpoint(answer), methods=["GET"])
            for prefix in PREFIXES
            for path, answer in gets.items()
        ]

    def _endpoint(self, answer: Callable[[EmulatedService, Request], Response]) -> Callable[[Request], Response]:
        async def endpoint(request: Request) -> Response:
            response = answer(self.service, request)
            response.headers["x-generation-id"] = self.service.new_id()
            return response

        return endpoint  # type: ignore[return-value]

    async def _not_found(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = JSONResponse({"error": {"message": "Not Found", "code": 404}}, status_code=404)
        response.headers["x-generation-id"] = self.service.new_id()
        await response(scope, receive, send)

    async def _chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one POST. A cancellation leaves the POST in the log as not delivered."""
        request = Request(scope, receive)
        if not scope["path"].startswith(PREFIXES):
            await self._not_found(scope, receive, send)
            return
        logged, reply = self.service.chat(await request.body(), request.headers)
        try:
            logged.delivered = await send_reply(reply, receive, send, self.sleep, self.service.scenario.time_scale)
        finally:
            self.service.log.close(logged, self.service.clock())


def create_app(
    scenario: Scenario | None = None,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Sleep = anyio.sleep,
    seed: int | None = None,
    require_key: bool = True,
    log_path: Path | None = None,
) -> Emulator:
    """The emulated service; `clock` gives epoch seconds, `sleep` does all waiting.

    `seed` replaces the seed of the scenario. Requests need a key only if `require_key` is set. Every POST is appended
    to the file `log_path`.
    """
    scenario = scenario or Scenario()
    seed = scenario.seed if seed is None else seed
    return Emulator(EmulatedService(scenario, clock, RequestLog(log_path), seed=seed, require_key=require_key), sleep)
