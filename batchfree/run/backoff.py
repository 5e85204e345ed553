"""How long to wait before the next attempt of a row."""

from __future__ import annotations

import random

FIRST_WAIT_S = 1.0
"""The backoff before the second attempt lasts up to this long, and doubles from there."""
CUT_HINT_SPREAD = 0.75
"""A hint beyond the cap is cut to between this share of the cap and the whole of it, so that not all wake at once."""


def backoff(attempt: int, *, rng: random.Random, max_wait: float, hint: float | None) -> float:
    """Seconds to wait after the `attempt`-th failure in a row, counted from one: anything up to a bound that doubles.

    The service's hint (seconds) is the least, but nothing is longer than `max_wait`.
    """
    bound = min(FIRST_WAIT_S * 2.0 ** min(max(attempt - 1, 0), 30), max_wait)
    if hint is None or not hint > 0:
        return rng.uniform(0.0, bound)
    if hint >= max_wait:
        return rng.uniform(CUT_HINT_SPREAD * max_wait, max_wait)
    return rng.uniform(hint, min(hint + bound, max_wait))
