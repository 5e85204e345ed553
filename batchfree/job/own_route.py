"""The route of a job on an endpoint of the user's own, if the job leaves it out: what the server lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio

from batchfree.core.chat import Failure, Kind
from batchfree.core.errors import UnavailableError
from batchfree.core.routes import FREE_REQUESTS_PER_MINUTE, FREE_ROUTER, LOCAL, ROUTERS, is_free_id
from batchfree.core.stops import Stopped, StopReason
from batchfree.jobspec import JobSpec
from batchfree.service.connection import Connection
from batchfree.service.routing.model import is_chat_model

MOST_NAMED = 10
"""Most models that a message names."""
EMULATED = "emulated/"
NAME_ONE = "name the model under router.route, or with --set router.route=MODEL"
NO_SUCH_LIST = (404, 405, 501)
"""Statuses of servers that have no list of models."""
OPENROUTER_PATH = "/api/v1"
"""The path of OpenRouter's API, which its mirrors use too."""
PATIENCE_S, RETRY_S = 30.0, 2.0
"""A run asks for the list again every `RETRY_S` seconds, for `PATIENCE_S` seconds."""


async def with_route(spec: JobSpec, connection: Connection, warn: Callable[[str], None]) -> JobSpec | Stopped:
    """The job with its route, or the reason why there is none. `warn` takes one sentence if the route is changed.

    A cancellation leaves nothing behind.
    """
    route = spec.router.route
    if route is None:
        return await _listed(spec, connection)
    if spec.endpoint.embedded and not any(each in ROUTERS or each.startswith(EMULATED) for each in route):
        warn(f"a rehearsal draws its own models, not {_names(route)}; their names begin with {EMULATED}")
        return _routed(spec, (LOCAL if spec.asks_votes else FREE_ROUTER,))
    return spec


async def wait_for_route(spec: JobSpec, connection: Connection, warn: Callable[[str], None]) -> JobSpec | Stopped:
    """Like `with_route`, but a server that gives no list is asked again for `PATIENCE_S` seconds."""
    began, is_first = anyio.current_time(), True
    while True:
        routed = await with_route(spec, connection, warn)
        is_down = isinstance(routed, Stopped) and routed.reason is StopReason.SERVICE_DOWN
        if not is_down or anyio.current_time() - began >= PATIENCE_S:
            return routed
        if is_first:
            warn(f"{connection.catalogue.last_error}; trying again")
            is_first = False
        await anyio.sleep(RETRY_S)


async def _listed(spec: JobSpec, connection: Connection) -> JobSpec | Stopped:
    catalogue = connection.catalogue
    try:
        models = await catalogue.latest()
    except UnavailableError as error:
        kept = catalogue.kept if is_out_of_reach(catalogue.last_failure) else ()
        if not kept:
            return _without_list(spec, catalogue.last_failure, error)
        models = kept
    if any(is_free_id(model.id) or model.id == FREE_ROUTER for model in models):
        return _free(spec)
    chat = [model.id for model in models if is_chat_model(model)]
    if len(chat) == 1:
        return _routed(spec, (chat[0],))
    if not chat:
        return _stop(f"the server lists no chat model, only {_names([model.id for model in models])}; {NAME_ONE}")
    return _stop(f"the server lists {len(chat)} models, {_names(chat)}; {NAME_ONE.replace('MODEL', chat[0])}")


def is_out_of_reach(failure: Failure | None) -> bool:
    """Whether the failure shows that the server can't be reached."""
    return failure is not None and failure.kind in (Kind.CONNECTION, Kind.TIMEOUT)


def _without_list(spec: JobSpec, failure: Failure | None, error: UnavailableError) -> JobSpec | Stopped:
    if failure is None or is_out_of_reach(failure):
        return Stopped(reason=StopReason.SERVICE_DOWN, message=str(error))
    if failure.kind is Kind.KEY_REFUSED:
        return Stopped(reason=StopReason.KEY_REFUSED, message=failure.message)
    if failure.status in NO_SUCH_LIST:
        return _stop(f"the server has no list of models ({failure.message}); {NAME_ONE}")
    if failure.status is not None and 400 <= failure.status < 500 and failure.status not in (408, 429):
        return Stopped(reason=StopReason.REFUSED, message=f"the server refuses to list its models: {failure.message}")
    if spec.endpoint.base_url.endswith(OPENROUTER_PATH):
        return _free(spec)  # a mirror of OpenRouter on a bad day needs no list
    if failure.status == 200:
        return _stop(f"the server gives no list of models ({failure.message}); {NAME_ONE}")
    return Stopped(reason=StopReason.SERVICE_DOWN, message=str(error))


def _free(spec: JobSpec) -> JobSpec:
    """The job on a server like OpenRouter, with the limits of free routes."""
    limits = spec.limits
    given = {
        "requests_per_minute": limits.requests_per_minute or FREE_REQUESTS_PER_MINUTE,
        "requests_per_day": limits.requests_per_day or "auto",
    }
    routed = _routed(spec, (LOCAL if spec.asks_votes else FREE_ROUTER,))
    return routed.model_copy(update={"limits": limits.model_copy(update=given)})


def _routed(spec: JobSpec, route: tuple[str, ...]) -> JobSpec:
    return spec.model_copy(update={"router": spec.router.model_copy(update={"route": route})})


def _stop(message: str) -> Stopped:
    return Stopped(reason=StopReason.NO_MODEL, message=message)


def _names(models: Sequence[str]) -> str:
    more = f" and {len(models) - MOST_NAMED} more" if len(models) > MOST_NAMED else ""
    return ", ".join(models[:MOST_NAMED]) + more
