"""One run of a job at a time, also after a killed run; and commands that read during a run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from pathlib import Path

import polars as pl
import pytest
from support.processes import JobFolder, emulator, finished, until
from support.rehearsal import Rehearsal, stop_of

import batchfree
from batchfree import Progress, Summary
from batchfree.core.errors import OutputError, StorageError
from batchfree.core.stops import StopReason
from batchfree.emulator.http.in_process import InProcessTransport
from batchfree.job.status import status
from batchfree.journal import lock

ROWS = [{"prompt": f"Name thing {n}."} for n in range(3)]


def test_a_second_run_stops_and_names_the_process_that_holds_the_lock(tmp_path: Path) -> None:
    job = Rehearsal(tmp_path, ROWS)
    assert job.run().exit_code == 0
    with lock.hold_alone(tmp_path / "job.run" / "lock") as holder:
        assert holder is None
        summary = job.run()
    assert (summary.exit_code, summary.counts.ok) == (75, 3), "all is answered, but the table is not checked"
    assert summary.stopped is not None
    assert summary.stopped.reason is StopReason.LOCKED
    assert f"process {os.getpid()} on " in summary.stopped.message
    assert len(job.posts) == 3


@pytest.mark.parametrize(
    "left",
    [b"", b"{", b'{"pid": 1, "host": "another-boot"}\n', b'["pid"]', b"\xff" * 9000],
    ids=["empty", "torn", "another's", "odd", "garbage"],
)
def test_a_lock_that_was_left_behind_is_taken_over(tmp_path: Path, left: bytes) -> None:
    path = tmp_path / "lock"
    path.write_bytes(left)
    assert lock.find_holder(path) is None
    with lock.hold_alone(path) as holder:
        assert holder is None
        assert json.loads(path.read_bytes())["pid"] == os.getpid()
        assert f"process {os.getpid()}" in (lock.find_holder(path) or "")
        path.write_bytes(left)
        assert lock.find_holder(path) == ("process 1 on another-boot" if b"boot" in left else "another process")
    assert lock.find_holder(path) is None


def test_looking_for_the_holder_never_blocks_a_run(tmp_path: Path) -> None:
    path, over = tmp_path / "lock", threading.Event()

    def look() -> None:
        while not over.is_set():
            lock.find_holder(path)

    watchers = [threading.Thread(target=look) for _ in range(2)]
    for watcher in watchers:
        watcher.start()
    try:
        for _ in range(100):
            with lock.hold_alone(path) as holder:
                assert holder is None
    finally:
        over.set()
        for watcher in watchers:
            watcher.join()


def test_the_lock_lies_on_the_journal_too(tmp_path: Path) -> None:
    job = Rehearsal(tmp_path, ROWS)
    assert job.run().exit_code == 0
    folder = tmp_path / "job.run"
    with lock.hold_alone(folder / "lock", folder / "journal.jsonl") as holder:
        assert holder is None
        (folder / "lock").unlink()
        summaries = job.run(), job.run(fresh=True)
        assert lock.find_holder(folder / "lock", folder / "journal.jsonl") == "another process"
    assert [summary.exit_code for summary in summaries] == [75, 75]
    assert "another run of this job is going" in stop_of(summaries[1]).message
    assert len(job.posts) == 3


def test_after_a_fresh_start_the_new_journal_is_locked(tmp_path: Path) -> None:
    job = Rehearsal(tmp_path, ROWS)
    assert job.run().exit_code == 0
    looks: list[str | None] = []
    folder = tmp_path / "job.run"

    def look(progress: Progress) -> None:
        (folder / "lock").unlink(missing_ok=True)
        looks.append(lock.find_holder(folder / "lock", folder / "journal.jsonl"))

    async def main() -> Summary:
        return await batchfree.arun(
            job.job(),
            batchfree.RunOptions(fresh=True),
            look,
            clock=job.time.clock,
            transport=InProcessTransport(job.emulator),
        )

    assert job.time.run(main).exit_code == 0
    assert looks[-3:] == ["another process"] * 3


@pytest.mark.parametrize("loss", ["moved", "deleted"])
def test_a_run_whose_folder_vanished_says_so_and_sends_nothing_more(tmp_path: Path, loss: str) -> None:
    job = JobFolder(tmp_path, 40)
    with emulator(tmp_path, latency=0.3) as service:
        running = job.start(service)
        assert until(lambda: len(job.attempts()) >= 4, running)
        running.send_signal(signal.SIGSTOP)
        if loss == "moved":
            job.run_dir.rename(tmp_path / "moved")
        else:
            shutil.rmtree(job.run_dir)
        running.send_signal(signal.SIGCONT)
        ended = finished(running)
        sent = len(service.posts())
    assert ended.returncode == 3, ended.stderr
    assert "the journal was moved or deleted during the run" in ended.stderr
    assert sent <= 12, "only the requests that were in flight"
    assert (job.table()["status"] == "ok").sum() == sent, "their answers are in the table"


@pytest.mark.parametrize(("place", "error"), [("missing/lock", OutputError), ("file/lock", OutputError)])
def test_a_lock_that_can_not_be_created_is_an_error(tmp_path: Path, place: str, error: type[StorageError]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(error, match="the run can't be locked"), lock.hold_alone(tmp_path / place):
        pass


def test_during_a_run_other_runs_stop_and_other_commands_read(tmp_path: Path) -> None:
    job = JobFolder(tmp_path, 120)
    with emulator(tmp_path, latency=0.3) as service:
        job.write_spec(endpoint=service.url)
        running = job.start(service)
        assert until(lambda: len(job.attempts()) >= 4, running)
        seen = [status(job.load(), 0.0) for _ in range(20)]
        running.send_signal(signal.SIGSTOP)  # it holds the lock, and has no end before all have looked
        second = job.start(service)
        state = job.command("status", "--json")
        export = job.command("export", "-o", str(tmp_path / "now.jsonl"), "--json")
        refused = finished(second)
        assert running.poll() is None
        assert (refused.returncode, f"process {running.pid} on" in refused.stderr) == (75, True), refused.stderr
        running.send_signal(signal.SIGKILL)
        finished(running)
        assert not status(job.load(), 0.0).running
        assert job.run(service, "--set", "limits.concurrency=40").returncode == 0
    counts = [each.counts for each in seen]
    assert all(each.running for each in seen)
    assert all(each.rows == 120 for each in counts)
    assert [each.ok for each in counts] == sorted(each.ok for each in counts)
    told = json.loads(state.stdout)
    assert told["running"] is True
    assert 4 <= told["counts"]["ok"] < 120
    assert sum(told["counts"].values()) == 120
    assert json.loads(export.stdout)["rows"] == 120
    table = pl.read_ndjson(tmp_path / "now.jsonl", infer_schema_length=None)
    assert table["n"].to_list() == list(range(120))
    assert 4 <= (table["status"] == "ok").sum() < 120
    assert set(table["status"]) == {"ok", "pending"}
    assert len(service.asked()) - 120 <= 4
