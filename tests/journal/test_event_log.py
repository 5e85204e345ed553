"""The event log: rotated, and never written through a link."""

from __future__ import annotations

import json
from pathlib import Path

from batchfree.journal.event_log import LARGEST_LOG, EventLog


def test_the_log_is_rotated(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log.jsonl", lambda: 0.0)
    (tmp_path / "log.jsonl").write_bytes(b"x" * LARGEST_LOG)
    log.write("started")
    assert (tmp_path / "log.1.jsonl").stat().st_size == LARGEST_LOG
    assert json.loads((tmp_path / "log.jsonl").read_text()) == {"at": "1970-01-01T00:00:00Z", "event": "started"}


def test_nothing_is_logged_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "log.jsonl").symlink_to(tmp_path / "mine.txt")
    EventLog(tmp_path / "log.jsonl", lambda: 0.0).write("started")
    assert (tmp_path / "mine.txt").read_text() == "mine"
