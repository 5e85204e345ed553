"""Signals: the first one lets the answers in flight arrive, a second one ends the process at once."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc

from batchfree.core.stops import Stopped, StopReason
from batchfree.run.switch import Switch

SIGNALS = {
    signal.SIGINT: StopReason.INTERRUPTED,
    signal.SIGTERM: StopReason.TERMINATED,
    signal.SIGHUP: StopReason.TERMINATED,
}


def is_interruption(stopped: Stopped | None) -> bool:
    """Whether a signal ended the run."""
    return stopped is not None and stopped.reason in SIGNALS.values()


@asynccontextmanager
async def stop_on_signals(switch: Switch) -> AsyncIterator[None]:
    """Inside the block a signal throws the switch, and a second one ends the process. The next run continues."""
    async with anyio.create_task_group() as tasks:
        await tasks.start(_listen, switch)
        yield
        tasks.cancel_scope.cancel()


async def _listen(switch: Switch, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(*SIGNALS) as signals:
        task_status.started()
        async for received in signals:
            if switch.stopped is not None and is_interruption(switch.stopped):
                os._exit(switch.stopped.exit_code)
            message = f"{received.name} received; the answers in flight were recorded"
            switch.throw(Stopped(reason=SIGNALS[received], message=message), force=True)
