"""What is to be asked next: fresh questions from the input, and rows that came back from earlier requests.

A parcel is what one request carries: one task, or several that may travel together. The feed never looks further into
the input than it must, and never waits for the input while rows that came back can fill a parcel.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import anyio
import anyio.lowlevel

from batchfree.parcels import Parcel, Task

LOOK_AHEAD = 20
"""How many parcels' worth of tasks may wait for company before the fullest group leaves as it is."""


Company: TypeAlias = Callable[[Task], str | None]
"""Tasks with the same key may share a request; None: travels alone."""


class Feed:
    """Hands out parcels until the input is exhausted and nothing that is out can come back."""

    def __init__(self, tasks: Iterator[Task | None], size: Callable[[], int], company: Company) -> None:
        """`size` is how many rows a parcel should carry; `tasks` yields None now and then while it passes rows over."""
        self._tasks, self._size, self._company = tasks, size, company
        self._exhausted = False
        self._ready: deque[Parcel] = deque()
        self._groups: dict[tuple[str, int], deque[Task]] = {}
        self._returned = 0
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

    def done(self, back: Iterable[Task] = (), again: Iterable[Parcel] = ()) -> None:
        """A parcel has come home: `back` look for new company, `again` are parcels to be sent just so."""
        self._out -= 1
        for task in back:
            self._add(task)
            self._returned += 1
        self._ready.extend(again)
        self._changed.set()

    def _next_ready(self) -> Parcel | None:
        if self._ready:
            return self._ready.popleft()
        return next((self._take(key) for key, group in self._groups.items() if len(group) >= key[1]), None)

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
            if len(self._groups[key]) >= key[1]:
                return self._take(key)
            if sum(map(len, self._groups.values())) >= LOOK_AHEAD * self._size():
                return self._take(self._fullest())
        return None

    def _next_rest(self) -> Parcel | None:
        """What never found full company, once the input is exhausted; rows that came back wait for each other."""
        if not self._groups or (self._out and self._returned):
            return None
        return self._take(self._fullest())

    def _fullest(self) -> tuple[str, int]:
        return max(self._groups, key=lambda key: len(self._groups[key]))

    def _add(self, task: Task) -> tuple[str, int]:
        company = self._company(task)
        size = 1 if company is None else min(self._size(), task.at_most or self._size())
        key = (company or "", size)
        self._groups.setdefault(key, deque()).append(task)
        return key

    def _take(self, key: tuple[str, int]) -> Parcel:
        group = self._groups[key]
        parcel = tuple(group.popleft() for _ in range(min(key[1], len(group))))
        if not group:
            del self._groups[key]
        if not self._groups:
            self._returned = 0
        return parcel
