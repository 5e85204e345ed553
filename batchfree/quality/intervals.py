"""Shares with their intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution, for intervals of 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """A count out of a total. The count is a fraction where it is a sum of probabilities."""

    count: float
    total: int

    @property
    def share(self) -> float | None:
        """The share, None of nothing."""
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
