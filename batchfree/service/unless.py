"""Work that ends early once an event is set."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio


async def unless(stopping: anyio.Event, act: Callable[[], Awaitable[object]]) -> None:
    """Calls `act`, and cancels it once `stopping` is set."""

    async def watch() -> None:
        await stopping.wait()
        tasks.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await act()
            tasks.cancel_scope.cancel()
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
