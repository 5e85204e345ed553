"""Which routes a job may ask for on its endpoint.

On OpenRouter's hosts only free routes are asked: `openrouter/free`, `local` and ids of the form `author/model:free`
(OpenRouter docs, FAQ: "`:free` variants"). The suffix `:online` switches on paid web search.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from batchfree.core.routes import FREE_ROUTER, LOCAL, ROUTERS, is_free_id
from batchfree.core.text import nearest
from batchfree.core.urls import is_openrouter


def route_complaints(route: Sequence[str], base_url: str) -> Iterator[str]:
    """What is wrong with the routes of a job on this endpoint."""
    if not route:
        yield f"an empty list asks no model; write {FREE_ROUTER}, {LOCAL}, or at least one model id"
    if len(route) > 1:
        for word in ROUTERS:
            if word in route:
                yield f"`{word}` can't stand in a list of model ids; write it alone, or list only ids"
    twice = sorted({each for each in route if route.count(each) > 1})
    if twice:
        yield f"`{twice[0]}` is listed twice; write it once"
    for each in dict.fromkeys(route):
        complaint = _id_complaint(each, on_openrouter=is_openrouter(base_url))
        if complaint:
            yield complaint


def _id_complaint(route: str, *, on_openrouter: bool) -> str | None:
    if route in ROUTERS:
        return None
    if not route.strip() or route != route.strip() or not route.isprintable():
        return "a model id is not blank and has no spaces around it"
    if ":online" in route:
        return f"`{route}`: `:online` switches on paid web search, which batchfree never asks for"
    if not on_openrouter or is_free_id(route):
        return None
    near = FREE_ROUTER if route == "free" else nearest(route, ROUTERS, cutoff=0.8)
    advice = f"; did you mean `{near}`?" if near else ""
    return (
        f"`{route}` is no free route: on OpenRouter only {FREE_ROUTER}, {LOCAL} and ids of the form author/model:free "
        f"may be asked{advice}"
    )
