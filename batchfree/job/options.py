"""What one run does differently from what the job spec says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What one run does differently from what the spec says.

    `limit`: rows to answer in this run. `until`: no start after this moment, in epoch seconds. `fail_threshold`: per
    cent of the rows that may fail without exit code 1. `signals`: stop on SIGINT, SIGTERM and SIGHUP; a second one
    leaves at once.
    """

    limit: int | None = None
    retry_failed: bool = False
    fail_threshold: float = 0.0
    fresh: bool = False
    until: float | None = None
    on_quota: Literal["stop", "wait"] | None = None
    signals: bool = False
