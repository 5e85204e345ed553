"""A batch and a file as OpenAI's API shows them, and the states of a batch.

Source: OpenAI API reference, "The batch object" and "The file object". A batch may take days with a scarce quota, so it
never expires here: `completion_window` is shown as it was asked for, and `expires_at` is null.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from batchfree.core.chat import JsonObject
from batchfree.gateway.http_refusal import HttpRefusal, invalid

BatchStatus: TypeAlias = Literal[
    "validating", "failed", "in_progress", "finalizing", "completed", "cancelling", "cancelled"
]
OPEN: frozenset[BatchStatus] = frozenset({"validating", "in_progress", "finalizing", "cancelling"})
"""States of a batch that has work left."""
CHAT_ENDPOINT = "/v1/chat/completions"
MOST_PAIRS, LONGEST_KEY, LONGEST_VALUE = 16, 64, 512
"""Bounds of `metadata`."""
MOMENTS = {
    "in_progress": "in_progress_at",
    "finalizing": "finalizing_at",
    "completed": "completed_at",
    "failed": "failed_at",
    "cancelling": "cancelling_at",
    "cancelled": "cancelled_at",
}


class LineMistake(msgspec.Struct, frozen=True, kw_only=True):
    """A mistake in the input file; `line` counts from one."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class RequestCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Number of requests of a batch: all of them, answered ones, failed ones."""

    total: int = 0
    completed: int = 0
    failed: int = 0


class BatchRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as it is kept on disk. Times are epoch seconds. `route` is the model that all its lines ask for."""

    id: str
    status: BatchStatus
    input_file_id: str
    completion_window: str
    created_at: int
    metadata: dict[str, str] | None = None
    route: str | None = None
    counts: RequestCounts = RequestCounts()
    errors: tuple[LineMistake, ...] = ()
    output_file_id: str | None = None
    error_file_id: str | None = None
    moments: dict[str, int] = {}

    def moved_to(self, status: BatchStatus, now: float) -> BatchRecord:
        """The batch in another state, which begins at `now`."""
        return msgspec.structs.replace(self, status=status, moments={**self.moments, status: int(now)})

    def to_json(self) -> JsonObject:
        """The batch object."""
        errors = {"object": "list", "data": [msgspec.to_builtins(each) for each in self.errors]}
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": CHAT_ENDPOINT,
            "model": self.route,
            "errors": errors if self.errors else None,
            "input_file_id": self.input_file_id,
            "completion_window": self.completion_window,
            "status": self.status,
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "created_at": self.created_at,
            "expires_at": None,
            "expired_at": None,
            **{key: self.moments.get(status) for status, key in MOMENTS.items()},
            "request_counts": msgspec.to_builtins(self.counts),
            "usage": None,
            "metadata": self.metadata,
        }


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it is kept on disk; `created_at` in epoch seconds."""

    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: str

    def to_json(self) -> JsonObject:
        """The file object."""
        fixed = {"object": "file", "status": "processed", "status_details": None, "expires_at": None}
        return {**msgspec.to_builtins(self), **fixed}


class BatchWish(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a `POST /batches`."""

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None


def read_wish(raw: bytes) -> BatchWish | HttpRefusal:
    """The wish in the body of a POST, or what is wrong with it."""
    try:
        wish = msgspec.json.decode(raw, type=BatchWish)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return invalid(f"the body is no batch request: {error}")
    if wish.endpoint != CHAT_ENDPOINT:
        return invalid(f"batches of {wish.endpoint[:100]!r} are not served; only {CHAT_ENDPOINT}", "endpoint")
    if not 1 <= len(wish.completion_window) <= LONGEST_KEY:
        return invalid("`completion_window` must be a text such as 24h", "completion_window")
    pairs = wish.metadata or {}
    too_long = any(len(key) > LONGEST_KEY or len(value) > LONGEST_VALUE for key, value in pairs.items())
    if len(pairs) > MOST_PAIRS or too_long:
        bounds = f"{MOST_PAIRS} pairs, keys of {LONGEST_KEY} and values of {LONGEST_VALUE} characters"
        return invalid(f"`metadata` holds at most {bounds}", "metadata")
    return wish
