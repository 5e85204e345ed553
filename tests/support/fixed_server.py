"""A server that gives every request the same reply, in a process of its own. It counts how often each row was asked.

It reads no JSON, so it costs far less CPU than its clients. A row is known by the first number in the request that
follows the word `number`.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

ROW = re.compile(rb"number (\d+)")
MESSAGE = {"role": "assistant", "content": "The answer is a short sentence of about fifty bytes."}
REPLY = {
    "id": "gen-1",
    "object": "chat.completion",
    "created": 1,
    "model": "fixed/one",
    "provider": "here",
    "choices": [{"index": 0, "finish_reason": "stop", "message": MESSAGE}],
    "usage": {"prompt_tokens": 80, "completion_tokens": 12, "total_tokens": 92},
}


@dataclass(frozen=True, slots=True)
class FixedServer:
    """A running server; `url` is its base URL."""

    url: str

    def asked(self) -> Counter[int]:
        """How often each row was asked."""
        found = httpx.get(f"{self.url}/asked", timeout=60).raise_for_status().json()
        return Counter({int(row): count for row, count in found.items()})


@contextmanager
def fixed_server(latency: float = 0.0) -> Iterator[FixedServer]:
    """Runs a server that answers after `latency` seconds."""
    command = [sys.executable, __file__, str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield FixedServer(f"http://127.0.0.1:{int(process.stdout.readline())}/v1")
        finally:
            process.kill()


def response(body: bytes) -> bytes:
    """A whole response over HTTP with this JSON."""
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


COMPLETION = response(json.dumps(REPLY).encode())


class Connection(asyncio.Protocol):
    """One connection. All connections share the counts."""

    def __init__(self, latency: float, asked: Counter[bytes]) -> None:
        self._latency, self._asked, self._buffer = latency, asked, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport for the replies."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers every request that is complete."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            place = head.find(b"content-length:")
            stop = end + 4 + (int(head[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0)
            if len(self._buffer) < stop:
                return
            body, self._buffer = self._buffer[end + 4 : stop], self._buffer[stop:]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"get"):
            counts = {row.decode(): count for row, count in self._asked.items()}
            self._transport.write(response(json.dumps(counts if b"/asked" in head else {"data": []}).encode()))
            return
        if row := ROW.search(body):
            self._asked[row[1]] += 1
        if self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._transport.write, COMPLETION)
        else:
            self._transport.write(COMPLETION)


async def serve(latency: float) -> None:
    """Serves on a free port of this machine, and prints the port."""
    asked = Counter[bytes]()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(latency, asked), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - its parent reads it
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
