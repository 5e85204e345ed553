"""Everything that asks models in one run, put together."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from batchfree.core.stops import Stopped
from batchfree.job.endpoint import Endpoint, retry_policy
from batchfree.job.state import JobState
from batchfree.journal.file import Journal, JournalLine
from batchfree.run.packer import Packer
from batchfree.run.progress import ProgressTracker
from batchfree.run.sender import AskingRules, Sender
from batchfree.run.switch import Switch
from batchfree.run.task_queue import TaskQueue
from batchfree.run.tasks import Task
from batchfree.run.worker_pool import WorkerPool
from batchfree.service.exchange import Exchange
from batchfree.service.quota.rate_limiter import WaitPolicy


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
        router = endpoint.router()
        self._packer = Packer(state.opened.rule, self._spec.pack, tracker.warn)
        for attempt in state.recent:
            router.remember(attempt)
            self._packer.learn(attempt)
        exchange = Exchange(
            router=router,
            rate_limiter=endpoint.rate_limiter(policy, tracker.wait),
            complete=endpoint.completer(tracker.in_flight),
            clock=clock,
            stopping=switch.event,
        )
        rules = AskingRules(answer=state.opened.rule, retry=retry_policy(self._spec), seed=self._spec.router.seed)
        self._sender = Sender(
            rules=rules,
            exchange=exchange,
            packer=self._packer,
            journal=journal,
            recorded=self._record,
            clock=clock,
            rng=self._rng,
        )

    async def run(self, tasks: Iterator[Task | None], grace: Callable[[Stopped], float]) -> None:
        """Asks until the tasks are done or the switch is thrown; `grace` as in `WorkerPool.run`."""
        pool = WorkerPool(
            queue=TaskQueue(tasks, lambda: self._packer.size, self._packer.company),
            sender=self._sender,
            switch=self._switch,
            workers=self._spec.limits.concurrency,
            max_wait=self._spec.retry.max_wait,
            rng=self._rng,
        )
        await pool.run(grace)

    def _record(self, line: JournalLine) -> None:
        self._state.add(line)
        self._tracker.record(line.attempt)
