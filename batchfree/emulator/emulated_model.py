"""One emulated model: its entry in `/models`, its kind, its behaviour, and when it is on offer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic import Field

from batchfree.emulator.settings import Settings

JsonObject: TypeAlias = dict[str, Any]
Nature: TypeAlias = Literal["chat", "classifier", "gated", "paid", "router", "media"]
JsonSkill: TypeAlias = Literal["enforces", "mode", "words", "prose"]
LabelStyle: TypeAlias = Literal["bare", "capital", "bold", "lead", "sentence"]
Thinking: TypeAlias = Literal["no", "optional", "default", "mandatory"]

FREE_ROUTER = "openrouter/free"
ANY_CONTEXT = 1_000_000
"""The context of an entry that names none, in tokens."""


class Latency(Settings):
    """Seconds until an answer comes: `constant`, or lognormal around `median` with the spread `sigma`."""

    median: float = 0.0
    sigma: float = 0.0
    constant: float | None = None


class Behaviour(Settings):
    """How one model answers: `accuracy` and `follows` are shares from 0 to 1, `verbosity` is 0 (terse) to 2 (chatty).

    `follows` is the share of replies in the form that the prompt asks for. `json_skill` says how the model writes JSON;
    None: its abilities decide. `style` is how it writes a single label.
    """

    accuracy: float = 0.85
    follows: float = 0.97
    verbosity: int = 1
    json_skill: JsonSkill | None = Field(default=None, alias="json")
    style: LabelStyle = "bare"
    latency: Latency = Latency()


class Presence(Settings):
    """When a model is on offer: `…_at` in seconds since the start, `…_after` in requests since the start."""

    appears_at: float | None = None
    vanishes_at: float | None = None
    appears_after: int | None = None
    vanishes_after: int | None = None

    def covers(self, seconds: float, requests: int) -> bool:
        """Whether the model is on offer at this moment."""
        return not (
            (self.appears_at is not None and seconds < self.appears_at)
            or (self.vanishes_at is not None and seconds >= self.vanishes_at)
            or (self.appears_after is not None and requests < self.appears_after)
            or (self.vanishes_after is not None and requests >= self.vanishes_after)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatedModel:
    """One model: its entry in `/models`, its provider's display name, its nature and its behaviour."""

    entry: JsonObject
    provider: str
    nature: Nature = "chat"
    behaviour: Behaviour = field(default_factory=Behaviour)
    presence: Presence = field(default_factory=Presence)

    @property
    def id(self) -> str:
        return str(self.entry["id"])

    @property
    def parameters(self) -> frozenset[str]:
        return frozenset(self.entry.get("supported_parameters") or ())

    @property
    def inputs(self) -> frozenset[str]:
        return frozenset(self.entry["architecture"]["input_modalities"])

    @property
    def context(self) -> int:
        """Tokens of prompt and answer together."""
        return int(self.entry.get("context_length") or ANY_CONTEXT)

    @property
    def max_output(self) -> int | None:
        """Tokens of an answer, thoughts included; None: no limit."""
        limit = (self.entry.get("top_provider") or {}).get("max_completion_tokens")
        return None if limit is None else int(limit)

    @property
    def free(self) -> bool:
        """Whether a request to it is a free-model request."""
        return self.id.endswith(":free") or self.id == FREE_ROUTER

    @property
    def thinking(self) -> Thinking:
        """Whether it thinks before it answers; `default`: unless it is switched off."""
        reasoning = self.entry.get("reasoning")
        if not reasoning:
            return "no"
        if reasoning.get("mandatory"):
            return "mandatory"
        return "default" if reasoning.get("default_enabled") else "optional"

    @property
    def json_skill(self) -> JsonSkill:
        """What the model does when it is asked for JSON."""
        if self.behaviour.json_skill:
            return self.behaviour.json_skill
        if "structured_outputs" in self.parameters:
            return "enforces"
        return "mode" if "response_format" in self.parameters else "words"

    def price(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The price of one answer in USD. A variable price ("-1") counts as 0.000001 USD per token."""
        prices = [abs(float(self.entry["pricing"][part])) for part in ("prompt", "completion")]
        prices = [0.000001 if price == 1 else price for price in prices]
        return prices[0] * prompt_tokens + prices[1] * completion_tokens
