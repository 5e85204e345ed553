"""What a server did wrong, in words, where a carrier's library can't read its response.

Each library has its own texts for the same fault. The texts of aiohttp 3, of h11 0.16, which httpx uses, and of
wreq 0.13 were seen with a server that sends each fault.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

CLOSED = "the server closed the connection without a response"
CUT = "the server closed the connection in the middle of the response"
CHUNKS = "the server's response is not valid HTTP: its chunks are broken"
LENGTH = "the server's response is not valid HTTP: it has a wrong or a second Content-Length"
HEADERS = "the server's response has more or longer headers than are read"
HEADER = "the server's response is not valid HTTP: one of its headers is broken"
CODING = "the server's response is not valid HTTP: it has a Transfer-Encoding other than chunked"
NO_HTTP = (
    "the server's response is no HTTP/1.1; does the base URL name the right port, and https if the server needs it?"
)
PROXY = "the proxy does not pass the request on"
UNREACHABLE = "the network or the host is unreachable"
BROKEN = "the connection broke"

FAULTS: Sequence[tuple[str, str]] = (
    (r"^ProxyError|^ClientHttpProxyError", PROXY),
    (r"unreachable|no route to host", UNREACHABLE),
    (r"not completed|complete message body|not enough data|incompletebody", CUT),
    (r"content-?length", LENGTH),
    (r"transfer-?encoding", CODING),
    (r"chunk", CHUNKS),
    (r"got more than|too many headers|buffer too long|toolarge", HEADERS),
    (r"header", HEADER),
    (r"status|request line|expected http|_SWITCH_|Parse\(", NO_HTTP),
    (r"disconnected|incompletemessage", CLOSED),
    (r"^(Read|Write|Close|ClientOS)Error|\bIo\b", BROKEN),
)
"""A pattern in the error of a library, and what the server or the network did. The first that fits counts."""


def describe(error: BaseException, said: str | None = None) -> str:
    """The fault in words, then the library's own text; only that for an unknown fault. It may hold the API key.

    `said` is the part of the library's text that names the fault; None: the whole text.
    """
    text = f"{type(error).__name__}: {error if said is None else said}".removesuffix(": ")
    fault = next((fault for pattern, fault in FAULTS if re.search(pattern, text, re.IGNORECASE)), None)
    if fault is HEADERS:  # aiohttp quotes only the start of a long header, which may end inside the key
        return fault
    return text if fault is None else f"{fault} ({text})"
