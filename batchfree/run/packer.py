"""How a parcel is written as a request, and how many rows each model is given. What it knows it has from attempts."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from batchfree import answers
from batchfree.answers import AnswerRule
from batchfree.answers import packs as packing
from batchfree.core.chat import ChatRequest, Kind
from batchfree.core.routes import FREE_ROUTER
from batchfree.journal.attempts import Attempt
from batchfree.run.follow_up import Patience, complaint
from batchfree.run.tasks import Parcel, Task
from batchfree.service.router import Plan

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

    def __init__(
        self, rule: AnswerRule, patience: Patience, rows: int | Literal["auto"], warn: Callable[[str], None]
    ) -> None:
        """`rows`: how many the job wants to travel together. `warn` hears when they are too many and, once for each
        reason, why some travel alone."""
        self._rule, self._patience, self._warn = rule, patience, warn
        self._sizes = packing.first_sizes(rows)
        self._obstacles = set[str]()
        if self._sizes.cap > packing.WISE_SIZE:
            warn(f"pack: {self._sizes.cap} rows in one request; above {packing.WISE_SIZE} answers get worse")

    @property
    def size(self) -> int:
        """The rows that the best model is given."""
        return max((known.size for known in self._sizes.known.values()), default=self._sizes.start)

    def company(self, task: Task) -> str | None:
        """Which tasks may share a request: those with the same key; None travels alone."""
        if self._sizes.cap == 1:
            return None
        request = task.question.request
        key = packing.company_key(request, self._rule)
        if isinstance(key, str):
            return key
        if key.reason not in self._obstacles:
            self._obstacles.add(key.reason)
            self._warn(f"row {task.question.id or task.question.row} can't travel in a pack and is asked alone, "
                       f"as all its like: {key.reason}")  # fmt: skip
        return None

    def learn(self, attempt: Attempt) -> None:
        """Takes in a reply, also one that thinking left no room for."""
        if attempt.kind not in (None, Kind.TRUNCATED):
            return
        cut_off = any(outcome.kind is Kind.TRUNCATED for outcome in attempt.outcomes)
        self._sizes = self._sizes.after(
            attempt.model_or_route, rows=len(attempt.outcomes), answered=attempt.answered, cut_off=cut_off
        )

    def most(self, model: str) -> int:
        """The rows that a model is given."""
        return self._sizes.of(model)

    def fitting(self, parcel: Parcel, plan: Plan) -> tuple[Parcel, Parcel]:
        """The part of a parcel that these models are given, and the rest of it. Of a draw that the service makes, half
        of the models take so many rows."""
        if len(parcel) == 1:
            return parcel, ()
        fits = packing.rows_that_fit(
            [task.question.request for task in parcel],
            contexts=(model.context_length for model in plan.models),
            outputs=(model.max_completion_tokens for model in plan.models),
        )
        sizes = sorted(self.most(model.id) for model in plan.models) or [self._sizes.start]
        proved = sizes[len(sizes) // 2] if plan.draw.models == (FREE_ROUTER,) else sizes[0]
        count = max(1, min(fits, proved))
        return parcel[:count], parcel[count:]

    def write(self, parcel: Parcel, *, native: bool, rng: random.Random) -> Written:
        """The request for a parcel; the codes of a pack hang on `rng`."""
        if len(parcel) == 1:
            task = parcel[0]
            again = complaint(task, self._patience)
            request = answers.compose(task.question.request, self._rule, native=native, complaint=again)
            return Written(request=request)
        seed = rng.randrange(SEEDS)
        codes = packing.draw_codes(len(parcel), random.Random(seed))
        requests = [task.question.request for task in parcel]
        return Written(request=packing.compose(requests, codes, self._rule, native=native), codes=codes, seed=seed)
