"""A scenario: which models there are, what the account may do, and which faults are played."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batchfree.emulator.builtin_models import builtin
from batchfree.emulator.emulated_model import EmulatedModel
from batchfree.emulator.fault_rules import FaultRule, ScriptedAnswer
from batchfree.emulator.quotas import EmulatedLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that can be said about the emulated service; the default is an ordinary day of a new account.

    `key`: members of the `/key` reply to replace. `keys`: the keys that are known (empty: every key that looks like
    one). `draws_gated`: `openrouter/free` also draws models reserved for agents. `draws_classifier`: and the safety
    classifier. `router_tries`: models that one request for `openrouter/free` may reach before its failure is
    reported. `time_scale` multiplies every wait; `generation_lag` is how long `/generation` knows nothing (seconds).
    """

    name: str = "default"
    seed: int = 0
    limits: EmulatedLimits = field(default_factory=EmulatedLimits)
    models: tuple[EmulatedModel, ...] = field(default_factory=builtin)
    rules: tuple[FaultRule, ...] = ()
    answers: tuple[ScriptedAnswer, ...] = ()
    key: Mapping[str, Any] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    draws_gated: bool = False
    draws_classifier: bool = True
    router_tries: int = 1
    time_scale: float = 1.0
    generation_lag: float = 0.0
