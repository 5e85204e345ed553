"""The options of one run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from batchfree.core.parts import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options of one run.

    `limit`: the number of rows to answer in this run. `until`: epoch seconds after which no request starts.
    `fail_threshold`: the percentage of rows that may fail without exit code 1. `signals`: stop on SIGINT, SIGTERM and
    SIGHUP; a second signal ends the process at once. `yields` returns whether a more urgent request waits for a start.
    """

    limit: int | None = None
    retry_failed: bool = False
    fail_threshold: float = 0.0
    fresh: bool = False
    until: float | None = None
    on_quota: Literal["stop", "wait"] | None = None
    signals: bool = False
    yields: Callable[[], bool] | None = None
    table: bool = True
    """Whether the run writes the table at its end."""
    part: Part | None = None
    """The part of the job that this run answers; None for the whole job."""
