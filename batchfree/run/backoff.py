"""The time until a row is asked again, after an attempt that left it without an answer."""

from __future__ import annotations

import random

FIRST_WAIT_S = 0.5
"""Longest backoff in seconds before the second attempt, as in OpenAI's clients. It doubles with each attempt."""
HINT_SPREAD_S = 0.25
"""Longest time in seconds that is added to a hint."""
LEAST_WAIT_S = 0.05
"""Shortest wait in seconds for a moment in time, because clocks are rounded."""


def seconds_until(moment: float, now: float) -> float:
    """Seconds from `now` until `moment`, both in epoch seconds; at least `LEAST_WAIT_S`."""
    return max(LEAST_WAIT_S, moment - now)


def backoff(failures: int, *, rng: random.Random, max_wait: float, hint: float = 0.0) -> float:
    """Seconds to wait after the last of `failures` transient failures in a row, counted from one.

    Exponential backoff with full jitter: a random time from zero to a bound that doubles with each failure up to
    `max_wait` seconds (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015). `hint` is the `Retry-After` of
    the last failure, in seconds. The wait is a little longer than the hint, so that not all workers return at once.
    """
    bound = min(FIRST_WAIT_S * 2.0 ** min(max(failures - 1, 0), 30), max_wait)
    wait = rng.uniform(0.0, bound)
    return wait if wait >= hint else hint + rng.uniform(0.0, HINT_SPREAD_S)
