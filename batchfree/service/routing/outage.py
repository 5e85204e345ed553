"""When a run gives its models up for now: they are gone, or none of them answers any more."""

from __future__ import annotations

from collections.abc import Sequence

from batchfree.core.routes import FREE_ROUTER
from batchfree.core.stops import Stopped, StopReason
from batchfree.service.routing.model import Model
from batchfree.service.routing.policy import RoutingPolicy
from batchfree.service.routing.situation import Situation

DOWN_REST_S = 300.0
"""The pool is down when every eligible model rests for longer than this, in seconds."""
BARREN = 40
"""The pool is down after this number of requests in a row without one answer."""
OWN_BARREN = 5
"""The only model of the user's own is given up after this number of requests without an answer …"""
OWN_PATIENCE_S = 60.0
"""… over at least this number of seconds."""
NOT_THERE = "the models that router.route names are not there, or not for this account"
POOL_DOWN = "the free models are down: all of them rest, or none has answered for a long while; run again later"


def outage(models: Sequence[Model] | None, situation: Situation, policy: RoutingPolicy) -> Stopped | None:
    """Why a run ends although it could draw one of these models; None if it goes on.

    The models of the route are gone, the only model fails for long, or the pool is down. `models` is None without a
    catalogue.
    """
    if policy.ids and _are_gone(models or (), situation):
        return Stopped(reason=StopReason.NO_MODEL, message=_with_cause(NOT_THERE, situation))
    return _down(models, situation, policy)


def _are_gone(models: Sequence[Model], situation: Situation) -> bool:
    """Whether the service has said of each model that may answer that it is not available any more."""
    for model in models:
        health = situation.health_of(model.id)
        if not health.gone or situation.now >= health.rests_until:
            return False
    return bool(models)


def _down(models: Sequence[Model] | None, situation: Situation, policy: RoutingPolicy) -> Stopped | None:
    """The reason to give up for now. The only model of the user's own is given up only if it fails for long."""
    if policy.own_models and models is not None and len(models) == 1:
        since = situation.now if situation.barren_since is None else situation.barren_since
        if situation.barren < OWN_BARREN or situation.now - since < OWN_PATIENCE_S:
            return None
        message = f"{situation.last_failure}; {situation.barren} requests in a row without an answer; run again later"
        return Stopped(reason=StopReason.SERVICE_DOWN, message=message)
    if _is_down(models, situation):
        return Stopped(reason=StopReason.POOL_DOWN, message=_with_cause(POOL_DOWN, situation))
    return None


def _with_cause(message: str, situation: Situation) -> str:
    return f"{message} (the last failure: {situation.last_failure})" if situation.last_failure else message


def _is_down(models: Sequence[Model] | None, situation: Situation) -> bool:
    """Whether to give up for now. Without a catalogue the service's own draw counts as the only model."""
    names = (FREE_ROUTER,) if models is None else [model.id for model in models]
    resting = [situation.health_of(name).rests_until > situation.now + DOWN_REST_S for name in names]
    return situation.barren >= BARREN or (bool(resting) and all(resting))
