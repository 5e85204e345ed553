"""`POST /chat/completions`: reads a call, has it answered, and sends the reply whole or as a stream.

While a streamed call waits and works, comments keep the connection open. Chunks come only when the whole answer is
there, so no failure ever reaches a half-shown answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from starlette.types import Receive, Scope, Send

from batchfree.gateway.call_body import BodyMemory, ClientLeftError
from batchfree.gateway.chat_call import ChatCall, read_call
from batchfree.gateway.failover import ChatReply, Failover
from batchfree.gateway.http_refusal import HttpRefusal
from batchfree.gateway.responses import send_json, send_parts, send_refusal, start
from batchfree.gateway.sse_chunks import COMMENT, error_events, reply_events

FIRST_COMMENT_S = 1.0
"""Seconds after which a stream begins with a comment. A call that fails earlier gets its own status."""
COMMENT_EVERY_S = 5.0
"""Seconds between two comments."""
ATTEMPTS = "X-Batchfree-Attempts"


@dataclass(slots=True, kw_only=True)
class CallRecord:
    """The facts about a call for the log, without any of its contents; `status` is None if the client left."""

    seconds: float = 0.0
    stream: bool = False
    route: str = ""
    status: int | None = None
    model: str | None = None
    tried: tuple[str, ...] = ()
    kind: str | None = None
    """The kind of failure that ended the call, if it is known. The failure's message may quote the client."""


@dataclass(slots=True)
class _StreamedAnswer:
    """The answer to a streamed call. `has_begun` says that the head of the stream was sent."""

    done: anyio.Event = field(default_factory=anyio.Event)
    outcome: ChatReply | HttpRefusal | None = None
    has_begun: bool = False


class ChatEndpoint:
    """Serves the chat calls of all clients."""

    def __init__(self, failover: Failover, memory: BodyMemory, ended: Callable[[CallRecord], None]) -> None:
        """`ended` is called with the record of every call."""
        self._failover, self._memory, self._ended = failover, memory, ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one call.

        If the client leaves, the call is cancelled: its place, an unused start and the request in flight are given up.
        """
        record, began = CallRecord(), self._failover.queue.clock()
        try:
            with self._memory.reading(scope, receive) as reading:
                raw = await reading.read()
                call = raw if isinstance(raw, HttpRefusal) else read_call(raw, self._failover.shelf.allowed)
                if isinstance(call, HttpRefusal):
                    _note(record, call)
                    await send_refusal(send, call)
                else:
                    record.stream, record.route = call.stream, call.route[0]
                    await self._serve(call, receive, send, record)
        except ClientLeftError:
            pass
        finally:
            record.seconds = self._failover.queue.clock() - began
            self._ended(record)

    async def _serve(self, call: ChatCall, receive: Receive, send: Send, record: CallRecord) -> None:
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            if call.stream:
                await self._stream(call, send, record)
            else:
                outcome = await self._failover.answer(call)
                _note(record, outcome)
                await _send_outcome(send, outcome)
            tasks.cancel_scope.cancel()

    async def _stream(self, call: ChatCall, send: Send, record: CallRecord) -> None:
        answer = _StreamedAnswer()
        await self._wait_with_comments(call, answer, send)
        outcome = answer.outcome
        assert outcome is not None
        _note(record, outcome)
        if isinstance(outcome, HttpRefusal) and not answer.has_begun:
            await send_refusal(send, outcome)
        else:
            await _send_events(send, outcome, has_begun=answer.has_begun)

    async def _wait_with_comments(self, call: ChatCall, answer: _StreamedAnswer, send: Send) -> None:
        """Gets the outcome of a call. Comments keep the connection open until it is there."""

        async def fetch() -> None:
            answer.outcome = await self._failover.answer(call)
            answer.done.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fetch)
            while not answer.done.is_set():
                with anyio.move_on_after(COMMENT_EVERY_S if answer.has_begun else FIRST_COMMENT_S):
                    await answer.done.wait()
                    break
                if not answer.has_begun:
                    await _begin(send)
                    answer.has_begun = True
                await send_parts(send, [COMMENT])


async def _begin(send: Send, headers: dict[str, str] | None = None) -> None:
    await start(send, 200, {"Content-Type": "text/event-stream; charset=utf-8", **(headers or {})})


async def _send_events(send: Send, outcome: ChatReply | HttpRefusal, *, has_begun: bool) -> None:
    """Sends the outcome of a streamed call as events, and ends the body."""
    if isinstance(outcome, HttpRefusal):
        parts = error_events(outcome)
    else:
        tried = ", ".join(outcome.tried)
        parts = reply_events(outcome.payload, tried)
        if not has_begun:
            await _begin(send, {ATTEMPTS: tried})
    await send_parts(send, parts)
    await send({"type": "http.response.body", "body": b""})


async def _send_outcome(send: Send, outcome: ChatReply | HttpRefusal) -> None:
    if isinstance(outcome, HttpRefusal):
        await send_refusal(send, outcome)
    else:
        await send_json(send, outcome.payload, headers={ATTEMPTS: ", ".join(outcome.tried)})


def _note(record: CallRecord, outcome: ChatReply | HttpRefusal) -> None:
    if isinstance(outcome, ChatReply):
        record.status, record.tried, record.model = 200, outcome.tried, outcome.tried[-1]
        return
    tried = outcome.headers.get(ATTEMPTS, "")
    record.status, record.tried = outcome.status, tuple(filter(None, tried.split(", ")))
    facts = outcome.metadata or {}
    record.kind = next((str(facts[name]) for name in ("kind", "reason", "limit_source") if name in facts), None)
