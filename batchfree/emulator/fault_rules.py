"""When a fault is played: rules over model, count, content, chance and time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from batchfree.emulator.chance import share


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One model about to answer one request. Counts start at one; `seconds` since the start, `now` epoch seconds."""

    model: str
    provider: str
    asked: str
    content: str
    number: int
    number_of_model: int
    seconds: float
    now: float
    seed: int
    about: bytes
    """Tells this request from every other: draws of chance hang on it."""

    def share(self, *purpose: object) -> float:
        """A number from 0 to below 1, the same for the same request and purpose."""
        return share(self.seed, self.about, self.model, *purpose)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestNumbers:
    """Which requests: single numbers, ranges (both ends included), or every k-th from `start` on."""

    ranges: tuple[tuple[int, int], ...] = ()
    every: int | None = None
    start: int = 0

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        if self.every is not None:
            return number >= self.start and (number - self.start) % self.every == 0
        return any(low <= number <= high for low, high in self.ranges)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """Play `fault` (or send `respond` as it is) whenever everything here is met; `index` tells rules apart."""

    index: int
    fault: str
    options: Mapping[str, Any] = field(default_factory=dict)
    respond: Mapping[str, Any] | None = None
    models: tuple[str, ...] = ("*",)
    asked: tuple[str, ...] = ("*",)
    nth: RequestNumbers | None = None
    per_model: bool = False
    content: re.Pattern[str] | None = None
    chance: float = 1.0
    after: float = 0.0
    until: float | None = None
    delay: float | None = None

    def meets(self, occasion: ModelCall) -> bool:
        """Whether the fault is due now."""
        return (
            any(fnmatchcase(occasion.model, glob) for glob in self.models)
            and any(fnmatchcase(occasion.asked, glob) for glob in self.asked)
            and self.after <= occasion.seconds
            and (self.until is None or occasion.seconds < self.until)
            and (self.nth is None or (occasion.number_of_model if self.per_model else occasion.number) in self.nth)
            and (self.content is None or self.content.search(occasion.content) is not None)
            and (self.chance >= 1.0 or occasion.share("rule", self.index) < self.chance)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedAnswer:
    """The right answer to every prompt that matches: models then err only as often as their accuracy says."""

    match: re.Pattern[str]
    answer: str
