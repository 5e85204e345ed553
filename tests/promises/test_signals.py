"""A signal lets the answers in flight land, and a second signal ends the process at once. The next run continues."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.processes import PATIENCE, JobFolder, emulator, environment, finished, until

ROWS, FIRST, IN_FLIGHT = 60, 4, 4
LATENCY = 0.5
ALL_AT_ONCE = ("--set", f"limits.concurrency={ROWS}")
TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Makes standard input the controlling terminal of the process, so that closing it sends SIGHUP, and starts Python."""
COMPUTE_FOR_EVER = """
import anyio
from batchfree.run.signals import stop_on_signals
from batchfree.run.switch import Switch

async def compute():
    async with stop_on_signals(Switch()):
        print("computing", flush=True)
        while True:
            pass

anyio.run(compute)
"""
"""A run whose event loop never comes to look at a signal."""
SILENT = "faults: [{fault: silence, nth: '5-'}]\n"


def rows(first: int) -> list[dict[str, Any]]:
    return [{"n": n} for n in range(first, first + ROWS)]


def landed_before(number: signal.Signals, job: JobFolder, process: subprocess.Popen[str]) -> int:
    """Sends a signal and returns the number of attempts in the journal before the process received it."""
    process.send_signal(signal.SIGSTOP)  # a process that stands still records nothing between count and signal
    landed = len(job.attempts())
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    return landed


def test_a_signal_lets_the_answers_in_flight_land(tmp_path: Path) -> None:
    codes = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}
    jobs = {number: JobFolder(tmp_path / number.name, rows(100 * number)) for number in codes}
    with emulator(tmp_path, latency=LATENCY) as service:
        running = {number: job.start(service) for number, job in jobs.items()}
        landed = {}
        for number, process in running.items():
            assert until(partial(has_landed, jobs[number]), process)
            landed[number] = landed_before(number, jobs[number], process)
        ended = {number: finished(process) for number, process in running.items()}
        asked, tables = service.asked(), {number: job.table() for number, job in jobs.items()}
        again = jobs[signal.SIGTERM].run(service, *ALL_AT_ONCE)
    for number, ending in ended.items():
        assert ending.returncode == codes[number], ending.stderr
        assert f"{number.name} received; the answers in flight were recorded" in ending.stderr
        own = {row for row in asked if row // 100 == number}
        # Answers that arrive in the moment of the signal may free their workers for one request more.
        assert len(own) <= landed[number] + 2 * IN_FLIGHT < ROWS, "nothing was started after the signal"
        table = tables[number]
        assert table.height == ROWS
        assert set(table.filter(status="ok")["n"]) == own, "all that was asked has landed and is in the table"
        assert (table["status"] == "pending").sum() == ROWS - len(own)
    assert (again.returncode, len(jobs[signal.SIGTERM].answered())) == (0, ROWS), again.stderr


@pytest.mark.parametrize("second", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_second_signal_leaves_at_once_and_blocks_nothing(tmp_path: Path, second: signal.Signals) -> None:
    job = JobFolder(tmp_path, FIRST + IN_FLIGHT)
    with emulator(tmp_path, more=SILENT) as service:
        process = job.start(service)
        assert until(partial(has_landed, job), process)
        process.send_signal(signal.SIGINT)
        assert not ends_within(process, 0.5)
        for _ in range(20):  # the same signal within a second is the same wish
            process.send_signal(second)
            if ends_within(process, 0.5):
                break
        assert process.poll() == 130, "the answers in flight have 30 seconds to land, and the process left before"
        assert "left at once; the next run asks the rows in flight again" in finished(process).stderr
    assert not (tmp_path / "table.parquet").exists()
    assert len(job.attempts()) == FIRST
    again = job.run(None)
    assert again.returncode == 0, again.stderr
    assert len(job.answered()) == FIRST + IN_FLIGHT
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


def test_two_signals_that_are_one_let_the_answers_in_flight_land(tmp_path: Path) -> None:
    """`timeout` of coreutils signals its child, and then its whole process group, which holds the child too."""
    job = JobFolder(tmp_path, ROWS)
    with emulator(tmp_path, latency=LATENCY) as service:
        process = job.start(service)
        assert until(partial(has_landed, job), process)
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            assert not ends_within(process, 0.002)
        ending = finished(process)
    assert ending.returncode == 143, ending.stderr
    assert "SIGTERM received; the answers in flight were recorded" in ending.stderr
    assert job.table().height == ROWS


def test_a_second_signal_leaves_while_the_run_computes(tmp_path: Path) -> None:
    """The rows are rendered between two looks at the event loop; each of these takes most of its budget."""
    job = JobFolder(tmp_path, 200, prompt="{% for i in range(99999) %}{{ i * i * i }}{% endfor %} thing number {{ n }}")
    process = job.start(None)
    assert until(lambda: job.journal.exists() and job.journal.stat().st_size, process)  # signals are heard before that
    process.send_signal(signal.SIGTERM)
    assert not ends_within(process, 0.1)
    process.send_signal(signal.SIGINT)
    assert ends_within(process, 20), "without the second signal the run computes for a minute"
    assert finished(process).returncode == 143


def test_a_second_signal_leaves_also_if_the_event_loop_never_takes_the_first(tmp_path: Path) -> None:
    command = [sys.executable, "-c", COMPUTE_FOR_EVER]
    with subprocess.Popen(command, env=environment(tmp_path), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "computing\n"
            process.send_signal(signal.SIGINT)
            assert not ends_within(process, 0.3)
            process.send_signal(signal.SIGTERM)
            assert ends_within(process, 20)
        finally:
            process.kill()
    assert process.returncode == 130


@pytest.mark.parametrize("progress", ["bar", pytest.param("plain", marks=pytest.mark.slow)])
def test_a_closed_terminal_counts_as_a_request_to_stop(tmp_path: Path, progress: str) -> None:
    job = JobFolder(tmp_path, ROWS)
    with emulator(tmp_path, latency=LATENCY) as service:
        ours, theirs = pty.openpty()
        options: dict[str, Any] = {"stdout": theirs, "stderr": theirs, "stdin": theirs, "text": False}
        options |= {"launcher": [sys.executable, "-c", TAKE_TERMINAL], "start_new_session": True}
        process = job.start(service, "--progress", progress, **options)
        os.close(theirs)
        assert until(partial(has_landed, job), process)
        os.close(ours)
        assert process.wait(PATIENCE) == 143
    assert job.table().height == ROWS
    assert (job.table()["status"] == "ok").sum() == len(service.asked()) < ROWS


def has_landed(job: JobFolder) -> bool:
    """Whether the first answers are in the journal."""
    return len(job.attempts()) >= FIRST


def ends_within(process: subprocess.Popen[str], seconds: float) -> bool:
    """Whether a process ends in this time."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
