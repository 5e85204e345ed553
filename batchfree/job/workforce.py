"""Puts together the parts of a run that ask models."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from batchfree.core.routes import LOCAL
from batchfree.core.stops import Stopped, StopReason
from batchfree.job.endpoint import Endpoint, retry_policy
from batchfree.job.state import JobState
from batchfree.journal.attempts import Attempt, PilotDecision, RankedPilotModel, Status
from batchfree.journal.file import Journal
from batchfree.journal.journal_lines import JournalLine
from batchfree.journal.rehearsals import rehearsal_at
from batchfree.quality.reliability import RIGHT, WRONG
from batchfree.run.packer import Packer
from batchfree.run.progress import ProgressTracker
from batchfree.run.sender import AskingRules, Sender
from batchfree.run.switch import Switch
from batchfree.run.task_queue import TaskQueue
from batchfree.run.tasks import Task
from batchfree.run.worker_pool import WorkerPool
from batchfree.service.exchange import Exchange
from batchfree.service.quota.wait_policy import WaitPolicy
from batchfree.service.routing import PilotRating, analyze


class Workforce:
    """The exchange, the packs and the sender of one run."""

    def __init__(
        self,
        state: JobState,
        endpoint: Endpoint,
        journal: Journal,
        policy: WaitPolicy,
        *,
        switch: Switch,
        tracker: ProgressTracker,
    ) -> None:
        """Learns the health of the models and the sizes of packs from recent attempts of earlier runs."""
        self._state, self._tracker, self._switch = state, tracker, switch
        self._spec, clock = endpoint.spec, endpoint.connection.clock
        self._rng = random.Random(self._spec.router.seed)
        self._clock, self._journal = clock, journal
        self._router = router = endpoint.router(tracker.rest)
        if endpoint.limits.per_day is not None or endpoint.limits.per_minute is not None:
            tracker.follow_quota(lambda: endpoint.connection.ledger.usage(endpoint.limits))
        self._packer = Packer(state.opened.rule, self._spec.pack, tracker.warn)
        for attempt in state.recent:
            router.remember(attempt)
            self._packer.learn(attempt)
        self._sender = Sender(
            rules=self._rules(),
            exchange=self._exchange(endpoint, policy),
            packer=self._packer,
            journal=journal,
            recorded=self._record,
            clock=clock,
            rng=self._rng,
        )

    def _rules(self) -> AskingRules:
        return AskingRules(
            answer=self._state.opened.rule,
            retry=retry_policy(self._spec),
            seed=self._spec.router.seed,
            endpoint=self._spec.endpoint.base_url,
        )

    def _exchange(self, endpoint: Endpoint, policy: WaitPolicy) -> Exchange:
        return Exchange(
            router=self._router,
            rate_limiter=endpoint.rate_limiter(policy, self._tracker.wait),
            complete=endpoint.completer(self._tracker.in_flight),
            clock=self._clock,
            stopping=self._switch.event,
            warn=self._tracker.warn,
        )

    async def run(self, tasks: Iterator[Task | None], grace: Callable[[Stopped], float]) -> None:
        """Asks until the tasks are done or the switch is thrown; `grace` as in `WorkerPool.run`.

        Raises StorageError.
        """
        pool = WorkerPool(
            queue=TaskQueue(tasks, lambda: self._packer.size, self._packer.company),
            sender=self._sender,
            switch=self._switch,
            workers=self._spec.limits.concurrency,
            max_wait=self._spec.retry.max_wait,
            rng=self._rng,
            pause=self._tracker.pause,
        )
        await pool.run(grace)
        if self._switch.stopped is None:
            self._sender.finish()

    async def prepare(self) -> None:
        """Reads the catalogue, so that `eligible` and `keep` know the models."""
        await self._router.refresh()

    def require_voters(self, task: Task) -> None:
        """Throws the switch if fewer models than `votes.min` may answer a task."""
        native_only, least = self._state.opened.rule.mode == "native", self._spec.votes.min
        models = self._router.eligible(analyze(task.question.request, native_only=native_only))
        if models < least:
            message = f"votes.min asks for {least} answers per row, each from another model, and {models} may answer"
            self._switch.throw(Stopped(reason=StopReason.NO_MODEL, message=message))

    def keep(self, decision: PilotDecision) -> None:
        """From now on draws only the models that a pilot kept, the better ones more often."""
        ratings = {each.model: _rating(each) for each in decision.ranking if each.model in decision.kept}
        self._router.keep(ratings)

    def record_pilot(self, decision: PilotDecision) -> None:
        """Writes the decision of a pilot into the journal. Raises StorageError."""
        at = datetime.fromtimestamp(self._clock(), UTC)
        rehearsal = rehearsal_at(self._spec.endpoint.base_url, None, decision.kept)
        attempt = Attempt(at=at, route=LOCAL, models=(), pilot=decision, rehearsal=rehearsal, outcomes=())
        self._state.add(self._journal.append(attempt))

    def _record(self, line: JournalLine) -> None:
        new = self._state.add(line)
        self._tracker.record(line.attempt, ok=new.count(Status.OK), failed=new.count(Status.FAILED))


def _rating(ranked: RankedPilotModel) -> PilotRating:
    """The votes of a model in the pilot, with the pseudo-votes that the consensus adds for each model."""
    right = ranked.right * ranked.votes
    return PilotRating(right=right + RIGHT, wrong=ranked.votes - right + WRONG)
