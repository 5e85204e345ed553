"""Sending a reply over ASGI, with its pauses, repetitions and cut connections."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from itertools import count
from typing import TypeAlias

import anyio
from starlette.types import Receive, Send

from batchfree.emulator.replies import Cut, HttpReply, Pause, Repeat, Step

Sleep: TypeAlias = Callable[[float], Awaitable[object]]


class ConnectionCutError(ConnectionError):
    """The scenario cuts this connection. The server or transport that catches it closes the connection."""


async def send_reply(reply: HttpReply, receive: Receive, send: Send, sleep: Sleep, scale: float) -> bool:
    """Sends the whole reply, with waiting times multiplied by `scale`. Returns False if the client left before its end.

    Raises ConnectionCutError at a cut. A cancellation leaves the body unfinished.
    """
    if not reply.delay and all(isinstance(step, bytes) for step in reply.steps):
        await _send_plain(reply, send)
        return True
    done = False

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        group.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            await _send_slowly(reply, send, sleep, scale)
            done = True
            group.cancel_scope.cancel()
    except BaseExceptionGroup as broken:
        if broken.subgroup(ConnectionCutError):
            raise ConnectionCutError("the scenario cut this connection") from None
        raise
    return done


async def _send_plain(reply: HttpReply, send: Send) -> None:
    body = reply.body
    headers = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_slowly(reply: HttpReply, send: Send, sleep: Sleep, scale: float) -> None:
    """A cut as the first step cuts the connection before the status line."""
    if reply.delay:
        await sleep(reply.delay * scale)
    if reply.steps and isinstance(reply.steps[0], Cut):
        raise ConnectionCutError("the scenario cut this connection")
    headers = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    for step in reply.steps:
        await _send_step(step, send, sleep, scale)
    await send({"type": "http.response.body", "body": b""})


async def _send_step(step: Step, send: Send, sleep: Sleep, scale: float) -> None:
    if isinstance(step, bytes):
        await send({"type": "http.response.body", "body": step, "more_body": True})
    elif isinstance(step, Pause):
        await sleep(step.seconds * scale)
    elif isinstance(step, Cut):
        raise ConnectionCutError("the scenario cut this connection")
    elif isinstance(step, Repeat):
        times: Iterable[int] = count() if step.times is None else range(step.times)
        for _ in times:
            await send({"type": "http.response.body", "body": step.data, "more_body": True})
            await sleep(step.seconds * scale)
