"""Counts of all calls and requests since the server began, for `/status` and `/metrics`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from batchfree.core.chat import Failure, Judged
from batchfree.gateway.chat_endpoint import CallRecord

LEFT = "left"
"""The outcome of a call whose client has left."""


@dataclass(slots=True)
class CallCounts:
    """Calls by their status, and requests by model and result. `seconds` is the time of all calls together."""

    calls: Counter[str] = field(default_factory=Counter)
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: float = 0.0

    def add_call(self, record: CallRecord) -> None:
        """Counts a call that has ended."""
        self.calls[LEFT if record.status is None else str(record.status)] += 1
        self.seconds += record.seconds

    def add_request(self, model: str, judged: Judged) -> None:
        """Counts a request with its result: `ok`, or the kind of the failure."""
        self.requests[model, str(judged.kind) if isinstance(judged, Failure) else "ok"] += 1
