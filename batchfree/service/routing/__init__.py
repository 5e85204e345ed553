"""The Free Models Router: the free models that may answer a request, and the health of each of them."""

from batchfree.service.routing.context_too_small import ContextTooSmall, context_too_small
from batchfree.service.routing.decide import Ask, Decision, NoVoterLeft, Reject, Stop, Wait, decide, stop_after
from batchfree.service.routing.draw import Draw, Nothing, Rest
from batchfree.service.routing.eligibility import abilities, offer, refusal
from batchfree.service.routing.health import Health, hinted_seconds
from batchfree.service.routing.learn import claim, is_routine, learn, release
from batchfree.service.routing.model import Model, is_safety_classifier
from batchfree.service.routing.model_pool import ModelPool
from batchfree.service.routing.policy import PilotRating, RoutingPolicy
from batchfree.service.routing.requirements import STRUCTURED, RequestAnalyzer, Requirements, analyze
from batchfree.service.routing.situation import Criteria, RoutedRow, Situation

__all__ = [
    "STRUCTURED",
    "Ask",
    "ContextTooSmall",
    "Criteria",
    "Decision",
    "Draw",
    "Health",
    "Model",
    "ModelPool",
    "NoVoterLeft",
    "Nothing",
    "PilotRating",
    "Reject",
    "RequestAnalyzer",
    "Requirements",
    "Rest",
    "RoutedRow",
    "RoutingPolicy",
    "Situation",
    "Stop",
    "Wait",
    "abilities",
    "analyze",
    "claim",
    "context_too_small",
    "decide",
    "hinted_seconds",
    "is_routine",
    "is_safety_classifier",
    "learn",
    "offer",
    "refusal",
    "release",
    "stop_after",
]
