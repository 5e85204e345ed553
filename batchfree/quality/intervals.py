"""Shares and medians with their 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from batchfree.core.chat import JsonObject

LEAST_FOR_SHARE = 10
"""Smallest total for which a share is shown. A smaller total says little, so only the counts are shown."""
Z = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution, for intervals of 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float

    def to_json(self) -> list[float]:
        """As `--json` prints it."""
        return [round(self.low, 4), round(self.high, 4)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """A count out of a total. A sum of probabilities counts too, so the count may have a fraction."""

    count: float
    total: int

    @property
    def share(self) -> float | None:
        """The share from 0 to 1; None for an empty total."""
        return self.count / self.total if self.total else None

    @property
    def interval(self) -> Interval:
        """Wilson's score interval (1927, doi.org/10.1080/01621459.1927.10502953); from 0 to 1 for an empty total."""
        if self.total == 0:
            return Interval(low=0.0, high=1.0)
        n, share = self.total, self.count / self.total
        middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
        return Interval(low=max(0.0, middle - half), high=min(1.0, middle + half))

    @property
    def is_shown(self) -> bool:
        """Whether the total is large enough to show the share and its interval."""
        return self.total >= LEAST_FOR_SHARE

    def __str__(self) -> str:
        """The counts, then the share with its interval if the total is large enough: `82 of 100 (82 %, …)`."""
        counts = f"{self.count:,.0f} of {self.total:,}"
        if not self.is_shown:
            return counts
        share, low, high = (round(100 * x) for x in (self.count / self.total, self.interval.low, self.interval.high))
        return f"{counts} ({share} %, 95 % interval {low}–{high} %)"

    def to_json(self) -> JsonObject:
        """As `--json` prints it; share and interval are null if the total is too small to show them."""
        return {
            "count": round(self.count, 4),
            "total": self.total,
            "share": round(self.count / self.total, 4) if self.is_shown else None,
            "interval": self.interval.to_json() if self.is_shown else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Median:
    """The median of some numbers; value and interval are None if there are too few of them."""

    total: int
    value: float | None
    interval: Interval | None

    def to_json(self) -> JsonObject:
        """As `--json` prints it."""
        interval = self.interval and self.interval.to_json()
        return {"value": self.value and round(self.value, 4), "total": self.total, "interval": interval}


def median(numbers: Sequence[float]) -> Median:
    """The median; its interval lies between two order statistics (Conover 1999, Practical Nonparametric Statistics)."""
    total = len(numbers)
    if total < LEAST_FOR_SHARE:
        return Median(total=total, value=None, interval=None)
    ordered = sorted(numbers)
    half = Z * math.sqrt(total) / 2
    low, high = max(0, math.floor(total / 2 - half)), min(total - 1, math.ceil(total / 2 + half))
    middle = (ordered[(total - 1) // 2] + ordered[total // 2]) / 2
    return Median(total=total, value=middle, interval=Interval(low=ordered[low], high=ordered[high]))
