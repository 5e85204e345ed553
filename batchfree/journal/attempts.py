"""Attempts as the journal stores them.

`Attempt` and `Outcome` are msgspec structs because the journal encodes and decodes millions of them.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec.structs import replace

from batchfree.core.chat import Json, JsonObject, Kind
from batchfree.core.consequences import CONSEQUENCES, Consequence
from batchfree.core.routes import FREE_ROUTER

MISSING = "the reply to a pack has nothing for this row"
"""The error of a row that the reply left out. A row with an invalid answer has another error."""

UNCOUNTED = frozenset(
    kind for kind, consequence in CONSEQUENCES.items() if consequence in (Consequence.ACCOUNT, Consequence.PERSON)
)
"""Failures of the account (a limit, or something only a person can fix). They never count against a row."""


class Status(StrEnum):
    """The status of a row, as shown in the output table."""

    OK = "ok"
    FAILED = "failed"
    PENDING = "pending"


SHORT_REPLY = 1_000
"""Characters up to which a reply stays with an attempt that is kept in memory."""
DIGEST_DIGITS = 32
HEX_DIGITS = "0123456789abcdef"


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The result of one attempt for one question: an answer, or the kind of failure.

    Equal rows share a question; `row` (counted from zero) and `id` are those of the first such row. `final` means
    that this failure finished the row for good.
    """

    question: Annotated[str, msgspec.Meta(min_length=DIGEST_DIGITS, max_length=DIGEST_DIGITS)]
    row: int
    id: str | None = None
    answer: Json = None
    kind: Kind | None = None
    error: str | None = None
    repaired: bool = False
    final: bool = False


def is_digest(question: str) -> bool:
    """Whether a text of the right length is the digest of a question. A damaged journal line may hold another text.

    A pattern in the type of `Outcome.question` would double the time of reading a line.
    """
    return not question.strip(HEX_DIGITS)


class RankedPilotModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model's result in the pilot: `right` of its `votes`, measured by expected values or estimated without."""

    model: str
    right: float
    votes: int
    measured: bool


class PilotDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What a pilot decided: the models that stay, and the ranking of all, the best first."""

    kept: tuple[str, ...]
    ranking: tuple[RankedPilotModel, ...]

    @property
    def left_out(self) -> tuple[str, ...]:
        """The models that were not kept, the best first."""
        return tuple(each.model for each in self.ranking if each.model not in self.kept)

    @property
    def is_measured(self) -> bool:
        """Whether the models were ranked by expected values, and not by an estimate."""
        return any(each.measured for each in self.ranking)


class Attempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request to the service and its result; one line of the journal.

    `models` are the model ids in the request, `model` is the one that answered. Empty `models` means that nothing was
    sent because the row is too long for every model. `kind` is set if the request failed as a whole.
    Tokens and `cost` (USD) are those of the whole request; `latency_s` is in seconds. `pack_seed` seeds the codes of a
    pack; `unknown` counts codes in the reply that belong to no row.
    `native_finish_reason` is the provider's own word, if it differs from `finish_reason`.
    `permanent`: the model is gone for today. `unsupported`: the request parameter that the model refused.
    """

    at: datetime
    route: str
    models: tuple[str, ...]
    model: str | None = None
    provider: str | None = None
    request_id: str | None = None
    status: int | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    kind: Kind | None = None
    error: str | None = None
    permanent: bool = False
    unsupported: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float = 0.0
    latency_s: float = 0.0
    content: str | None = None
    router: JsonObject | None = None
    pack_seed: int | None = None
    unknown: int = 0
    pilot: PilotDecision | None = None
    """Set on a line that records the decision of a pilot; such a line has no outcomes."""
    rehearsal: str | None = None
    """The base URL, or `embedded`, if the emulation of OpenRouter was asked; None for a real service."""
    pack_check: bool = False
    """The row has its answer from a pack and was asked alone to compare. Such an attempt is neither a vote nor an
    answer, and does not change the state of the question."""
    outcomes: tuple[Outcome, ...]

    @property
    def is_counted(self) -> bool:
        """Whether the attempt counts against its rows. Failures of the account (`UNCOUNTED`) do not."""
        return bool(self.models) and self.kind not in UNCOUNTED

    @property
    def answered(self) -> int:
        """Number of rows that got an answer."""
        return [outcome.kind for outcome in self.outcomes].count(None)

    @property
    def main_failure(self) -> Kind | None:
        """Why the request brought no answer: its own failure, or the failure of its first row; None if it did."""
        if self.kind is not None:
            return self.kind
        first = self.outcomes[0].kind if self.outcomes else None
        return None if first is None or self.answered else first

    @property
    def model_or_route(self) -> str:
        """The model that answered or failed; the route if no single model is known."""
        return self.model or (self.models[0] if len(self.models) == 1 else self.route)

    @property
    def models_reached(self) -> frozenset[str]:
        """The models that may have received the request.

        These are the requested models up to the one that answered, and the models in the routing metadata of the reply.
        """
        reached = _models_asked(self.model, self.models)
        return reached.union(_models_routed(self.router)) - {FREE_ROUTER} if self.router else reached


def without_long_texts(attempt: Attempt) -> Attempt:
    """The attempt without its reply and answers if the reply is long. For attempts that stay in memory."""
    if attempt.content is None or len(attempt.content) <= SHORT_REPLY:
        return attempt
    outcomes = tuple(replace(outcome, answer=None) for outcome in attempt.outcomes)
    return replace(attempt, content=None, outcomes=outcomes)


@lru_cache(maxsize=1024)
def _models_asked(model: str | None, models: tuple[str, ...]) -> frozenset[str]:
    """The requested models up to `model`, which answered. The same few models are named in most attempts."""
    asked = models[: models.index(model) + 1] if model in models else models
    return frozenset({*asked, *([] if model is None else [model])} - {FREE_ROUTER})


def _models_routed(router: JsonObject) -> list[str]:
    """The models in the routing metadata of a reply."""
    routed = router.get("attempts")
    names = [each.get("model") for each in routed if isinstance(each, dict)] if isinstance(routed, list) else []
    return [name for name in names if isinstance(name, str)]
