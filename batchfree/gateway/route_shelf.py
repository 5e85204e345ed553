"""One router for each route that clients ask for. All routers share the health of the models."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

from batchfree.core.routes import ROUTERS
from batchfree.job.endpoint import Endpoint, routing_policy
from batchfree.service.router import Router
from batchfree.service.routing import Health, Model

MOST_ROUTERS = 256
"""Most routers that are kept. Each list of models that a client sends is a route of its own."""
TRIAL_EVERY_S = 60.0
"""Seconds between two trial requests to a pool of models that is down."""


class RouteShelf:
    """The routers of one endpoint, by route."""

    def __init__(self, endpoint: Endpoint, resting: Callable[[str, float], None]) -> None:
        """`resting` is called when a model begins to rest, with the model and the end of its rest in epoch seconds."""
        self.health: dict[str, Health] = {}
        self._policy = replace(routing_policy(endpoint.spec), token_limit=None)
        self._catalogue, self._clock = endpoint.connection.catalogue, endpoint.connection.clock
        self._resting = resting
        self._routers: OrderedDict[tuple[str, ...], Router] = OrderedDict()
        self._tried_at: dict[tuple[str, ...], float] = {}

    @property
    def allowed(self) -> tuple[str, ...] | None:
        """The only models that may be asked, if the job names them; None: every free model."""
        return self._policy.ids

    def router(self, route: tuple[str, ...]) -> Router:
        """The router of a route."""
        if route not in self._routers:
            is_jobs = self.allowed is not None
            policy = replace(self._policy, route=route, own_endpoint=self._policy.own_endpoint and is_jobs)
            self._routers[route] = Router(policy, self._catalogue, self._clock, self._resting, self.health)
            if len(self._routers) > MOST_ROUTERS:
                old, _ = self._routers.popitem(last=False)
                self._tried_at.pop(old, None)
        self._routers.move_to_end(route)
        return self._routers[route]

    def allow_trial(self, route: tuple[str, ...]) -> bool:
        """Allows one request to a pool that is down. Returns False if one was allowed in the last minute."""
        now = self._clock()
        if now - self._tried_at.get(route, float("-inf")) < TRIAL_EVERY_S:
            return False
        self._tried_at[route] = now
        self.router(route).allow_trial()
        return True

    async def models(self) -> Sequence[Model]:
        """The models in the catalogue. Raises UnavailableError. A cancellation leaves the catalogue as it was."""
        return await self._catalogue.models()

    async def knows(self, route: tuple[str, ...]) -> bool:
        """Whether the catalogue holds a model of the route. Raises UnavailableError."""
        return route[0] in ROUTERS or any(model.id in route for model in await self.models())
