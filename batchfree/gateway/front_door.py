"""The steps for every request: access, security headers for browsers, a limit for slow readers, a report of bugs."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

import anyio
from starlette.types import ASGIApp, Receive, Scope, Send

from batchfree.gateway.access import AccessRules, access_refusal
from batchfree.gateway.http_refusal import HttpRefusal
from batchfree.gateway.responses import encoded, send_refusal

SAFE_HEADERS = encoded(
    {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
)
SEND_S = 60.0
"""Seconds that a client may take to read a part of a response."""


class SlowReaderError(Exception):
    """The client does not read its response."""


class FrontDoor:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, rules: AccessRules, report: Callable[[Exception], None]) -> None:
        """`report` takes an error that is a bug in batchfree."""
        self._app, self._rules, self._report = app, rules, report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        if scope["type"] != "http":
            return
        has_begun = False

        async def send_safely(message: MutableMapping[str, Any]) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *SAFE_HEADERS]
                has_begun = True
            try:
                with anyio.fail_after(SEND_S):
                    await send(message)
            except TimeoutError:
                raise SlowReaderError from None

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = access_refusal(scope["method"], scope["path"], headers, self._rules)
        if refusal is not None:
            await send_refusal(send_safely, refusal)
            return
        try:
            await self._app(scope, receive, send_safely)
        except Exception as error:
            if _is(error, SlowReaderError):
                raise SlowReaderError from None
            self._report(error)
            if has_begun:
                raise
            await send_refusal(send_safely, HttpRefusal(status=500, message="this is a bug in batchfree; see its log"))


def _is(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether an error is of a kind, also inside the groups of task groups."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(kind) is not None
    return isinstance(error, kind)
