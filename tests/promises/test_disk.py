"""Disks that are full, read-only or gone: no recorded answer is lost. With room again, the same command continues."""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.journals import HEADER, attempt, read_rows
from support.processes import JobFolder, finished
from support.rehearsal import Rehearsal, scenario

import batchfree
from batchfree.core.errors import BatchfreeError, OutputError, StorageError
from batchfree.core.stops import StopReason
from batchfree.emulator.http.in_process import InProcessTransport
from batchfree.journal.file import Journal

MIB = 1 << 20
CALM = "limits: {per_minute: null, per_day: null}\nrouter: {draws_classifier: false}\npool: {latency: {constant: 1}}\n"
CONCURRENCY = 4
SPEC = {"limits": {"requests_per_minute": 10_000, "requests_per_day": 10_000, "concurrency": CONCURRENCY}}
ROWS = [{"prompt": f"Name thing {n}."} for n in range(12)]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Inside the block no file of this process can grow beyond `size` bytes; a longer write raises OSError."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit_files(size)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def limit_files(size: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))


def test_a_line_without_room_leaves_no_part_of_itself_in_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path, HEADER).close()
    start = path.stat().st_size
    line = len(_line(tmp_path))
    for size in range(start, start + 2 * line + 5, 9):
        path.write_bytes(path.read_bytes()[:start])
        journal = Journal(path, HEADER)
        room = (size - start) // line
        with files_of_at_most(size):
            for number in range(room):
                journal.append(attempt(number + 1))
            with pytest.raises(
                StorageError, match=r"an answer can't be written: File too large\. All answers before it are safe"
            ):
                journal.append(attempt(8))
            with pytest.raises(StorageError):
                journal.append(attempt(8))
            with pytest.raises(StorageError, match="the disk of the run folder is full"):
                journal.check()
        journal.append(attempt(9))
        journal.close()
        assert read_rows(path) == [*range(1, room + 1), 9]


def _line(folder: Path) -> bytes:
    other = Journal(folder / "other.jsonl", HEADER)
    other.append(attempt(1))
    other.close()
    return (folder / "other.jsonl").read_bytes().splitlines(keepends=True)[1]


class Troubled(Rehearsal):
    """A rehearsal in which something happens to the disk at a moment that the test chooses from the progress."""

    def run_with(self, trouble: Callable[[Any], None]) -> batchfree.Summary | BatchfreeError:
        """Returns the summary, or the error that the command line turns into code 3 or 2."""

        async def main() -> batchfree.Summary:
            transport = InProcessTransport(self.emulator)
            return await batchfree.arun(
                self.job(), batchfree.RunOptions(), trouble, clock=self.time.clock, transport=transport
            )

        try:
            summary: batchfree.Summary = self.time.run(main)
            return summary
        except BatchfreeError as error:
            return error


def troubled(folder: Path, rows: list[dict[str, Any]] = ROWS, **spec: Any) -> Troubled:
    folder.mkdir(exist_ok=True)
    return Troubled(folder, rows, {**SPEC, **spec}, scenario(CALM))


def assert_continues(job: Rehearsal, lost: int = CONCURRENCY) -> None:
    """Runs the job with room again: it answers the other rows, and asks no recorded row again."""
    summary = job.run()
    assert (summary.exit_code, summary.counts.ok) == (0, 12)
    assert len(job.posts) <= 12 + lost
    assert job.table()["status"].to_list() == ["ok"] * 12


def assert_disk(ended: batchfree.Summary | BatchfreeError) -> None:
    if isinstance(ended, BatchfreeError):
        assert isinstance(ended, StorageError), ended
        assert any(word in str(ended) for word in ("File too large", "No space left", "full", "can't be")), ended
    else:
        assert (ended.exit_code, ended.stopped and ended.stopped.reason) == (3, StopReason.DISK), ended


@pytest.mark.parametrize("room", range(0, 4000, 613))
def test_a_disk_that_fills_during_a_run_costs_the_requests_in_flight_at_most(tmp_path: Path, room: int) -> None:
    job = troubled(tmp_path)
    journal = tmp_path / "job.run" / "journal.jsonl"

    def fill(progress: Any) -> None:
        if progress.requests == 2 and progress.in_flight:
            limit_files(journal.stat().st_size + room)

    with files_of_at_most(resource.RLIM_INFINITY):
        assert_disk(job.run_with(fill))
    recorded = journal.read_bytes().count(b"\n") - 1
    assert 2 <= recorded <= len(job.posts) <= recorded + CONCURRENCY
    assert_continues(job)


@pytest.mark.parametrize("size", [0, 90, 1000, 5000, 40_000, 100_000, MIB])
def test_on_a_disk_without_room_nothing_is_sent(tmp_path: Path, size: int) -> None:
    job = troubled(tmp_path)
    with files_of_at_most(size):
        assert_disk(job.run_with(lambda progress: None))
    assert job.posts == []
    assert_continues(job, lost=0)


