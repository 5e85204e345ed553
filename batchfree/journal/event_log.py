"""The event log of a run, `log.jsonl`: written by runs, read by `status` and the report."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from batchfree.core.chat import Json, JsonObject
from batchfree.core.text import iso
from batchfree.journal.regular_file import open_regular

TAIL = 1 << 20
"""Bytes at the end of a log that `read_events` reads."""
YEAR_5000 = 95_617_584_000
"""In epoch seconds. No event is later."""
LARGEST_LOG = 4 * 1024 * 1024
"""Size in bytes from which `log.jsonl` becomes `log.1.jsonl`, which is replaced, and a new one begins."""


def _private(path: str, flags: int) -> int:
    """Opens a file; a new one is for its owner alone. Raises OSError for a link, so that its target is not changed."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


class EventLog:
    """`log.jsonl`: one JSON object per event. A failed write is ignored, because the log must never stop a run.

    Every time is ISO 8601 in UTC, to the second.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path, self._clock = path, clock

    def write(self, event: str, **facts: Json) -> None:
        """Appends one event with its time. After an unfinished line it starts a new one."""
        line = json.dumps({"at": iso(self._clock()), "event": event, **facts}, default=str).encode() + b"\n"
        with suppress(OSError):
            self._rotate()
            self._append(line)

    def _rotate(self) -> None:
        with suppress(FileNotFoundError):
            if self._path.stat().st_size >= LARGEST_LOG:
                self._path.replace(self._path.with_suffix(".1.jsonl"))

    def _append(self, line: bytes) -> None:
        with open(self._path, "a+b", opener=_private) as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)


def read_events(log: Path) -> list[JsonObject]:
    """The last events of the log and of the log before it, the oldest first."""
    return [*events_in(log.with_suffix(".1.jsonl"), TAIL), *events_in(log, TAIL)]


def events_in(log: Path, tail: int | None = None) -> Iterator[JsonObject]:
    """The events of one log, or of its last `tail` bytes. Lines that can't be read are left out."""
    try:
        with open(log, "rb", opener=open_regular) as file:
            file.seek(0 if tail is None else max(0, log.stat().st_size - tail))
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            yield event


def event_time(value: Json) -> float | None:
    """A time of the log in epoch seconds; None if it is damaged. Logs of version 0.1 hold epoch seconds themselves."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError):
            return None
    return float(value) if isinstance(value, int | float) and 0 <= value < YEAR_5000 else None
