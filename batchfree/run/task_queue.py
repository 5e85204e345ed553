"""What is to be asked next: fresh questions from the input, and rows that came back from earlier requests.

A parcel is what one request carries: one task, or several that may travel together. The queue never looks further into
the input than it must, and never waits for the input while rows that came back can fill a parcel.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import anyio
import anyio.lowlevel

from batchfree.run.packer import largest_pack
from batchfree.run.tasks import Parcel, Task

LOOK_AHEAD = 20
"""How many parcels' worth of tasks may wait for company before the fullest group leaves as it is."""
ANY_SIZE = 1 << 30

Company: TypeAlias = Callable[[Task], str | None]
"""Tasks with the same key may share a request; None: travels alone."""
Key: TypeAlias = tuple[str, int]
"""A group of tasks: their company, and the largest pack that they may travel in."""


class TaskQueue:
    """Hands out parcels until the input is exhausted and nothing that is out can come back."""

    def __init__(self, tasks: Iterator[Task | None], size: Callable[[], int], company: Company) -> None:
        """`size` is how many rows a parcel should carry; `tasks` yields None now and then while it passes rows over."""
        self._tasks, self._size, self._company = tasks, size, company
        self._exhausted = False
        self._ready: deque[Parcel] = deque()
        self._groups: dict[Key, deque[Task]] = {}
        self._waiting = 0
        self._returned = False
        self._out = 0
        self._changed = anyio.Event()

    async def next(self) -> Parcel | None:
        """The next parcel; None when all is done. A cancellation loses nothing: what is not handed out is not out."""
        while True:
            parcel = self._next_ready() or await self._next_fresh() or self._next_rest()
            if parcel:
                self._out += 1
                return parcel
            if not self._out:
                return None
            self._changed = anyio.Event()
            await self._changed.wait()

    def put_back(self, tasks: Iterable[Task]) -> None:
        """These look for new company."""
        for task in tasks:
            self._add(task)
            self._returned = True
        self._changed.set()

    def done(self, back: Iterable[Task] = (), again: Iterable[Parcel] = ()) -> None:
        """A parcel has come home: `back` look for new company, `again` are parcels to be sent just so."""
        self._out -= 1
        self._ready.extend(again)
        self.put_back(back)

    def _next_ready(self) -> Parcel | None:
        if self._ready:
            return self._ready.popleft()
        return next((self._take(key) for key in self._groups if self._is_full(key)), None)

    async def _next_fresh(self) -> Parcel | None:
        """Reads on in the input until a parcel is full, or enough tasks wait that the fullest group must do."""
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
            if self._is_full(key):
                return self._take(key)
            if self._waiting >= LOOK_AHEAD * self._size():
                return self._take(self._fullest())
        return None

    def _next_rest(self) -> Parcel | None:
        """What never found full company, once the input is exhausted; rows that came back wait for each other."""
        if not self._groups or (self._out and self._returned):
            return None
        return self._take(self._fullest())

    def _fullest(self) -> Key:
        return max(self._groups, key=lambda key: len(self._groups[key]))

    def _is_full(self, key: Key) -> bool:
        return len(self._groups[key]) >= min(key[1], self._size())

    def _add(self, task: Task) -> Key:
        company = self._company(task)
        key = ("", 1) if company is None else (company, largest_pack(task) or ANY_SIZE)
        self._groups.setdefault(key, deque()).append(task)
        self._waiting += 1
        return key

    def _take(self, key: Key) -> Parcel:
        """A parcel from this group; what room is left goes to tasks of the same company from other groups."""
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
