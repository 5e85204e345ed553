"""How long until a row is asked again, after an attempt that left it without an answer."""

from __future__ import annotations

import random

FIRST_WAIT_S = 0.5
"""The backoff before the second attempt lasts up to this many seconds, as in OpenAI's clients, and then doubles."""
HINT_SPREAD_S = 0.25
"""Longest time in seconds that is added to a hint."""
LEAST_WAIT_S = 0.05
"""The shortest wait for a moment in time, since clocks are rounded."""


def seconds_until(moment: float, now: float) -> float:
    """Seconds from `now` until `moment`, both in epoch seconds; never nothing at all."""
    return max(LEAST_WAIT_S, moment - now)


def backoff(failures: int, *, rng: random.Random, max_wait: float, hint: float = 0.0) -> float:
    """Seconds to wait after the last of `failures` transient failures in a row, counted from one.

    Exponential backoff with full jitter: anything from zero to a bound that doubles with every failure up to
    `max_wait` seconds (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015). `hint` is the `Retry-After` of
    the last failure, in seconds: the wait is that long, and a little longer, so that not all workers return at once.
    """
    bound = min(FIRST_WAIT_S * 2.0 ** min(max(failures - 1, 0), 30), max_wait)
    wait = rng.uniform(0.0, bound)
    return wait if wait >= hint else hint + rng.uniform(0.0, HINT_SPREAD_S)
