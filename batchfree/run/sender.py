"""One request on behalf of a parcel: drawn, started, sent, judged, recorded.

No `await` stands between having an answer and having it in the journal.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio

from batchfree import answers
from batchfree.answers import AnswerRule
from batchfree.core.chat import Failure, JsonObject, Judged, Kind
from batchfree.core.consequences import CONSEQUENCES, Consequence
from batchfree.core.errors import StorageError
from batchfree.core.routes import LOCAL
from batchfree.core.stops import Stopped, StopReason
from batchfree.journal.file import Journal, JournalLine
from batchfree.run.follow_up import Next, Patience, Reply, attempt_of, follow, outcomes, read
from batchfree.run.packer import Packs, Written
from batchfree.run.tasks import Parcel, Task, halves
from batchfree.service import routing
from batchfree.service.openrouter import wire
from batchfree.service.quota.ledger import Start
from batchfree.service.quota.rate_limiter import RateLimiter
from batchfree.service.router import Ask, Plan, Router, needs_of
from batchfree.service.routing import Draw, Nothing, Requirements, Rest

LEAST_WAIT = 0.05
"""Seconds to wait at least where somebody must be waited for: clocks are rounded."""
FULL = Stopped(reason=StopReason.DISK, message="the disk of the run folder is full or gone; make room, then run again")
PERSONS = {
    Kind.KEY_REFUSED: StopReason.KEY_REFUSED,
    Kind.CREDITS_OWED: StopReason.CREDITS_OWED,
    Kind.PRIVACY_SETTING: StopReason.PRIVACY_SETTING,
}

Complete = Callable[[JsonObject], Awaitable[Judged]]
"""Sends one request body; never raises for what the service or the network does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """What came of one attempt: where the rows go, how long to wait before `keep` is tried again (None: the backoff
    of a failure that time may mend), and whether the run is to stop."""

    then: Next
    wait: float | None = 0.0
    stopped: Stopped | None = None


