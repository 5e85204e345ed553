"""The parts of the gateway, put together on an open endpoint."""

from __future__ import annotations

import random
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from batchfree.core.routes import LOCAL
from batchfree.core.text import iso
from batchfree.gateway.call_body import BodyMemory
from batchfree.gateway.call_counts import LEFT, CallCounts
from batchfree.gateway.chat_endpoint import CallRecord, ChatEndpoint
from batchfree.gateway.failover import Failover, Patience
from batchfree.gateway.route_shelf import RouteShelf
from batchfree.gateway.start_queue import StartQueue
from batchfree.job.endpoint import Endpoint
from batchfree.journal.run_folder import EventLog
from batchfree.service import routing
from batchfree.service.quota.account import QuotaUsage
from batchfree.service.quota.rate_limiter import WaitPolicy
from batchfree.service.routing import Requirements, RoutingPolicy


class Gateway:
    """Everything that clients and the page share."""

    def __init__(self, endpoint: Endpoint, folder: Path, max_wait: float) -> None:
        """`folder` holds the log and the batches; `max_wait` are the seconds that a call waits for a start."""
        spec, self.endpoint, self.clock = endpoint.spec, endpoint, endpoint.connection.clock
        self.began, self.counts = self.clock(), CallCounts()
        self.log = EventLog(folder / "log.jsonl", self.clock)
        self.shelf = RouteShelf(endpoint, self._note_rest)
        limiter = endpoint.rate_limiter(WaitPolicy(), lambda reason, until: None)
        self.queue = StartQueue(limiter, spec.limits.concurrency, self.clock)
        self.failover = Failover(
            shelf=self.shelf,
            queue=self.queue,
            send=endpoint.connection.client.complete_whole,
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
        self.chat = ChatEndpoint(self.failover, BodyMemory(), self._note_call)

    def usage(self) -> QuotaUsage:
        """The quota of the account now."""
        return self.endpoint.connection.ledger.usage(self.endpoint.limits)

    async def eligible(self) -> Collection[str]:
        """The ids of the models that may answer a plain question. Raises UnavailableError."""
        policy: RoutingPolicy = self.shelf.router(self.shelf.allowed or (LOCAL,)).policy
        today = datetime.fromtimestamp(self.clock(), UTC).date()
        models = routing.offer(await self.shelf.models(), policy)
        return {each.id for each in models if routing.refusal(each, Requirements(), policy, today) is None}

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
