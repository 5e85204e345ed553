"""The live view: what its lines say at every width, and what it leaves on the terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.processes import JobFolder, emulator, environment

from batchfree.cli.progress_text import Rate, finishes_at, plain_line, view_lines
from batchfree.core.stops import Stopped, StopReason
from batchfree.journal.model_statistics import ModelStatistics
from batchfree.run.progress import Progress
from batchfree.service.quota.account import QuotaUsage

NOW = time.mktime((2026, 10, 6, 12, 0, 0, 0, 0, -1))


def usage(left: int) -> QuotaUsage:
    return QuotaUsage(
        day_limit=50, day_used=50 - left, day_resets_at=NOW + 43_200, minute_limit=20, minute_used=3,
        minute_resets_at=NOW + 30, closures=(), jobs={},
    )  # fmt: skip


def running(rows: int = 300, **changes: Any) -> tuple[Progress, Rate]:
    progress = Progress(
        total=rows,
        skipped=20,
        ok=40,
        failed=2,
        requests=60,
        usage=usage(30),
        failures={"upstream_rate_limit": 12, "timeout": 4, "bad_answer": 2},
        models={f"author/model-number-{n}:free": ModelStatistics(answered=9 - n, failed=n) for n in range(8)},
        **{"in_flight": 3, **changes},
    )
    rate = Rate()
    rate.add(0.0, Progress(total=rows))
    rate.add(120.0, progress)
    return progress, rate


WAITS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "the minute": {"waiting_for": "minute", "until": NOW + 50},
    "the day": {"waiting_for": "day", "until": NOW + 43_200},
    "a retry": {"goes_on_at": NOW + 40, "in_flight": 0},
    "answers": {"stopped": Stopped(reason=StopReason.INTERRUPTED, message=""), "until_cut_off": NOW + 20},
}
MUST: dict[str, list[str]] = {
    "nothing": [],
    "the minute": [r"minute limit until 12:00:50"],
    "the day": [r"day limit until 2026-10-07 00:00 \w+"],
    "a retry": [r"models failed: trying again at 12:00:40"],
    "answers": [r"stopping: waiting up to 20 s for 3 answers in flight"],
}


def test_a_burst_and_a_wait_do_not_shorten_the_time_that_is_left() -> None:
    """20 requests in the first 5 seconds, then a wait for the minute's limit: 20 a minute is all there is."""
    progress = Progress(total=100, ok=20, requests=20, usage=usage(500), waiting_for="minute", until=NOW + 50)
    rate = Rate()
    rate.add(0.0, Progress(total=100))
    rate.add(5.0, progress)
    assert finishes_at(progress, rate, NOW) == NOW + 50 + 80 * 60 / 20


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("rows", [300, 9_000_000])
@pytest.mark.parametrize("wait", WAITS)
def test_the_lines_never_lose_what_matters(width: int, rows: int, wait: str) -> None:
    progress, rate = running(rows, **WAITS[wait])
    lines = view_lines("reviews", progress, rate, NOW, width)
    assert 2 <= len(lines) <= 3
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    must = [r"reviews \d+%", r"60 ok", r"2 failed", r"[\d,]+ left", "60 requests", "30 left today"]
    for pattern in (*must, *MUST[wait], *(() if wait == "answers" else ("/min", "ETA"))):
        assert re.search(pattern, text), (pattern, lines)


def test_a_plain_line_has_the_same_figures() -> None:
    progress, rate = running(**WAITS["the minute"])
    line = plain_line("reviews", progress, rate, NOW)
    assert line.startswith("reviews 20%: 60 ok, 2 failed, 238 left, 21 rows/min, ETA ")
    assert line.endswith("waiting for the minute limit until 12:00:50, 60 requests, 30 left today, 3 in flight")


class Terminal:
    """The other end of a pseudo-terminal: everything that a process writes to it."""

    def __init__(self, columns: int) -> None:
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.text = ""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self.ours, 65536)
            except OSError:
                return
            self.text += chunk.decode("utf-8", "replace")

    def wait_for(self, pattern: str) -> str:
        """Everything written so far, once it contains the pattern."""
        deadline = time.monotonic() + 60
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, self.text
            time.sleep(0.05)
        return self.text


@contextmanager
def on_a_terminal(job: JobFolder, *options: str) -> Iterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    terminal = Terminal(80)
    command = [sys.executable, "-m", "batchfree", "run", str(job.file), *options]
    variables = environment(job.folder) | {"TERM": "xterm-256color"}
    process = subprocess.Popen(command, env=variables, stderr=terminal.theirs, stdout=subprocess.PIPE)
    try:
        yield terminal, process
    finally:
        process.kill()
        process.communicate()


def test_a_run_on_a_terminal_shows_the_view_and_removes_it(tmp_path: Path) -> None:
    job = JobFolder(tmp_path, 30)
    with emulator(tmp_path, latency=0.3) as service, on_a_terminal(job, "--endpoint", service.url) as (terminal, run):
        shown = terminal.wait_for(r"job \d+%")
        out, _ = run.communicate(timeout=120)
        text = terminal.wait_for("table: ")
    assert (run.returncode, out) == (0, b"")
    assert "\x1b[?25l" not in text, "the cursor is never hidden"
    assert re.search(r"\x1b\[\dA\x1b\[J(?!.*job \d+%)", text[len(shown) - 1 :], re.DOTALL), "the lines are removed"


def test_the_first_signal_says_what_is_waited_for_and_the_second_leaves_whole_lines(tmp_path: Path) -> None:
    job = JobFolder(tmp_path, 30)
    with emulator(tmp_path, latency=20) as service, on_a_terminal(job, "--endpoint", service.url) as (terminal, run):
        terminal.wait_for(r"4 in flight")
        run.send_signal(signal.SIGINT)
        terminal.wait_for(r"stopping: waiting up to 30 s for 4 answers in flight. To leave at once, press")
        time.sleep(1.2)  # the same signal within a second is the same wish
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=60)
        assert run.returncode == 130
        time.sleep(0.2)
        assert terminal.text.endswith("\n")


def test_the_log_tells_the_run_from_its_start(tmp_path: Path) -> None:
    import json

    job = JobFolder(tmp_path, 250)
    with emulator(tmp_path) as service:
        assert job.run(service).returncode == 0
    events = [json.loads(line) for line in (job.run_dir / "log.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["started", "progress", "progress", "ended"]
    assert events[0] | {"at": ""} == {"at": "", "event": "started", "job": "job", "endpoint": service.url, "rows": 250}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["at"]) for event in events)
