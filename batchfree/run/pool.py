"""The worker pool: takes parcels, waits for a start, sends, records, and tries again.

One task group per run. The feeder hands parcels to the workers over one unbuffered stream; when the feed is done the
stream closes and the workers run dry. A stop is a value: once the `Switch` is thrown no request is started, those in
flight are waited for, and what they bring is recorded.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from batchfree.core.errors import DatasetError, StorageError, UnavailableError
from batchfree.core.stops import Stopped, StopReason
from batchfree.run.backoff import backoff
from batchfree.run.follow_up import Next
from batchfree.run.sender import Came, Sender
from batchfree.run.task_queue import Feed
from batchfree.run.tasks import Parcel, Task


class Switch:
    """Ends a run early. The first reason stands, but for a signal's."""

    def __init__(self) -> None:
        self.stopped: Stopped | None = None
        self.event = anyio.Event()

    def throw(self, stopped: Stopped, *, force: bool = False) -> None:
        """No request is started from now on. With `force` this reason replaces an earlier one."""
        if self.stopped is None or force:
            self.stopped = stopped
            self.event.set()


@dataclass(slots=True)
class Errand:
    """A worker's way with one parcel: what is still to be answered, and what goes back to the feed."""

    parcel: Parcel
    back: list[Task] = field(default_factory=list)
    again: list[Parcel] = field(default_factory=list)
    failures: int = 0
    """Attempts that failed for the model's sake, one after the other; the backoff grows with them."""


class Again(float):
    """Seconds to wait before the rest of the parcel is tried again."""


class Pool:
    """The workers of one run."""

    def __init__(
        self, *, feed: Feed, sender: Sender, switch: Switch, workers: int, max_wait: float, rng: random.Random
    ) -> None:
        self._feed, self._sender, self._switch = feed, sender, switch
        self._workers, self._max_wait, self._rng = workers, max_wait, rng
        self._unmet: Stopped | None = None

    async def run(self, grace: Callable[[Stopped], float]) -> None:
        """Answers what the feed holds. Once the switch is thrown, answers in flight have `grace` seconds to land;
        what lands is recorded, and a cancellation loses no more than the requests in flight. Rows that no model can
        answer throw it when the others are done."""
        async with anyio.create_task_group() as watch:
            watch.start_soon(self._cut_off, watch.cancel_scope, grace)
            async with anyio.create_task_group() as tasks:
                send, receive = anyio.create_memory_object_stream[Parcel](0)
                tasks.start_soon(self._hand_out, send)
                for _ in range(self._workers):
                    tasks.start_soon(self._work, receive.clone())
                receive.close()
            watch.cancel_scope.cancel()
        if self._unmet is not None:
            self._switch.throw(self._unmet)

    async def _cut_off(self, scope: anyio.CancelScope, grace: Callable[[Stopped], float]) -> None:
        await self._switch.event.wait()
        assert self._switch.stopped is not None
        await anyio.sleep(grace(self._switch.stopped))
        scope.cancel()

    async def _hand_out(self, stream: MemoryObjectSendStream[Parcel]) -> None:
        async with stream:
            try:
                while self._switch.stopped is None and (parcel := await self._feed.next()):
                    await stream.send(parcel)
            except DatasetError as error:
                self._switch.throw(Stopped(reason=StopReason.INPUT, message=str(error)))
            except StorageError as error:
                self._switch.throw(Stopped(reason=StopReason.DISK, message=str(error)))

    async def _work(self, stream: MemoryObjectReceiveStream[Parcel]) -> None:
        async with stream:
            async for parcel in stream:
                errand = Errand(parcel)
                try:
                    await self._retrying()(self._attempt, errand)
                finally:
                    self._feed.done(errand.back, errand.again)

    async def _sent(self, parcel: Parcel) -> Came:
        """What came of one attempt; a file of ours or a service that is out of reach ends the run, not the others'."""
        try:
            return await self._sender.send(parcel, self._feed.put_back)
        except StorageError as error:
            return Came(then=Next(), stopped=Stopped(reason=StopReason.DISK, message=str(error)))
        except UnavailableError as error:
            return Came(then=Next(), stopped=Stopped(reason=StopReason.SERVICE_DOWN, message=str(error)))

    def _retrying(self) -> AsyncRetrying:
        """The one retry loop: made anew for every parcel, since it holds state. How often is the rows' own matter."""
        return AsyncRetrying(
            retry=retry_if_result(lambda result: result is not None),
            wait=_wait,
            sleep=self._nap,
        )

    async def _nap(self, seconds: float) -> None:
        """Sleeps, but not on once the switch is thrown."""
        await anyio.lowlevel.checkpoint()
        if seconds > 0:
            with anyio.move_on_after(seconds):
                await self._switch.event.wait()

    async def _attempt(self, errand: Errand) -> Again | None:
        """One request for the errand's parcel; None when nothing is left for this worker to try."""
        if self._switch.stopped is not None:
            return None
        came = await self._sent(errand.parcel)
        if came.stopped is not None and came.stopped.reason is StopReason.NO_MODEL:
            self._unmet = self._unmet or came.stopped
        elif came.stopped is not None:
            self._switch.throw(came.stopped)
        errand.parcel = came.then.keep
        errand.back.extend(came.then.back)
        errand.again.extend(came.then.again)
        if not errand.parcel or self._switch.stopped is not None:
            return None
        if came.wait is not None:
            return Again(came.wait)
        errand.failures += 1
        return Again(backoff(errand.failures, rng=self._rng, max_wait=self._max_wait, hint=None))


def _wait(state: RetryCallState) -> float:
    assert state.outcome is not None
    return float(state.outcome.result())
