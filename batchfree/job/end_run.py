"""The end of a run: the table is written, or its rows are counted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio.to_thread

from batchfree.core.errors import StorageError
from batchfree.core.stops import OUT_OF_MEMORY
from batchfree.job.state import JobState
from batchfree.run.summary import Tally
from batchfree.run.switch import Switch

NO_THREAD = "can't start new thread"
"""Python's message if there is no memory for a thread."""


async def end_run(state: JobState, table: Path | None, switch: Switch, *, in_thread: bool) -> Tally:
    """Writes the table to the path `table`, or only counts its rows if that is None.

    `in_thread`: beside the event loop, so that a second signal is noticed meanwhile. Raises StorageError, which also
    says why the switch was thrown before. A cancellation waits for the table.
    """
    act = state.counts if table is None else partial(state.export, table)
    try:
        return await _beside_event_loop(act) if in_thread else act()
    except MemoryError as error:
        raise StorageError(f"the table can't be written: {OUT_OF_MEMORY.message}") from error
    except StorageError as error:
        if switch.stopped is None:
            raise
        raise StorageError(f"{switch.stopped.message}; {error}") from error


async def _beside_event_loop(act: Callable[[], Tally]) -> Tally:
    """The result of `act`, called in a thread; without a thread if there is not enough memory for one."""
    try:
        return await anyio.to_thread.run_sync(act)
    except RuntimeError as error:
        if str(error) != NO_THREAD:
            raise
        return act()
