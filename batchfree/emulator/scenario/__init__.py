"""A scenario: the models on offer, the limits of the account, and the faults that are played."""

from __future__ import annotations

from pydantic import Field

from batchfree.emulator.emulated_model import EmulatedModel
from batchfree.emulator.fault_rules import FaultRule, ScriptedAnswer
from batchfree.emulator.quotas import EmulatedLimits
from batchfree.emulator.scenario.pool_settings import PoolSettings
from batchfree.emulator.settings import Listed, Members, Settings, TextList


class RouterSettings(Settings):
    """The free router: what `openrouter/free` may draw, and how many models one request may reach (`tries`)."""

    draws_classifier: bool = True
    draws_gated: bool = False
    tries: int = 1


class Scenario(Settings):
    """One scenario file. The default is an ordinary day of a new account; presets/sample.yaml explains every key."""

    name: str = "default"
    seed: int = 0
    time_scale: float = 1.0
    generation_lag: float = 0.0
    keys: TextList = ()
    limits: EmulatedLimits = EmulatedLimits()
    key: Members = Field(default_factory=dict)
    router: RouterSettings = RouterSettings()
    pool: PoolSettings = Field(default_factory=PoolSettings)
    answers: Listed[ScriptedAnswer] = ()
    faults: Listed[FaultRule] = ()

    @property
    def models(self) -> tuple[EmulatedModel, ...]:
        """All models that are ever on offer."""
        return self.pool.built
