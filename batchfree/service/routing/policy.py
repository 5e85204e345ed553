"""What the user allows: the models that may be asked, the route, and the number of models in a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from batchfree.core.routes import FREE_ROUTER, ROUTERS, is_free_route


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotRating:
    """The results of a model in a pilot: its right and its wrong answers, pseudo-votes included."""

    right: float
    wrong: float


@dataclass(frozen=True, kw_only=True)
class RoutingPolicy:
    """The `router:` part of a job, and whether the endpoint is the user's own.

    `only` and `exclude` are glob patterns on model ids; `min_context` counts tokens; `fallbacks` is the number of
    further models that travel in one request; `token_limit` is the `max_tokens` that the job asks of every row.
    """

    route: tuple[str, ...] = (FREE_ROUTER,)
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    min_context: int | None = None
    fallbacks: int = 2
    kept: Mapping[str, PilotRating] | None = None
    """The models that a pilot kept, by their ids; None without a pilot."""
    token_limit: int | None = None
    own_endpoint: bool = False

    @cached_property
    def ids(self) -> tuple[str, ...] | None:
        """The models that the route names; no others may be asked. None if the route names a router."""
        return None if self.route[0] in ROUTERS else self.route

    @cached_property
    def own_models(self) -> bool:
        """Whether the route names models of the user's own. The limits of free models do not apply to them."""
        return self.any_model and not any(map(is_free_route, self.route))

    @cached_property
    def any_model(self) -> bool:
        """Whether models may be asked that are neither free nor in a catalogue, on an endpoint of the user's own."""
        return self.own_endpoint and self.ids is not None

    @cached_property
    def restricts(self) -> bool:
        """Whether the policy holds anything that the service's own draw does not know."""
        return bool(self.only or self.exclude or self.min_context or self.ids)
