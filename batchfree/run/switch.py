"""The switch that ends a run early."""

from __future__ import annotations

import anyio

from batchfree.core.stops import Stopped


class Switch:
    """Ends a run early. The first reason stands, unless a signal forces another one."""

    def __init__(self) -> None:
        self.stopped: Stopped | None = None
        self.event = anyio.Event()

    def throw(self, stopped: Stopped, *, force: bool = False) -> None:
        """No request is started from now on. With `force` this reason replaces an earlier one."""
        if self.stopped is None or force:
            self.stopped = stopped
            self.event.set()
