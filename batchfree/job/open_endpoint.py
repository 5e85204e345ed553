"""Opens the endpoint of a job for a run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from batchfree.core.stops import Stopped, StopReason
from batchfree.job.endpoint import Endpoint
from batchfree.job.own_route import wait_for_route
from batchfree.jobspec.job import Job
from batchfree.run.switch import Switch
from batchfree.service.connection import Transport, connect, find_api_key, missing_key
from batchfree.service.unless import unless


@asynccontextmanager
async def open_endpoint(
    job: Job, clock: Callable[[], float], transport: Transport, switch: Switch, warn: Callable[[str], None]
) -> AsyncIterator[Endpoint | None]:
    """The endpoint of the job inside the block. It is None if the switch is thrown, for example by a missing key.

    `clock` gives epoch seconds; `warn` takes one sentence at a time. Raises BatchfreeError. A cancellation closes the
    connection.
    """
    spec = job.spec
    if spec.endpoint.is_openrouter and find_api_key(spec.endpoint, job.environment) is None:
        switch.throw(Stopped(reason=StopReason.KEY_MISSING, message=missing_key(spec.endpoint, job.environment)))
        yield None
        return
    connecting = connect(spec.endpoint, job.environment, clock, spec.limits.concurrency, transport, warn)
    async with AsyncExitStack() as stack:
        endpoint: Endpoint | None = None

        async def try_to_open() -> None:
            nonlocal endpoint
            connection = await stack.enter_async_context(connecting)
            routed = await wait_for_route(spec, connection, warn)
            if isinstance(routed, Stopped):
                switch.throw(routed)
                return
            opened = Endpoint(spec=routed, connection=connection)
            refused = await opened.check_key()
            if refused is None:
                endpoint = opened
            else:
                switch.throw(refused)

        await unless(switch.event, try_to_open)
        yield endpoint
