"""Which routes are free, which hosts are OpenRouter's, and what may be asked where.

Free routes are `openrouter/free`, `local` and ids that end in `:free`, whatever the base URL; free limits go with the
route. Only these are asked on OpenRouter's hosts (OpenRouter docs, FAQ: "`:free` variants"); `:online` is paid search.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import SplitResult

from batchfree.core.routes import FREE_ROUTER, LOCAL, ROUTERS, is_free_id
from batchfree.core.text import nearest
from batchfree.core.urls import DEFAULT_PORTS, is_openrouter, split_url

EMBEDDED = "embedded"

_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")


def base_url_complaints(base_url: str) -> Iterator[str]:
    """What is wrong with a base URL, never quoting what may be secret in it."""
    if base_url == EMBEDDED:
        return
    parts = split_url(base_url)
    if parts is None or parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        yield "expected a URL that begins with http:// or https://, or the word embedded"
        return
    if "@" in parts.netloc:
        yield "a user name or password stands in this URL; put the key into the variable of endpoint.api_key_env"
    elif not _HOST.fullmatch(parts.netloc.removesuffix(f":{parts.port}").removesuffix(":")):
        yield "the host of this URL has characters that no host name has (write it in ASCII)"
    if parts.query or parts.fragment or any(sign in base_url for sign in "?#"):
        yield "a base URL ends with its path; leave out everything from ? or # on"
    if any(character.isspace() or not character.isprintable() for character in base_url):
        yield "a URL holds no blanks or control characters"
    if parts.path.rstrip("/").endswith("/chat/completions"):
        yield "leave out /chat/completions at the end; it is added to every request"
    if is_openrouter(base_url):
        yield from _openrouter_complaints(parts)


def _openrouter_complaints(parts: SplitResult) -> Iterator[str]:
    if parts.scheme == "http":
        yield "OpenRouter is reached by https:// only, since the key travels along"
    if not parts.path.strip("/"):
        yield "OpenRouter's API stands under /api/v1; write https://openrouter.ai/api/v1"


def route_complaints(route: Sequence[str], base_url: str) -> Iterator[str]:
    """What is wrong with the routes asked for on this endpoint."""
    if not route:
        yield f"an empty list asks nobody; write {FREE_ROUTER}, {LOCAL}, or at least one model id"
    if len(route) > 1:
        for word in ROUTERS:
            if word in route:
                yield f"`{word}` can't stand in a list of model ids; write it alone, or only ids"
    twice = sorted({each for each in route if route.count(each) > 1})
    if twice:
        yield f"`{twice[0]}` stands twice in this list"
    for each in dict.fromkeys(route):
        complaint = _id_complaint(each, here=is_openrouter(base_url))
        if complaint:
            yield complaint


def _id_complaint(route: str, *, here: bool) -> str | None:
    """`here`: on OpenRouter's host."""
    if route in ROUTERS:
        return None
    if not route.strip() or route != route.strip() or not route.isprintable():
        return "a model id is not blank, and has no blanks around it"
    if ":online" in route:
        return f"`{route}`: `:online` switches on paid web search, which batchfree never asks for"
    if not here or is_free_id(route):
        return None
    near = FREE_ROUTER if route == "free" else nearest(route, ROUTERS, cutoff=0.8)
    advice = f"; did you mean `{near}`?" if near else ""
    return (
        f"`{route}` is no free route: on OpenRouter only {FREE_ROUTER}, {LOCAL} and ids of the form author/model:free "
        f"may be asked{advice}"
    )
