"""One request and what it brought to each of its rows; and the state of a question, folded from its attempts.

`Attempt` and `Outcome` are msgspec structs because each is a line, or a part of a line, of the journal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from batchfree.core.chat import Json, JsonObject, Kind
from batchfree.core.consequences import CONSEQUENCES, Consequence
from batchfree.core.routes import FREE_ROUTER
from batchfree.journal.pack_statistics import Fate, PackRecord

MISSING = "the reply to a pack has nothing for this row"
"""The error of such a row, by which it is told from one whose answer does not fit."""


UNCOUNTED = frozenset(
    kind for kind, consequence in CONSEQUENCES.items() if consequence in (Consequence.ACCOUNT, Consequence.PERSON)
)
"""Failures by a limit of the account, or for a person's sake: they concern no row."""


class Status(StrEnum):
    """Where a row stands."""

    OK = "ok"
    FAILED = "failed"
    PENDING = "pending"


DIGEST = r"^[0-9a-f]{32}\Z"
"""What the name of a question looks like; in a damaged line it may not."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt brought to one row: an answer, or the kind of its failure.

    `row` counts from zero; `final` says that this failure finished the row. Equal rows share a question, so `row` and
    `id` are those of the first that asked it.
    """

    question: Annotated[str, msgspec.Meta(pattern=DIGEST)]
    row: int
    id: str | None = None
    answer: Json = None
    kind: Kind | None = None
    error: str | None = None
    repaired: bool = False
    final: bool = False


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One request to the service, with everything worth knowing of it.

    `models` is what was asked for by name, `model` who answered; `kind` is set where the request as a whole failed.
    Without `models` nothing was sent: the row was found to be too long for every model.
    Tokens are those of the whole request, `latency_s` seconds, `cost` USD. The codes of a pack come from `pack_seed`;
    `unknown` counts the codes of its reply that were no row's.
    """

    at: datetime
    route: str
    models: tuple[str, ...]
    model: str | None = None
    provider: str | None = None
    request_id: str | None = None
    status: int | None = None
    finish_reason: str | None = None
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
    outcomes: tuple[Outcome, ...]

    @property
    def counts(self) -> bool:
        """Whether it counts as spent on its rows: refusals by a limit of the account, or for a person's sake, don't."""
        return bool(self.models) and self.kind not in UNCOUNTED

    @property
    def answered(self) -> int:
        """The rows that it brought an answer."""
        return sum(outcome.kind is None for outcome in self.outcomes)

    @property
    def named(self) -> str:
        """The model that answered or failed; the route where none was named."""
        return self.model or (self.models[0] if len(self.models) == 1 else self.route)

    @property
    def reached(self) -> frozenset[str]:
        """The models that the request has reached, or may have, as far as is known: by name, for what came of it, or in
        the service's own account of its routing."""
        told = (self.router or {}).get("attempts")
        names = [each.get("model") for each in told if isinstance(each, dict)] if isinstance(told, list) else []
        asked = self.models[: self.models.index(self.model) + 1] if self.model in self.models else self.models
        return frozenset(name for name in (*asked, *names, self.model) if isinstance(name, str) and name != FREE_ROUTER)


def next_status(status: Status, outcome: Outcome) -> Status:
    """The status of a question after one more outcome. An answer stays; a failed one opens again when asked again."""
    if outcome.kind is None or status is Status.OK:
        return Status.OK
    if outcome.final:
        return Status.FAILED
    return status if outcome.kind in UNCOUNTED else Status.PENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A question's state: a fold over its attempts.

    `tried` is shown, `reached` is every model that has seen the question. `wrong_answers` counts the answers that did
    not do since the question was last opened; `pack_failures` how often it was left out of a whole reply to a pack
    that brought most of the others theirs. `misfit` is the last bad answer that it got alone, `wrong_since` counts
    the wrong ones from the first bad one on, all those in packs as one.
    """

    status: Status = Status.PENDING
    attempts: int = 0
    tried: tuple[str, ...] = ()
    reached: frozenset[str] = frozenset()
    wrong_answers: int = 0
    pack_failures: int = 0
    misfit: Attempt | None = None
    wrong_since: int = 0
    shown: Attempt | None = None
    """The answering attempt; where there is none, the last that counted."""
    outcome: Outcome | None = None
    """This question's part of `shown`."""

    def after(self, attempt: Attempt, outcome: Outcome) -> State:
        """The state after one more attempt that carried this question."""
        if attempt.kind in UNCOUNTED:
            return self
        reopened = self.status is Status.FAILED
        wrong = outcome.kind is not None and CONSEQUENCES[outcome.kind] is Consequence.ANOTHER_ANSWER
        packed = wrong and outcome.kind is not Kind.TRUNCATED and 2 * attempt.answered >= len(attempt.outcomes)
        alone, bad = len(attempt.outcomes) == 1, outcome.kind is Kind.BAD_ANSWER
        since = 0 if reopened else self.wrong_since
        since = since + (bad or (wrong and since > 0)) if alone else max(since, int(bad))
        shows = outcome.kind is None or self.status is not Status.OK
        return replace(
            self,
            status=next_status(self.status, outcome),
            attempts=self.attempts + attempt.counts,
            tried=(*self.tried, attempt.named) if attempt.counts else self.tried,
            reached=self.reached | attempt.reached,
            wrong_answers=(0 if reopened else self.wrong_answers) + wrong,
            pack_failures=(0 if reopened else self.pack_failures) + packed,
            misfit=attempt if bad and alone else self.misfit,
            wrong_since=since,
            shown=attempt if shows else self.shown,
            outcome=outcome if shows else self.outcome,
        )


def fold(question: str, attempts: Iterable[Attempt]) -> State:
    """The state of a question after these attempts, in the order they were made."""
    state = State()
    for attempt in attempts:
        for outcome in attempt.outcomes:
            if outcome.question == question:
                state = state.after(attempt, outcome)
    return state


def pack_record(attempt: Attempt, labels: Collection[str]) -> PackRecord | None:
    """A reply to a pack, as it is measured; None for everything else. `labels` are the job's, if it has any."""
    if len(attempt.outcomes) < 2 or attempt.kind not in (None, Kind.TRUNCATED):
        return None
    given = tuple(each.answer if labels and each.answer in labels else None for each in attempt.outcomes)
    fates = tuple(map(_fate, attempt.outcomes))
    return PackRecord(model=attempt.named, fates=fates, labels=given if labels else (), unknown=attempt.unknown)


def _fate(outcome: Outcome) -> Fate:
    if outcome.kind is None:
        return Fate.ANSWERED
    if outcome.kind is Kind.TRUNCATED:
        return Fate.CUT_OFF
    return Fate.MISSING if outcome.error == MISSING else Fate.INVALID
