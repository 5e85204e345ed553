"""How a parcel is written as a request, and how many rows each model is given. What it knows it has from attempts."""

from __future__ import annotations

import random
from dataclasses import dataclass

from batchfree import answers, packing
from batchfree.answers import AnswerRule
from batchfree.attempts import Attempt
from batchfree.chat import FREE_ROUTER, ChatRequest
from batchfree.packing import Sizes, sizes
from batchfree.parcels import Parcel, Task
from batchfree.router import Plan

SEEDS = 1 << 32
"""The codes of a pack come from a seed below this; the journal keeps it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A request as it goes out for a parcel; `codes` name the rows of a pack and come from `seed`."""

    request: ChatRequest
    codes: tuple[str, ...] = ()
    seed: int | None = None


class Packs:
    """The packs of one run."""

    def __init__(self, rule: AnswerRule, first: Sizes, rng: random.Random) -> None:
        self._rule, self._sizes, self._rng = rule, first, rng

    @property
    def size(self) -> int:
        """The rows that the best model is given."""
        return max((known.size for known in self._sizes.known.values()), default=self._sizes.start)

    def company(self, task: Task) -> str | None:
        """Which tasks may share a request: those with the same key; None travels alone."""
        request = task.question.request
        if self._sizes.cap == 1 or packing.obstacle(request, self._rule):
            return None
        return packing.company(request)

    def learn(self, attempt: Attempt) -> None:
        """Takes in the reply to a pack."""
        if len(attempt.outcomes) < 2 or attempt.kind is not None:
            return
        rows, answered = len(attempt.outcomes), sum(outcome.kind is None for outcome in attempt.outcomes)
        names = {attempt.named, *((FREE_ROUTER,) if attempt.route == FREE_ROUTER else ())}
        for name in names:
            self._sizes = self._sizes.after(name, rows=rows, answered=answered)

    def fitting(self, parcel: Parcel, plan: Plan) -> tuple[Parcel, Parcel]:
        """The part of a parcel that these models are given, and the rest of it."""
        if len(parcel) == 1:
            return parcel, ()
        weights = [sizes.weight(task.question.request) for task in parcel]
        shared = sum(sizes.tokens(str(message)) for message in parcel[0].question.request.messages[:-1])
        fits = sizes.fitting(weights, shared=shared, room=sizes.room(plan.contexts))
        count = max(1, min(fits, self._sizes.of(plan.draw.models)))
        return parcel[:count], parcel[count:]

    def write(self, parcel: Parcel, *, native: bool) -> Written:
        """The request for a parcel."""
        if len(parcel) == 1:
            task = parcel[0]
            request = answers.compose(task.question.request, self._rule, native=native, complaint=task.complaint)
            return Written(request=request)
        seed = self._rng.randrange(SEEDS)
        codes = packing.draw_codes(len(parcel), random.Random(seed))
        requests = [task.question.request for task in parcel]
        return Written(request=packing.compose(requests, codes, self._rule, native=native), codes=codes, seed=seed)