class Sender:
    """Everything that one request needs, for all workers of a run."""

    def __init__(
        self,
        *,
        rule: AnswerRule,
        patience: Patience,
        packs: Packs,
        router: Router,
        rate_limiter: RateLimiter,
        complete: Complete,
        journal: Journal,
        recorded: Callable[[JournalLine], None],
        stopping: anyio.Event,
        clock: Callable[[], float],
        rng: random.Random,
        seed: int | None,
        any_model: bool,
    ) -> None:
        """`recorded` hears of every line of the journal; once `stopping` is set no request is
        started. `seed` makes the draws repeatable; `any_model`: the endpoint is one's own."""
        self._rule, self._patience, self._packs, self._clock = rule, patience, packs, clock
        self._rng, self._seed, self._any_model = rng, seed, any_model
        self._router, self._rate_limiter, self._complete = router, rate_limiter, complete
        self._journal, self._recorded, self._stopping = journal, recorded, stopping
        self._reasons: dict[Requirements, Stopped] = {}

    async def send(self, parcel: Parcel, spare: Callable[[Parcel], None]) -> Came:
        """One attempt; `spare` is given at once the rows that do not travel along. A cancellation before the request
        is out leaves nothing behind, after that an unused start."""
        await self._router.refresh()
        needs = self._needs(parcel[0])
        parcel = self._in_company(parcel, needs, spare)
        ask = self._ask(parcel, needs)
        hindrance = self._hindrance(self._router.plan(ask), needs, parcel)
        if hindrance is not None:
            return hindrance
        start = await self._rate_limiter.acquire(self._stopping)
        if not isinstance(start, Start):
            return Came(then=Next(), stopped=start)
        plan = self._router.plan(ask)
        if not isinstance(plan, Plan) or not self._journal.has_room():
            self._rate_limiter.give_back(start)
            return Came(then=Next(keep=parcel), stopped=None if self._journal.has_room() else FULL)
        parcel, rest = self._packs.fitting(parcel, plan)
        spare(rest)
        written = self._packs.write(parcel, native=plan.native, rng=self._rng_of(ask))
        self._router.claim(plan.draw)
        began = self._clock()
        judged = await self._complete(wire.body(written.request, plan.draw.models, any_model=self._any_model))
        return self._settle(parcel, plan, written, judged, start, self._clock() - began)

    def _hindrance(self, plan: Plan | Rest | Nothing, needs: Requirements, parcel: Parcel) -> Came | None:
        """Why nothing can be sent now, before a start is spent on it."""
        if isinstance(plan, Nothing) and self._router.is_too_long(needs):
            return self._reject(parcel)
        if isinstance(plan, Nothing):
            return self._unmet(plan, needs)
        if self._router.are_gone(needs):
            message = "the models that router.route names are not there, or not for this account"
            return Came(then=Next(), stopped=Stopped(reason=StopReason.NO_MODEL, message=message))
        if self._router.is_down(needs):
            message = "the free models are down: all rest, or none has answered for a long while; run again later"
            return Came(then=Next(), stopped=Stopped(reason=StopReason.POOL_DOWN, message=message))
        if isinstance(plan, Rest):
            return Came(then=Next(keep=parcel), wait=max(LEAST_WAIT, plan.until - self._clock()))
        return None

    def _unmet(self, plan: Nothing, needs: Requirements) -> Came:
        """No model can do what is asked; the reasons are gathered once for all requests with the same needs."""
        shape = routing.without_lengths(needs)
        if shape not in self._reasons:
            able = self._router.eligible(needs)
            why = plan.reason if able else f"{plan.reason}: {self._router.why_none(needs)}"
            self._reasons[shape] = Stopped(reason=StopReason.NO_MODEL, message=why)
        return Came(then=Next(), stopped=self._reasons[shape])

    def _needs(self, task: Task) -> Requirements:
        return needs_of(
            task.question.request, native_only=self._rule.mode == "native", context_above=task.context_above
        )

    def _in_company(self, parcel: Parcel, needs: Requirements, spare: Callable[[Parcel], None]) -> Parcel:
        """The rows of a pack for which one model is left that none of them has met."""
        together, rest, met = list[Task](), list[Task](), frozenset[str]()
        for task in parcel:
            all_met = met | _met(task)
            if not together or all_met == met or self._router.leaves_one(needs, all_met):
                together.append(task)
                met = all_met
            else:
                rest.append(task)
        spare(tuple(rest))
        return tuple(together)

    def _ask(self, parcel: Parcel, needs: Requirements) -> Ask:
        """What is to be drawn. With `router.seed` the draws of a row depend on the row and its attempts alone, whoever
        comes first."""
        first = parcel[0]
        repeatable = f"{self._seed}/{first.question.digest}/{first.state.attempts}"
        return Ask(
            needs=needs,
            tried=frozenset().union(*map(_met, parcel)),
            first=all(task.attempts == 0 for task in parcel),
            native=answers.wants_native(self._rule, packed=len(parcel) > 1),
            native_only=self._rule.mode == "native",
            rows=len(parcel),
            most=self._packs.most,
            seed=None if self._seed is None else repeatable,
        )

    def _rng_of(self, ask: Ask) -> random.Random:
        return self._rng if ask.seed is None else random.Random(f"codes {ask.seed}")

    def _reject(self, parcel: Parcel) -> Came:
        """Fails a row that is too long for every model, without a request; a pack is taken apart first."""
        if len(parcel) > 1:
            return Came(then=Next(again=halves(parcel)))
        failure = Failure(kind=Kind.CONTEXT_LENGTH, message="the prompt is longer than the context of every free model")
        reply = Reply(judged=failure, results=(failure,))
        over = outcomes(reply, parcel, self._patience, larger_left=False)
        attempt = attempt_of(reply, over, draw=Draw(route=LOCAL, models=()), at=self._now())
        self._recorded(self._journal.append(attempt))
        return Came(then=Next())

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _settle(
        self, parcel: Parcel, plan: Plan, written: Written, judged: Judged, start: Start, latency: float
    ) -> Came:
        """Records the attempt and draws the conclusions. Synchronous from end to end."""
        reply = read(judged, parcel, written.codes, self._rule)
        larger_left = self._larger_left(parcel, plan, judged)
        attempt = attempt_of(
            reply,
            outcomes(reply, parcel, self._patience, larger_left=larger_left),
            draw=plan.draw,
            at=self._now(),
            latency=latency,
            pack_seed=written.seed,
        )
        try:
            self._recorded(self._journal.append(attempt))
        except StorageError as error:
            return Came(then=Next(), stopped=Stopped(reason=StopReason.DISK, message=str(error)))
        self._router.learn(plan.draw, judged, attempt)
        self._packs.learn(attempt)
        if isinstance(judged, Failure) and CONSEQUENCES[judged.kind] is Consequence.ACCOUNT:
            self._rate_limiter.record_refusal(judged, start)
        then = follow(parcel, attempt, reply, self._patience)
        if attempt.kind is Kind.CONTEXT_LENGTH and isinstance(judged, Failure):
            then = then.with_context_above(self._router.context_of(judged, plan.draw.models))
        transient = attempt.kind is not None and CONSEQUENCES[attempt.kind] is Consequence.ANOTHER_MODEL
        return Came(then=then, wait=None if transient else 0.0, stopped=_stop(judged))

    def _larger_left(self, parcel: Parcel, plan: Plan, judged: Judged) -> bool:
        """Whether an eligible model has more context than the one that found the request too long."""
        if not isinstance(judged, Failure) or judged.kind is not Kind.CONTEXT_LENGTH:
            return False
        return self._router.larger_left(self._needs(parcel[0]), judged, plan.draw.models)


def _met(task: Task) -> frozenset[str]:
    """The models that a task has been to."""
    return task.state.models_reached | set(task.state.models_tried)


def _stop(judged: Judged) -> Stopped | None:
    """Whether a response ends the run: it was charged, or only a person can mend what it says."""
    if judged.usage.cost > 0:
        message = f"{judged.model or 'a model'} charged {judged.usage.cost:g} USD; its answer is kept, the run stops"
        return Stopped(reason=StopReason.CHARGED, message=message)
    if isinstance(judged, Failure) and judged.kind in PERSONS:
        return Stopped(reason=PERSONS[judged.kind], message=judged.message)
    return None
