"""Virtual time: an asyncio event loop whose clock jumps to the next timer whenever nothing is left to do.

    time = VirtualTime()
    anyio.run(main, backend_options=time.backend)     # or time.run(main); again and again, time goes on
    time.clock()                                      # epoch seconds, for everything that takes a clock

In-process only: no threads, and of real sockets only those that answer at once. A run in which nothing can happen any
more raises `Stalled` instead of hanging.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

NOON = 1_791_288_000.0
"""2026-10-06 12:00:00 UTC: a full minute and hour, far from midnight."""
HORIZON = 10 * 365 * 86400.0
"""Seconds after which only a sleep without end can be what is waited for."""
PATIENCE = 0.5
"""Real seconds to wait for a file descriptor when no timer is set."""


class Stalled(RuntimeError):
    """Every task waits for another one."""


class VirtualTime:
    """A clock that only event loops made by `loop` move, and you."""

    def __init__(self, epoch: float = NOON) -> None:
        """`epoch`: what the clock shows first, in epoch seconds."""
        self.elapsed = 0.0
        self._epoch = epoch

    @property
    def backend(self) -> dict[str, Any]:
        """`backend_options` of `anyio.run`."""
        return {"loop_factory": self.loop}

    def clock(self) -> float:
        """Epoch seconds."""
        return self._epoch + self.elapsed

    def monotonic(self) -> float:
        """Seconds that have passed."""
        return self.elapsed

    def set_clock(self, by: float) -> None:
        """Sets the clock forward, or back, by seconds; timers don't notice."""
        self._epoch += by

    def pass_by(self, seconds: float) -> None:
        """Lets time pass between two runs."""
        self.elapsed += seconds

    def loop(self) -> asyncio.AbstractEventLoop:
        """A fresh event loop on this time."""
        return _Loop(self)

    def run(self, main: Callable[..., Awaitable[Any]], *args: object) -> Any:
        """Runs an async function to its end on this time."""
        return anyio.run(main, *args, backend_options=self.backend)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, virtual: VirtualTime) -> None:
        self._virtual = virtual
        super().__init__(_Selector(virtual))

    def time(self) -> float:
        return self._virtual.elapsed


class _Selector(selectors.DefaultSelector):
    """Never waits for a timer: it moves the time instead."""

    def __init__(self, virtual: VirtualTime) -> None:
        super().__init__()
        self._virtual = virtual

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            ready = super().select(PATIENCE)
            if not ready:
                raise Stalled("nothing is left that could happen: every task waits for another one")
            return ready
        self._virtual.elapsed += max(timeout, 0.0)
        if self._virtual.elapsed > HORIZON:
            raise Stalled("nothing happened for ten years: every task waits for another one")
        return ready
