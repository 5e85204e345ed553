"""What each kind of failure means for the row, the account and the run."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from batchfree.core.chat import Kind


class Consequence(StrEnum):
    """What happens after a failure."""

    REJECT = "reject"
    """The row fails at once. If its context is too small, a larger eligible model is asked first."""
    ANOTHER_ANSWER = "another_answer"
    """Another model is asked. The row fails after `retry.max_attempts` such answers, counted over all runs."""
    ANOTHER_MODEL = "another_model"
    """Another model is asked. The row stays pending after `retry.max_attempts` such attempts in this run."""
    ACCOUNT = "account"
    """A limit of the account is reached: every worker waits for the reset, or the run stops."""
    PERSON = "person"
    """Only a person can solve it. The run stops once the requests in flight are recorded."""


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
