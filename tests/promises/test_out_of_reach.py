"""Whole runs at a service that can't be reached, or that refuses every request by its limit per minute."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.rehearsal import Rehearsal, scenario, stop_of

from batchfree.core.stops import StopReason
from batchfree.emulator.http.in_process import InProcessTransport
from batchfree.journal.journal_lines import read_attempts


class Network(httpx.AsyncBaseTransport):
    """The emulated service behind a network. `breaks` gives the error of a POST at this second of the run, or None."""

    def __init__(self, job: Rehearsal, breaks: Callable[[float], Exception | None]) -> None:
        self._inner, self._breaks, self._clock = InProcessTransport(job.emulator), breaks, job.time.clock
        self._began = self._clock()
        self.tries: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.tries.append(self._clock() - self._began)
            error = self._breaks(self.tries[-1])
            if error is not None:
                raise error
        return await self._inner.handle_async_request(request)


def refused(second: float) -> Exception:
    return httpx.ConnectError("refused")


def rehearse(folder: Path, **spec: Any) -> Rehearsal:
    calm = scenario("limits: {per_minute: null, per_day: null}\nrouter: {draws_classifier: false}\n")
    return Rehearsal(folder, [{"prompt": f"Question {number}?"} for number in range(40)], spec, calm)


def starts_in_ledgers(folder: Path) -> int:
    """The number of starts in all ledgers of the state directory."""
    paths, count = list((folder / "state").rglob("*.sqlite3")), 0
    assert paths
    for path in paths:
        with closing(sqlite3.connect(path)) as db:
            count += db.execute("SELECT count(*) FROM starts").fetchone()[0]
            count += db.execute("SELECT coalesce(sum(starts), 0) FROM days").fetchone()[0]
    return count


@pytest.mark.parametrize("concurrency", [1, 8])
def test_nothing_but_refused_connections_for_thirty_seconds_ends_the_run(tmp_path: Path, concurrency: int) -> None:
    job = rehearse(tmp_path, limits={"concurrency": concurrency})
    network = Network(job, refused)
    summary = job.run_over(network)
    stopped = stop_of(summary)
    assert (stopped.reason, summary.exit_code) == (StopReason.SERVICE_DOWN, 75)
    assert "emulated.invalid port 80" in stopped.message
    assert 30 <= network.tries[-1] <= 45
    assert len(network.tries) <= 5 * concurrency


def test_a_request_that_did_not_reach_the_service_counts_nowhere(tmp_path: Path) -> None:
    job = rehearse(tmp_path)
    summary = job.run_over(Network(job, refused))
    assert summary.requests == 0
    assert starts_in_ledgers(tmp_path) == 0
    assert list(read_attempts(tmp_path / "job.run" / "journal.jsonl")) == []
    table = job.table()
    assert set(table["status"]) == {"pending"}
    assert set(table["attempts"]) == {0}
    assert set(table["error_kind"]) == {None}


def test_the_first_failed_connection_is_said_at_once_and_only_once(tmp_path: Path) -> None:
    job = rehearse(tmp_path)
    network = Network(job, lambda second: refused(second) if second < 20 else None)
    summary = job.run_over(network)
    assert summary.counts.ok == 40
    assert [warning for warning in summary.warnings if "port 80" in warning] == [
        "emulated.invalid port 80: ConnectError: refused; trying again"
    ]
    assert len(job.posts) == 40
    assert set(job.table()["attempts"]) == {1}


def test_connections_that_break_after_the_request_was_sent_count_and_end_the_run_too(tmp_path: Path) -> None:
    job = rehearse(tmp_path, retry={"max_attempts": 50})
    network = Network(job, lambda second: httpx.ReadError("cut"))
    summary = job.run_over(network)
    assert (stop_of(summary).reason, summary.exit_code) == (StopReason.SERVICE_DOWN, 75)
    assert "ReadError: cut" in stop_of(summary).message
    assert summary.requests == len(network.tries)


def test_a_service_that_refuses_by_the_minute_for_ever_ends_the_run_after_fifteen_minutes(tmp_path: Path) -> None:
    job = rehearse(tmp_path)
    body = {"error": {"code": 429, "message": "Rate limit exceeded: free-models-per-min. "}}

    class Refusing(Network):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await super().handle_async_request(request)
            return httpx.Response(429, json=body) if request.method == "POST" else response

    network = Refusing(job, lambda second: None)
    summary = job.run_over(network)
    assert (stop_of(summary).reason, summary.exit_code) == (StopReason.SERVICE_DOWN, 75)
    assert "15 minutes" in stop_of(summary).message
    assert 900 <= network.tries[-1] <= 1100
    assert set(job.table()["attempts"]) == {0}
