"""Which base URLs an endpoint may have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import SplitResult

from batchfree.core.urls import DEFAULT_PORTS, WORDS, is_loopback, is_openrouter, is_unreachable, split_url

UNENCRYPTED = (
    "write https://: over http:// anybody on the way could read the key and the data; a server without https can be "
    "reached through a tunnel, such as `ssh -L 8000:localhost:8000 HOST`, as http://localhost:8000"
)
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")

LONGEST_LABEL = 63
"""Most characters of one part of a host name (RFC 1035, section 2.3.4)."""


def base_url_complaints(base_url: str) -> Iterator[str]:
    """What is wrong with a base URL. The sentences never quote the URL, since it may hold a password."""
    if base_url in WORDS:
        return
    parts = split_url(base_url)
    if parts is None or parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        yield "expected a URL that begins with http:// or https://, or one of the words embedded and llama"
        return
    if "@" in parts.netloc:
        yield "this URL holds a user name or a password; put the key into the variable that endpoint.api_key_env names"
    else:
        yield from _host_complaints(parts)
    if parts.query or parts.fragment or any(sign in base_url for sign in "?#"):
        yield "a base URL ends with its path; leave out everything from ? or # on"
    if any(character.isspace() or not character.isprintable() for character in base_url):
        yield "a URL has no spaces and no control characters; leave them out"
    if parts.path.rstrip("/").endswith("/chat/completions"):
        yield "leave out /chat/completions at the end; batchfree adds it to every request"
    if parts.scheme == "http" and not is_loopback(base_url) and not is_unreachable(base_url):
        yield UNENCRYPTED
    if is_openrouter(base_url):
        yield from _openrouter_complaints(parts)


def _openrouter_complaints(parts: SplitResult) -> Iterator[str]:
    if not parts.path.strip("/"):
        yield "OpenRouter's API is under /api/v1; write https://openrouter.ai/api/v1"


def _host_complaints(parts: SplitResult) -> Iterator[str]:
    """What is wrong with the host."""
    if not _HOST.fullmatch(parts.netloc.removesuffix(f":{parts.port}").removesuffix(":")):
        yield "the host of this URL has characters that no host name has; write it in ASCII"
    elif not all(0 < len(label) <= LONGEST_LABEL for label in (parts.hostname or "").rstrip(".").split(".")):
        yield f"each part of a host name, between two dots, has 1 to {LONGEST_LABEL} characters"
