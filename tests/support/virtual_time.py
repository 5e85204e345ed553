"""Virtual time: an asyncio event loop whose clock jumps to the next timer when every task waits.

    time = VirtualTime()
    time.run(main)     # runs an async function; a second call continues at the time where the first one ended
    time.clock()       # epoch seconds, for everything that takes a clock

It works inside one process, without threads, and with real sockets only if they answer at once. If no task can ever
continue, the run raises `Stalled` instead of hanging.
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
"""Seconds; a task that sleeps longer than this sleeps for ever."""
PATIENCE = 0.5
"""Real seconds to wait for a file descriptor when no timer is set; only then can a stalled run be recognised."""


class Stalled(RuntimeError):
    """Every task waits for another task."""


class VirtualTime:
    """A clock that stands still until its own event loop waits, or until a test moves it."""

    def __init__(self, epoch: float = NOON) -> None:
        """`epoch`: the first time on the clock, in epoch seconds."""
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
        """Seconds since the clock was made."""
        return self.elapsed

    def set_clock(self, by: float) -> None:
        """Changes the clock by seconds, forward or back, without moving any timer."""
        self._epoch += by

    def move_to(self, epoch: float) -> None:
        """Lets time pass until the clock shows these epoch seconds."""
        self.elapsed = epoch - self._epoch

    def pass_by(self, seconds: float) -> None:
        """Lets seconds pass between two runs."""
        self.elapsed += seconds

    def loop(self) -> asyncio.AbstractEventLoop:
        """A new event loop on this clock."""
        return _Loop(self)

    def run(self, main: Callable[..., Awaitable[Any]], *args: object) -> Any:
        """Runs an async function to its end, on a new event loop."""
        return anyio.run(main, *args, backend_options=self.backend)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, virtual: VirtualTime) -> None:
        self._virtual = virtual
        super().__init__(_Selector(virtual))

    def time(self) -> float:
        return self._virtual.elapsed


class _Selector(selectors.DefaultSelector):
    """A selector that moves the time forward instead of waiting for a timer."""

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
                raise Stalled("no timer is set and no file is ready: every task waits for another task")
            return ready
        self._virtual.elapsed += max(timeout, 0.0)
        if self._virtual.elapsed > HORIZON:
            raise Stalled("nothing happened for ten years: every task waits for another task")
        return ready
