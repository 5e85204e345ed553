"""What each kind of failure leads to."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from batchfree.core.chat import Kind


class Consequence(StrEnum):
    """What a failure leads to."""

    REJECT = "reject"
    """The row fails at once (a context that is too small: unless an eligible model has a larger one)."""
    ANOTHER_ANSWER = "another_answer"
    """Another model; the row fails when `retry.max_attempts` such answers have come, over all runs."""
    ANOTHER_MODEL = "another_model"
    """Another model; the row stays pending when `retry.max_attempts` such attempts were made in this run."""
    ACCOUNT = "account"
    """Nobody's failure: everyone waits for the reset, or the run stops."""
    PERSON = "person"
    """The run stops after the requests in flight: only a person can mend it."""


CONSEQUENCES: Mapping[Kind, Consequence] = MappingProxyType(
    {
        Kind.RENDER: Consequence.REJECT,
        Kind.INVALID_REQUEST: Consequence.REJECT,
        Kind.CONTEXT_LENGTH: Consequence.REJECT,
        Kind.TIED: Consequence.REJECT,
        Kind.BAD_ANSWER: Consequence.ANOTHER_ANSWER,
        Kind.EMPTY: Consequence.ANOTHER_ANSWER,
        Kind.TRUNCATED: Consequence.ANOTHER_ANSWER,
        Kind.NOT_CHAT: Consequence.ANOTHER_ANSWER,
        Kind.REFUSED: Consequence.ANOTHER_ANSWER,
        Kind.CONTENT_POLICY: Consequence.ANOTHER_ANSWER,
        Kind.MODEL_UNAVAILABLE: Consequence.ANOTHER_MODEL,
        Kind.UPSTREAM_RATE_LIMIT: Consequence.ANOTHER_MODEL,
        Kind.UPSTREAM_ERROR: Consequence.ANOTHER_MODEL,
        Kind.TIMEOUT: Consequence.ANOTHER_MODEL,
        Kind.CONNECTION: Consequence.ANOTHER_MODEL,
        Kind.BAD_RESPONSE: Consequence.ANOTHER_MODEL,
        Kind.MINUTE_LIMIT: Consequence.ACCOUNT,
        Kind.DAY_LIMIT: Consequence.ACCOUNT,
        Kind.KEY_REFUSED: Consequence.PERSON,
        Kind.CREDITS_OWED: Consequence.PERSON,
        Kind.PRIVACY_SETTING: Consequence.PERSON,
    }
)
