"""The parts of the gateway, put together on an open endpoint."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from batchfree.core.routes import LOCAL
from batchfree.core.text import iso
from batchfree.gateway.batches.batch_job import BatchSettings
from batchfree.gateway.batches.batch_record import BatchRecord, FileRecord
from batchfree.gateway.batches.batch_routes import BatchRoutes
from batchfree.gateway.batches.batch_runner import BatchRunner
from batchfree.gateway.batches.record_store import RecordStore
from batchfree.gateway.call_body import BodyMemory
from batchfree.gateway.call_counts import LEFT, CallCounts
from batchfree.gateway.chat_endpoint import CallRecord, ChatEndpoint
from batchfree.gateway.failover import Failover, Patience
from batchfree.gateway.route_shelf import RouteShelf
from batchfree.gateway.start_queue import StartQueue
from batchfree.job.endpoint import Endpoint
from batchfree.journal.event_log import EventLog
from batchfree.service import routing
from batchfree.service.connection import Transport
from batchfree.service.quota.account import QuotaUsage
from batchfree.service.quota.wait_policy import WaitPolicy
from batchfree.service.routing import Model, Requirements, RoutingPolicy


class Gateway:
    """The parts of the gateway. All calls, all batches and the page share them."""

    def __init__(
        self,
        endpoint: Endpoint,
        folder: Path,
        max_wait: float,
        environment: Mapping[str, str],
        transport: Transport = None,
    ) -> None:
        """`folder` holds the log and the batches. `max_wait` is how many seconds a call waits for a start.

        `transport` is None for the network. Raises StorageError.
        """
        spec, self.endpoint, self.clock = endpoint.spec, endpoint, endpoint.connection.clock
        self.began, self.counts = self.clock(), CallCounts()
        self.log = EventLog(folder / "log.jsonl", self.clock)
        self.shelf = RouteShelf(endpoint, self._note_rest)
        limiter = endpoint.rate_limiter(WaitPolicy(), lambda reason, until: None)
        self.queue = StartQueue(limiter, spec.limits.concurrency, self.clock)
        self.failover = self._failover(max_wait)
        memory = BodyMemory()
        self.chat = ChatEndpoint(self.failover, memory, self._note_call)
        self.files = RecordStore(folder / "files", FileRecord, "file-")
        self.batches = RecordStore(folder / "batches", BatchRecord, "batch_")
        self.runner = BatchRunner(
            batches=self.batches,
            files=self.files,
            settings=self._batch_settings(environment, transport),
            charged=self.failover.close,
            log=self.log,
        )
        self.batch_routes = BatchRoutes(self.batches, self.files, self.runner, memory)

    def _batch_settings(self, environment: Mapping[str, str], transport: Transport) -> BatchSettings:
        server = self.endpoint.connection.server
        return BatchSettings(
            spec=self.endpoint.spec,
            environment=environment,
            yields=lambda: self.queue.waiting > 0,
            clock=self.clock,
            transport=transport,
            server_url=None if server is None else server.base_url,
        )

    def _failover(self, max_wait: float) -> Failover:
        spec = self.endpoint.spec
        return Failover(
            shelf=self.shelf,
            queue=self.queue,
            send=self.endpoint.connection.client.complete_whole,
            patience=Patience(
                max_wait=max_wait,
                max_attempts=spec.retry.max_attempts,
                timeout=spec.retry.timeout,
                longest_backoff=min(spec.retry.max_wait, max_wait),
            ),
            usage=self.usage,
            sent=self.counts.add_request,
            rng=random.Random(spec.router.seed),
        )

    def stop(self) -> None:
        """Sends no more requests: waiting calls are refused, and batches end once their answers in flight are there."""
        self.failover.stopping.set()
        self.runner.stop()

    async def usage(self) -> QuotaUsage:
        """The quota of the account now."""
        ledger = self.endpoint.connection.ledger
        return await ledger.beside_loop(partial(ledger.usage, self.endpoint.limits))

    async def eligible(self) -> Collection[str]:
        """The ids of the models that may answer a plain question. Raises UnavailableError."""
        return self._eligible(await self.shelf.models())

    def eligible_now(self) -> Collection[str]:
        """The same, as far as the catalogue has been read."""
        return self._eligible(self.endpoint.connection.catalogue.kept)

    def _eligible(self, models: Sequence[Model]) -> Collection[str]:
        policy: RoutingPolicy = self.shelf.router(self.shelf.allowed or (LOCAL,)).policy
        today = datetime.fromtimestamp(self.clock(), UTC).date()
        offered = routing.offer(models, policy)
        return {each.id for each in offered if routing.refusal(each, Requirements(), policy, today) is None}

    def _note_call(self, record: CallRecord) -> None:
        self.counts.add_call(record)
        self.log.write(
            "chat",
            status=LEFT if record.status is None else record.status,
            route=record.route,
            model=record.model,
            tried=list(record.tried),
            seconds=round(record.seconds, 3),
            stream=record.stream,
            kind=record.kind,
        )

    def _note_rest(self, model: str, until: float) -> None:
        self.log.write("model_resting", model=model, until=iso(until))
