"""The Free Models Router: which free model may answer a request, and how each of them has lately done."""

from batchfree.service.routing.draw import Draw, Nothing, Rest, choose, claim, learn, plan_draw, pool_is_down
from batchfree.service.routing.eligibility import (
    Policy,
    abilities,
    beyond,
    eligible,
    is_large_enough,
    larger,
    offer,
    refusal,
    why_none,
    without_lengths,
)
from batchfree.service.routing.health import STRUCTURED, Health, after, is_available, refuses, weight
from batchfree.service.routing.model import Model, is_safety_classifier
from batchfree.service.routing.requirements import Requirements, analyze

__all__ = [
    "STRUCTURED",
    "Draw",
    "Health",
    "Model",
    "Nothing",
    "Policy",
    "Requirements",
    "Rest",
    "abilities",
    "after",
    "analyze",
    "beyond",
    "choose",
    "claim",
    "eligible",
    "is_available",
    "is_large_enough",
    "is_safety_classifier",
    "larger",
    "learn",
    "offer",
    "plan_draw",
    "pool_is_down",
    "refusal",
    "refuses",
    "weight",
    "why_none",
    "without_lengths",
]
