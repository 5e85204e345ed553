"""Reads the body of a request, with bounds on its size, its time, and the memory of all bodies together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from starlette.types import Receive, Scope

from batchfree.gateway.http_refusal import HttpRefusal, unavailable

LONGEST_BODY = 20 * 1024 * 1024
"""Largest body of a chat request in bytes."""
ALL_BODIES = 200 * 1024 * 1024
"""Most bytes of all bodies in memory at a time."""
READ_S = 60.0
"""Seconds in which a whole body must arrive."""
CLOSE = {"Connection": "close"}
"""Closes the connection. Else the unread rest of a body would be read as the next request."""


class ClientLeftError(Exception):
    """The client has closed the connection."""


class BodyMemory:
    """Counts the bytes of all bodies in memory."""

    def __init__(self) -> None:
        self._held = 0

    @contextmanager
    def reading(self, scope: Scope, receive: Receive) -> Iterator[BodyReading]:
        """The reading of one body; its bytes count until the end of the block."""
        reading = BodyReading(self, scope, receive)
        try:
            yield reading
        finally:
            self._held -= reading.size

    def take(self, size: int) -> bool:
        """Counts `size` more bytes. Returns False, and counts nothing, if that would be too many."""
        if self._held + size > ALL_BODIES:
            return False
        self._held += size
        return True


class BodyReading:
    """One body that is being read; `size` is the number of its bytes that are counted."""

    def __init__(self, memory: BodyMemory, scope: Scope, receive: Receive) -> None:
        self.size = 0
        self._memory, self._receive = memory, receive
        self._announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")

    async def read(self) -> bytes | HttpRefusal:
        """The whole body. Raises ClientLeftError. A cancellation leaves the rest unread."""
        if int(self._announced) > LONGEST_BODY:
            return _too_long()
        body = bytearray()
        try:
            with anyio.fail_after(READ_S):
                while True:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise ClientLeftError
                    body += message.get("body", b"")
                    if len(body) > LONGEST_BODY:
                        return _too_long()
                    if not self._grow(len(body)):
                        return unavailable("too many large requests at once", 10.0)
                    if not message.get("more_body"):
                        return bytes(body)
        except TimeoutError:
            message_text = f"the body did not come within {READ_S:g} seconds"
            return HttpRefusal(status=408, message=message_text, headers=CLOSE)

    def _grow(self, size: int) -> bool:
        if not self._memory.take(size - self.size):
            return False
        self.size = size
        return True


def _too_long() -> HttpRefusal:
    message = f"the body is longer than {LONGEST_BODY >> 20} MB"
    return HttpRefusal(status=413, message=message, headers=CLOSE)
