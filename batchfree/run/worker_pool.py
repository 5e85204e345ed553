"""The worker pool: workers take parcels from the queue, send them, and try again.

One task group per run. Each worker takes its next parcel from the queue until the queue has none. Once the `Switch` is
thrown, no request is started. The run waits for the requests in flight and records their answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager

import anyio
import anyio.lowlevel
import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from batchfree.core.errors import DatasetError, StorageError, UnavailableError
from batchfree.core.stops import OUT_OF_MEMORY, Stopped, StopReason
from batchfree.run.backoff import backoff
from batchfree.run.sender import AttemptResult, Sender
from batchfree.run.switch import Switch
from batchfree.run.task_queue import TaskQueue
from batchfree.run.tasks import Parcel, Task


class Errand(msgspec.Struct):
    """The parcel of one worker: what is still to be answered, and what returns to the queue."""

    parcel: Parcel
    requeue: list[Task] = msgspec.field(default_factory=list)
    resend: list[Parcel] = msgspec.field(default_factory=list)
    failures: int = 0
    """Transient failures in a row; the backoff grows with them."""


class WorkerPool:
    """The workers of one run."""

    def __init__(
        self,
        *,
        queue: TaskQueue,
        sender: Sender,
        switch: Switch,
        workers: int,
        max_wait: float,
        rng: random.Random,
        pause: Callable[[float], AbstractContextManager[None]],
    ) -> None:
        """`max_wait` is the longest backoff, in seconds. `pause` is entered with the seconds of each wait."""
        self._pause = pause
        self._queue, self._sender, self._switch = queue, sender, switch
        self._workers, self._max_wait, self._rng = workers, max_wait, rng
        self._no_model: Stopped | None = None
        self._latest: object = None
        """The worker that began the latest parcel."""

    async def run(self, grace: Callable[[Stopped], float]) -> None:
        """Answers the tasks of the queue.

        Once the switch is thrown, answers in flight have `grace` seconds to arrive, and are recorded. Rows that no
        model can answer throw the switch when all other rows are done. A cancellation loses no more than the requests
        in flight.
        """
        async with anyio.create_task_group() as watch:
            watch.start_soon(self._cut_off, watch.cancel_scope, grace)
            async with anyio.create_task_group() as workers:
                for _ in range(self._workers):
                    workers.start_soon(self._work)
            watch.cancel_scope.cancel()
        if self._no_model is not None:
            self._switch.throw(self._no_model)

    async def _cut_off(self, scope: anyio.CancelScope, grace: Callable[[Stopped], float]) -> None:
        await self._switch.event.wait()
        assert self._switch.stopped is not None
        await anyio.sleep(grace(self._switch.stopped))
        scope.cancel()

    async def _work(self) -> None:
        worker = object()
        while (parcel := await self._next(worker)) is not None:
            self._latest = worker
            errand = Errand(parcel)
            try:
                wait = await self._attempt(errand)
                if wait is not None:
                    await self._sleep(wait)
                    await self._retrying()(self._attempt, errand)
            finally:
                self._queue.done(errand.requeue, errand.resend)

    async def _next(self, worker: object) -> Parcel | None:
        """The next parcel; None when there is none, or no request is to be started."""
        if self._latest is worker:  # no other worker has begun a parcel since: some attempts wait for nothing
            await anyio.lowlevel.checkpoint()
        if self._switch.stopped is not None:
            return None
        try:
            return await self._queue.next()
        except DatasetError as error:
            self._switch.throw(Stopped(reason=StopReason.INPUT, message=str(error)))
        except StorageError as error:
            self._switch.throw(Stopped(reason=StopReason.DISK, message=str(error)))
        except MemoryError:
            self._switch.throw(OUT_OF_MEMORY)
        return None

    def _retrying(self) -> AsyncRetrying:
        """The retry loop. It holds state, so each parcel that needs a second attempt gets a new one.

        tenacity is only the loop. Limits and waits are made here, because each row of a parcel has its own limit of
        attempts, and tenacity's waits draw from the global random generator.
        """
        return AsyncRetrying(
            retry=retry_if_result(lambda wait: wait is not None),
            wait=_wait,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        """Sleeps, at most until the switch is thrown."""
        await anyio.lowlevel.checkpoint()
        if seconds > 0:
            with self._pause(seconds), anyio.move_on_after(seconds):
                await self._switch.event.wait()

    async def _attempt(self, errand: Errand) -> float | None:
        """One attempt. Returns the seconds until the rest of the parcel is tried again; None if nothing is left."""
        if self._switch.stopped is not None:
            return None
        result = await self._send(errand.parcel)
        if result.stopped is not None and result.stopped.reason is StopReason.NO_MODEL:
            self._no_model = self._no_model or result.stopped
        elif result.stopped is not None:
            self._switch.throw(result.stopped)
        errand.parcel = result.then.retry
        errand.requeue.extend(result.then.requeue)
        errand.resend.extend(result.then.resend)
        if not errand.parcel or self._switch.stopped is not None:
            return None
        if result.wait is not None:
            return result.wait
        errand.failures += 1
        return backoff(errand.failures, rng=self._rng, max_wait=self._max_wait, hint=result.hint)

    async def _send(self, parcel: Parcel) -> AttemptResult:
        """One attempt. If the journal or memory fails, or the service is out of reach, the result stops the run."""
        try:
            return await self._sender.send(parcel, self._queue.put_back)
        except StorageError as error:
            return AttemptResult(stopped=Stopped(reason=StopReason.DISK, message=str(error)))
        except MemoryError:
            return AttemptResult(stopped=OUT_OF_MEMORY)
        except UnavailableError as error:
            return AttemptResult(stopped=Stopped(reason=StopReason.SERVICE_DOWN, message=str(error)))


def _wait(state: RetryCallState) -> float:
    assert state.outcome is not None
    return float(state.outcome.result())
