"""The functions that a Python program calls: `load`, `run`, `arun` and `table`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import anyio
import pytest
from support.rehearsal import Rehearsal, scenario

import batchfree
from batchfree.emulator.http.in_process import InProcessTransport

ROWS = [{"prompt": f"What is {n} + 1?"} for n in range(20)]
SPEC = {"limits": {"requests_per_minute": 10_000, "requests_per_day": 10_000, "concurrency": 4}}
SLOW = "limits: {per_minute: null, per_day: null}\nrouter: {draws_classifier: false}\npool: {latency: {constant: 2}}"


def rehearse(folder: Path) -> Rehearsal:
    return Rehearsal(folder, ROWS, SPEC, scenario(SLOW))


def test_run_stays_the_function_when_the_room_of_that_name_is_imported() -> None:
    import_module("batchfree.run.progress")
    assert batchfree.run is import_module("batchfree.executors.run_job").run


def test_run_inside_an_event_loop_names_the_function_to_await(tmp_path: Path) -> None:
    job = rehearse(tmp_path).job()

    async def main() -> None:
        batchfree.run(job)

    with pytest.raises(RuntimeError, match=r"await batchfree\.arun\(job\)"):
        anyio.run(main)


def test_a_table_can_be_read_before_the_first_run_and_after_each_run(tmp_path: Path) -> None:
    job = rehearse(tmp_path)
    assert batchfree.table(job.job()).collect()["status"].to_list() == ["pending"] * 20
    job.run(limit=5)
    assert batchfree.table(job.job()).collect()["status"].to_list().count("ok") == 5
    job.run()
    assert batchfree.table(job.job()).collect().equals(job.table())


def test_a_cancelled_run_loses_no_more_than_the_requests_in_flight(tmp_path: Path) -> None:
    job = rehearse(tmp_path)

    async def main() -> None:
        with anyio.move_on_after(5):  # two rounds of four answers have landed, the third is in flight
            await batchfree.arun(job.job(), clock=job.time.clock, transport=InProcessTransport(job.emulator))

    job.time.run(main)
    assert len(job.posts) == 12
    assert batchfree.table(job.job()).collect()["status"].to_list().count("ok") == 8
    assert job.run().counts.ok == 20
    assert len(job.posts) == 20 + 4


def test_an_error_of_the_observer_ends_the_run_as_it_is(tmp_path: Path) -> None:
    job, errors = rehearse(tmp_path), [LookupError("a bug of the caller")]

    def observe(progress: batchfree.Progress) -> None:
        if progress.ok and errors:
            raise errors.pop()

    async def main() -> None:
        transport = InProcessTransport(job.emulator)
        await batchfree.arun(job.job(), batchfree.RunOptions(), observe, clock=job.time.clock, transport=transport)

    with pytest.raises(LookupError, match="a bug of the caller"):
        job.time.run(main)
