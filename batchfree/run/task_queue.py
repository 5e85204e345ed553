"""The queue of tasks: new questions from the input, and rows that returned from earlier requests.

The queue hands out parcels. It reads the input only as far as it must, and not at all while returned rows can fill a
parcel.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import anyio
import anyio.lowlevel

from batchfree.run.packer import largest_pack
from batchfree.run.tasks import Parcel, Task

LOOK_AHEAD = 20
"""Most full parcels that may wait in incomplete groups. Above it the fullest group leaves although it is incomplete."""
ANY_SIZE = 1 << 30

Company: TypeAlias = Callable[[Task], str | None]
"""The key of a task: tasks with equal keys may share a request; None: the task travels alone."""
Key: TypeAlias = tuple[str, int]
"""A group of tasks: their company key, and the largest pack that they may travel in."""


class TaskQueue:
    """Hands out parcels until the input is exhausted and no parcel in progress can return rows."""

    def __init__(self, tasks: Iterator[Task | None], size: Callable[[], int], company: Company) -> None:
        """`size` returns the number of rows in a full parcel. `tasks` yields None now and then while it skips rows."""
        self._tasks, self._size, self._company = tasks, size, company
        self._exhausted = False
        self._ready: deque[Parcel] = deque()
        self._groups: dict[Key, deque[Task]] = {}
        self._waiting = 0
        self._returned = False
        self._out = 0
        self._changed = anyio.Event()

    async def next(self) -> Parcel | None:
        """The next parcel; None when all tasks are done. Many workers may wait here. A cancellation loses nothing."""
        while True:
            parcel = self._next_ready() or await self._next_fresh() or self._next_rest()
            if parcel:
                self._out += 1
                return parcel
            if not self._out:
                return None
            if self._changed.is_set():
                self._changed = anyio.Event()
            await self._changed.wait()

    def put_back(self, tasks: Iterable[Task]) -> None:
        """Returns tasks to the queue. They join other parcels."""
        for task in tasks:
            self._returned = self._add(task) is not None or self._returned
            self._changed.set()

    def done(self, requeue: Sequence[Task] = (), resend: Iterable[Parcel] = ()) -> None:
        """Ends the work on a parcel. Tasks of `requeue` join other parcels; parcels of `resend` stay as they are."""
        self._out -= 1
        self._ready.extend(resend)
        if requeue:
            self.put_back(requeue)
        if self._ready or not self._out:
            self._changed.set()

    def _next_ready(self) -> Parcel | None:
        if self._ready:
            return self._ready.popleft()
        for key in self._groups:
            if self._is_full(key):
                return self._take(key)
        return None

    async def _next_fresh(self) -> Parcel | None:
        """Reads the input until a parcel is full, or until so many tasks wait that the fullest group must leave."""
        while not self._exhausted:
            try:
                task = next(self._tasks)
            except StopIteration:
                self._exhausted = True
                return None
            if task is None:
                await anyio.lowlevel.checkpoint()
                continue
            key = self._add(task)
            if key is None:
                return self._ready.popleft()
            if self._is_full(key):
                return self._take(key)
            if self._waiting >= LOOK_AHEAD * self._size():
                return self._take(self._fullest())
        return None

    def _next_rest(self) -> Parcel | None:
        """An incomplete parcel once the input is exhausted. Returned rows wait for others that may still return."""
        if not self._groups or (self._out and self._returned):
            return None
        return self._take(self._fullest())

    def _fullest(self) -> Key:
        return max(self._groups, key=lambda key: len(self._groups[key]))

    def _is_full(self, key: Key) -> bool:
        return len(self._groups[key]) >= min(key[1], self._size())

    def _add(self, task: Task) -> Key | None:
        """Puts a task into its group, which it returns. A task that travels alone is a parcel at once."""
        company = self._company(task)
        if company is None:
            self._ready.append((task,))
            return None
        key = (company, largest_pack(task) or ANY_SIZE)
        self._groups.setdefault(key, deque()).append(task)
        self._waiting += 1
        return key

    def _take(self, key: Key) -> Parcel:
        """A parcel from this group. Free places go to tasks with the same company key from other groups."""
        taken, room = list[Task](), min(key[1], self._size())
        others = sorted((each for each in self._groups if each[0] == key[0] and each != key), reverse=True)
        for each in (key, *others):
            group = self._groups[each]
            while group and len(taken) < min(room, each[1]):
                taken.append(group.popleft())
                room = min(room, each[1])
            if not group:
                del self._groups[each]
        self._waiting -= len(taken)
        self._returned = self._returned and self._waiting > 0
        return tuple(taken)
