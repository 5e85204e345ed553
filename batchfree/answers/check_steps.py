"""Counts the steps of checks against a JSON Schema, so that no reply keeps a run busy for long."""

from __future__ import annotations

MOST_STEPS = 100_000
"""Most steps of one check, about a second. A step looks at one value with one keyword."""
MOST_STEPS_OF_A_REPLY = 3 * MOST_STEPS
"""Most steps of all checks of one reply. A reply to a pack holds many values, and maybe several for one row."""


class TooManyStepsError(Exception):
    """A check that takes too long."""


class Steps:
    """The steps that are left of a check, or of all checks of one reply."""

    def __init__(self, left: int = MOST_STEPS_OF_A_REPLY) -> None:
        self.left = left

    def take(self, number: int = 1) -> None:
        """Takes some steps. Raises TooManyStepsError if none is left."""
        self.left -= number
        if self.left < 0:
            raise TooManyStepsError