@pytest.mark.parametrize("extra", [200, 1000, 3000, 6000])
def test_as_many_rows_are_asked_as_fit_on_the_disk(tmp_path: Path, extra: int) -> None:
    job = troubled(tmp_path)
    with files_of_at_most(MIB + extra):
        assert_disk(job.run_with(lambda progress: None))
    recorded = (tmp_path / "job.run" / "journal.jsonl").read_bytes().count(b"\n") - 1
    assert len(job.posts) == recorded < 12
    assert_continues(job, lost=0)


def test_a_table_without_room_leaves_the_old_table(tmp_path: Path) -> None:
    rng = random.Random(1)
    noise = [{**row, "noise": rng.randbytes(200_000).hex()} for row in ROWS]
    job = troubled(tmp_path, noise[:6])
    job.run()
    old = (tmp_path / "out.parquet").read_bytes()
    job.write_rows(noise)
    with files_of_at_most(len(old) + 300_000):
        ended = job.run_with(lambda progress: None)
    assert isinstance(ended, StorageError)
    assert "the table can't be written" in str(ended)
    assert "The answers are safe in the journal" in str(ended)
    assert (tmp_path / "out.parquet").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []
    assert_continues(job, lost=0)


@pytest.mark.parametrize("answered", [0, 5])
def test_a_run_whose_folder_vanishes_ends_with_its_table(tmp_path: Path, answered: int) -> None:
    job = troubled(tmp_path)

    def vanish(progress: Any) -> None:
        if progress.requests == answered and progress.in_flight:
            shutil.rmtree(tmp_path / "job.run", ignore_errors=True)

    ended = job.run_with(vanish)
    assert isinstance(ended, batchfree.Summary)
    assert_disk(ended)
    asked = len(job.posts)
    assert answered < asked <= answered + CONCURRENCY
    assert job.table()["status"].to_list().count("ok") == asked, "all answers are in the table"
    assert_continues(job, lost=asked)


@pytest.mark.parametrize(
    "spec",
    [
        {"output": "file/out.parquet"},
        {"output": "/proc/none/out.parquet"},
        {"run_dir": "file/x.run"},
        {"run_dir": "/proc/none.run"},
        {"output": "folder.parquet"},
    ],
    ids=lambda spec: "".join(spec.values()),
)
def test_without_a_writable_place_nothing_is_sent(tmp_path: Path, spec: dict[str, Any]) -> None:
    job = troubled(tmp_path, **spec)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.parquet").mkdir()
    ended = job.run_with(lambda progress: None)
    assert isinstance(ended, OutputError | batchfree.SpecError), ended
    assert job.posts == []


@pytest.mark.parametrize(("size", "code"), [(0, 3), (MIB + 1000, 3)])
def test_the_command_line_reports_a_full_disk_in_one_sentence_and_continues_later(
    tmp_path: Path, size: int, code: int
) -> None:
    job = JobFolder(tmp_path, 12)
    with files_of_at_most(size):
        process = job.start(None)  # inherits the limit
    done = finished(process)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert any(word in done.stderr for word in ("File too large", "disk is full", "the disk of")), done.stderr
    done = job.run(None)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a tmpfs needs privileges that this process lacks")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("pages", range(0, 6, 2))
def test_a_run_survives_a_file_system_that_others_fill(tmp_path: Path, small_disk: Path, pages: int) -> None:
    job = troubled(tmp_path / "job", output=str(small_disk / "out.parquet"))

    def fill(progress: Any) -> None:
        if progress.requests == 2 and progress.in_flight:
            _fill(small_disk, leave=4096 * pages)

    assert_disk(job.run_with(fill))
    recorded = (small_disk / "job.run" / "journal.jsonl").read_bytes().count(b"\n") - 1
    assert 2 <= recorded <= len(job.posts) <= recorded + CONCURRENCY
    asked = len(job.posts)
    assert_disk(job.run_with(lambda progress: None))
    assert len(job.posts) == asked, "on a full disk nothing is sent"
    (small_disk / "ballast").unlink()
    assert job.run().counts.ok == 12


def test_a_read_only_file_system_is_refused(tmp_path: Path, small_disk: Path) -> None:
    job = troubled(tmp_path / "job", output=str(small_disk / "out.parquet"))
    assert job.run().exit_code == 0
    job.write_rows([*ROWS, {"prompt": "One more."}])
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    ended = job.run_with(lambda progress: None)
    assert isinstance(ended, OutputError | batchfree.SpecError)
    assert len(job.posts) == 12
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert job.run().counts.ok == 13


def _fill(place: Path, leave: int) -> None:
    """Fills a file system until `leave` bytes are free."""
    disk = os.statvfs(place)
    with (place / "ballast").open("ab") as file:
        file.write(bytes(max(0, disk.f_bavail * disk.f_frsize - leave)))
