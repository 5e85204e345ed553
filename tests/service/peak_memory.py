"""Prints the memory that each of these bodies takes to be read, in MB above the first small reply, as one JSON object.

Run as a script, so that the peak of the process is its own.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx

from batchfree.service.openrouter.body import LONGEST_BODY, MOST_VALUES
from batchfree.service.openrouter.client import Client

KEY = "sk-or-v1-" + "0123456789abcdef" * 4
BEFORE, BEHIND = b'{"choices":[{"message":{"content":', b"}}]}"
EMOJI = b"\\ud83d\\ude00"


def repeated(start: bytes, unit: bytes, end: bytes, size: int = LONGEST_BODY) -> Iterator[bytes]:
    """A body of at most `size` bytes in pieces: the unit again and again between start and end."""
    times, at_once = (size - len(start) - len(end)) // len(unit), max(1, 65_536 // len(unit))
    yield start
    for left in range(times, 0, -at_once):
        yield unit * min(left, at_once)
    yield end


def values(unit: bytes, each: int) -> Iterator[bytes]:
    """A list of as many values as are allowed, with `each` values in a unit."""
    return repeated(BEFORE + b"[[]", unit, b"]" + BEHIND, (MOST_VALUES // each - 10) * len(unit))


BODIES: dict[str, tuple[Iterator[bytes], dict[str, str]]] = {
    "text": (repeated(BEFORE + b'"', b"word ", b'"' + BEHIND), {}),
    "text with one wide character": (repeated(BEFORE + b'"' + EMOJI, b"word ", b'"' + BEHIND), {}),
    "lone surrogates": (repeated(BEFORE + b'"\\ud83d', b"a\xc3\xa9", b'"' + BEHIND), {}),
    "values": (values(b',{"a":"b"}', 2), {}),
    "too many values": (repeated(BEFORE + b"[[]", b",[]", b"]" + BEHIND), {}),
    "an error": (repeated(b'{"error":{"message":"' + EMOJI, b"rate limit ", b'"}}'), {}),
    "frames": (repeated(b"", b"data:\n", b""), {}),
    "padding": (repeated(b"", b": OPENROUTER PROCESSING\n\n", BEFORE + b'"x"' + BEHIND), {}),
    "no end": (repeated(BEFORE + b'"', b"word ", b'"' + BEHIND, 40 * LONGEST_BODY), {}),
    "gzip": (iter([gzip.compress(bytes(20 * LONGEST_BODY))]), {"content-encoding": "gzip"}),
    "gzip of gzip of gzip": (
        iter([gzip.compress(gzip.compress(gzip.compress(bytes(20 * LONGEST_BODY))))]),
        {"content-encoding": "gzip, gzip, gzip"},
    ),
}


class Stream(httpx.AsyncByteStream):
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk


async def ask(chunks: Iterator[bytes], headers: dict[str, str]) -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "application/json", **headers}, stream=Stream(chunks))

    client = Client("https://openrouter.ai/api/v1", KEY, httpx.MockTransport(answer))
    await client.complete({"model": "a/b:free"}, 60)
    await client.aclose()


def peak() -> float:
    """The largest resident size of this process since the last reset, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5)


if __name__ == "__main__":
    asyncio.run(ask(iter([BEFORE + b'"Hi"' + BEHIND]), {}))
    taken, before = {}, peak()
    for name, (chunks, headers) in BODIES.items():
        reset_peak()
        asyncio.run(ask(chunks, headers))
        taken[name] = peak() - before
    print(json.dumps(taken))  # noqa: T201
