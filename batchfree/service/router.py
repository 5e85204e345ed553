"""batchfree's own free router at work: the catalogue, the health of the models, and the decisions of one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

import msgspec

from batchfree.core.chat import Completion, Failure, Judged
from batchfree.core.consequences import CONSEQUENCES, Consequence
from batchfree.core.errors import UnavailableError
from batchfree.core.routes import LOCAL
from batchfree.journal.attempts import Attempt
from batchfree.service import routing
from batchfree.service.own_endpoint import is_certain
from batchfree.service.routing import (
    ContextTooSmall,
    Criteria,
    Decision,
    Draw,
    Health,
    Model,
    ModelPool,
    PilotRating,
    Requirements,
    RoutedRow,
    RoutingPolicy,
    Situation,
)
from batchfree.service.routing.outage import BARREN, OWN_BARREN

RowT = TypeVar("RowT", bound=RoutedRow)


class Catalogue(Protocol):
    """The models on offer. Both methods raise UnavailableError if the service is down and no copy was kept."""

    async def models(self) -> Sequence[Model]: ...

    async def refresh(self) -> Sequence[Model]: ...


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """The results of the rows of a reply: `flaw` is the failure of most rows, `answered` that one got its answer.

    `question` is the digest of the first question.
    """

    flaw: Failure | None = None
    answered: bool = True
    question: str | None = None


class Router:
    """Decides for one run, and learns from the responses."""

    def __init__(
        self,
        policy: RoutingPolicy,
        catalogue: Catalogue,
        clock: Callable[[], float],
        resting: Callable[[str, float], None] = lambda model, until: None,
        health: dict[str, Health] | None = None,
    ) -> None:
        """`clock` gives epoch seconds. `health` is shared by routers that learn from each other.

        `resting` is called with a model that rests, and the end of its rest.
        """
        self.policy, self._catalogue, self._clock, self._resting = policy, catalogue, clock, resting
        self._offered: Sequence[Model] | None = None
        self._pool = ModelPool(None, policy)
        self._health = {} if health is None else health
        self._barren = 0
        self._barren_since: float | None = None
        self._last_failure = ""
        self._model_is_gone = False
        self.changes = 0
        """Grows with everything that may change a decision, except the time."""

    async def refresh(self) -> None:
        """Takes over a changed catalogue. The catalogue itself limits how often it asks the service.

        Raises UnavailableError if every draw is made here and no model is known.
        """
        offered: Sequence[Model] | None
        try:
            offered = await (self._catalogue.refresh() if self._model_is_gone else self._catalogue.models())
        except UnavailableError:
            if self.policy.route == (LOCAL,):
                raise
            offered = () if self.policy.any_model else None
        self._model_is_gone = False
        if offered is not self._offered:
            self._offered, self._pool = offered, ModelPool(offered, self.policy)
            self.changes += 1

    def keep(self, models: Mapping[str, PilotRating]) -> None:
        """From now on draws only these models, the better ones more often; all models if none of these is on offer."""
        on_offer = {model.id for model in self._offered or ()}
        self.policy = replace(self.policy, kept=models if on_offer & models.keys() else None)
        self._pool = ModelPool(self._offered, self.policy)

    def eligible(self, needs: Requirements) -> int:
        """The number of models that may answer; 0 without a catalogue."""
        situation = self._situation()
        return len(situation.pool.eligible(needs, situation.today) or ())

    def decide(self, rows: Sequence[RowT], criteria: Criteria) -> Decision[RowT]:
        """What to do now with rows that may share a request."""
        return routing.decide(rows, criteria, self._situation(), self.policy)

    def claim(self, draw: Draw) -> None:
        """Notes that a request to the draw is being sent. A model on trial gets one request at a time."""
        claimed = routing.claim(draw, self._health, self._clock())
        if claimed:
            self._health.update(claimed)
            self.changes += 1

    def allow_trial(self) -> None:
        """Allows one more request after the pool was given up. If it fails, the pool is given up again."""
        most = (OWN_BARREN if self.policy.own_models else BARREN) - 1
        self._barren = min(self._barren, most)

    def release(self, draw: Draw) -> None:
        """Takes a claim back. The request did not reach the service, so nothing is learned from it."""
        self._health.update(routing.release(draw, self._health))
        self.changes += 1

    def learn(self, draw: Draw, judged: Judged, lesson: Lesson) -> None:
        """Learns from a response, and from its lesson about the rows."""
        for model, until in self._learn(draw, judged, lesson, self._clock()).items():
            self._resting(model, until)
        if isinstance(judged, Failure) and judged.permanent:
            self._model_is_gone = True

    def remember(self, attempt: Attempt) -> None:
        """Learns the health of models from an attempt of an earlier run."""
        draw = Draw(route=attempt.route, models=attempt.models, of=len(self.policy.ids or ()) or None)
        if attempt.kind is None:
            judged: Judged = Completion(model=attempt.model, content=attempt.content or "")
        else:
            judged = Failure(
                kind=attempt.kind,
                message="",
                model=attempt.model,
                permanent=attempt.permanent and not draw.is_own,  # the user may have put the model there meanwhile
                unsupported=attempt.unsupported if is_certain(attempt.unsupported, attempt.error or "") else None,
                content=attempt.content or "",
            )
        self._learn(draw, judged, lesson_of(attempt), attempt.at.timestamp())
        self._barren, self._barren_since, self._last_failure = 0, None, ""

    def context_too_small(self, failure: Failure, draw: Draw, needs: Requirements) -> ContextTooSmall:
        """Where a row may go that a model found too long."""
        return routing.context_too_small(failure, draw, needs, self._situation())

    def _situation(self) -> Situation:
        return Situation(
            pool=self._pool,
            health=self._health,
            now=self._clock(),
            barren=self._barren,
            barren_since=self._barren_since,
            last_failure=self._last_failure,
        )

    def _learn(self, draw: Draw, judged: Judged, lesson: Lesson, now: float) -> Mapping[str, float]:
        """Returns the models that are to rest from now on, each with the end of its rest."""
        if not self._barren and lesson.flaw is None and routing.is_routine(draw, judged, self._health):
            return {}
        learned = routing.learn(draw, judged, self._health, now, answer=lesson.flaw, question=lesson.question)
        barren = self._barren
        self._count_barren(draw, judged, lesson, now)
        self.changes += bool(learned) or self._barren != barren
        if not learned:
            return {}
        rests = {
            model: health.rests_until
            for model, health in learned.items()
            if health.rests_until > max(now, self._health.get(model, Health()).rests_until)
        }
        self._health.update(learned)
        return rests

    def _count_barren(self, draw: Draw, judged: Judged, lesson: Lesson, now: float) -> None:
        """Counts the requests in a row that brought no answer."""
        if not draw.models or _is_nobodys_failure(judged):
            return
        failure = judged if isinstance(judged, Failure) else lesson.flaw
        if lesson.answered or failure is None or (self.policy.own_models and not _is_transient(failure)):
            self._barren, self._barren_since, self._last_failure = 0, None, ""
            return
        self._barren, self._last_failure = self._barren + 1, failure.message
        self._barren_since = now if self._barren_since is None else self._barren_since


def _is_nobodys_failure(judged: Judged) -> bool:
    """Whether a limit of the account, or something for a person, kept the request from every model."""
    return isinstance(judged, Failure) and CONSEQUENCES[judged.kind] in (Consequence.ACCOUNT, Consequence.PERSON)


def _is_transient(failure: Failure) -> bool:
    return CONSEQUENCES[failure.kind] is Consequence.ANOTHER_MODEL


def lesson_of(attempt: Attempt) -> Lesson:
    """The lesson of a recorded attempt: a reply counts as bad when most of its rows got no answer."""
    failures = [outcome for outcome in attempt.outcomes if outcome.kind is not None]
    flaw = None
    if failures and 2 * len(failures) > len(attempt.outcomes) and failures[0].kind is not None:
        flaw = Failure(kind=failures[0].kind, message=failures[0].error or "", model=attempt.model)
    question = attempt.outcomes[0].question if attempt.outcomes else None
    return Lesson(flaw=flaw, answered=len(failures) < len(attempt.outcomes), question=question)
