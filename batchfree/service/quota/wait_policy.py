"""When a run stops instead of waiting for a start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitPolicy:
    """A run stops instead of waiting at `deadline` (epoch seconds), and on a spent day if `on_quota` is "stop".

    While `yields` returns True the run takes no start, because a more urgent request waits for one.
    """

    on_quota: Literal["stop", "wait"] = "stop"
    deadline: float | None = None
    yields: Callable[[], bool] | None = None


STOP_ON_QUOTA = WaitPolicy()
"""Waits within a day, and stops when the requests of the day are used up."""
