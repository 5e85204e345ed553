"""What one emulated model is: its entry in `/models`, its nature, its hand, and when it is on offer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
Nature: TypeAlias = Literal["chat", "classifier", "gated", "paid", "router", "media"]
JsonSkill: TypeAlias = Literal["enforces", "mode", "words", "prose"]

FREE_ROUTER = "openrouter/free"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds until an answer is there: `median`, spread lognormally by `sigma` (0: always the same)."""

    median: float = 0.0
    sigma: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How one model answers: `accuracy` and `follows` are shares from 0 to 1, `verbosity` 0 (terse) to 2 (chatty).

    `json`: what it does about JSON; by its abilities where None. `style`: how it writes a single label.
    """

    accuracy: float = 0.85
    verbosity: int = 1
    follows: float = 0.97
    json: JsonSkill | None = None
    style: str = "bare"
    latency: Latency = Latency()


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """When a model is on offer: from and until so many seconds, or so many requests, after the start."""

    appears_at: float | None = None
    vanishes_at: float | None = None
    appears_after: int | None = None
    vanishes_after: int | None = None

    def covers(self, seconds: float, requests: int) -> bool:
        """Whether the model is there at this moment."""
        return not (
            (self.appears_at is not None and seconds < self.appears_at)
            or (self.vanishes_at is not None and seconds >= self.vanishes_at)
            or (self.appears_after is not None and requests < self.appears_after)
            or (self.vanishes_after is not None and requests >= self.vanishes_after)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatedModel:
    """One model: its entry in `/models`, its provider's display name, its nature and its hand."""

    entry: JsonObject
    provider: str
    nature: Nature = "chat"
    hand: Behaviour = Behaviour()
    presence: Presence = Presence()

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
        return int(self.entry.get("context_length") or 1_000_000)

    @property
    def max_output(self) -> int | None:
        limit = (self.entry.get("top_provider") or {}).get("max_completion_tokens")
        return None if limit is None else int(limit)

    @property
    def free(self) -> bool:
        """Whether asking it is a free-model request."""
        return self.id.endswith(":free") or self.id == FREE_ROUTER

    @property
    def thinking(self) -> Literal["no", "optional", "default", "mandatory"]:
        reasoning = self.entry.get("reasoning")
        if not reasoning:
            return "no"
        return (
            "mandatory" if reasoning.get("mandatory") else "default" if reasoning.get("default_enabled") else "optional"
        )

    @property
    def json(self) -> JsonSkill:
        """What it does when asked for JSON."""
        if self.hand.json:
            return self.hand.json
        if "structured_outputs" in self.parameters:
            return "enforces"
        return "mode" if "response_format" in self.parameters else "words"

    def price(self, prompt_tokens: int, completion_tokens: int) -> float:
        """USD for one answer; a variable price ("-1") counts as one millionth of a dollar a token."""
        prices = [abs(float(self.entry["pricing"][part])) for part in ("prompt", "completion")]
        prices = [0.000001 if price == 1 else price for price in prices]
        return prices[0] * prompt_tokens + prices[1] * completion_tokens
