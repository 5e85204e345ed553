"""A signal lets the answers in flight land; a second one leaves at once; neither stands in the way of the next run."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from support.processes import JobFolder, emulator, finished, until

FIRST, IN_FLIGHT = 4, 4
LATENCY = 1.0
SILENT = "faults: [{fault: silence, nth: '5-'}]\n"


def rows(first: int) -> list[dict[str, Any]]:
    return [{"n": n} for n in range(first, first + 20)]


def test_a_signal_lets_the_answers_in_flight_land(tmp_path: Path) -> None:
    codes = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}
    jobs = {number: JobFolder(tmp_path / number.name, rows(100 * number)) for number in codes}
    with emulator(tmp_path, latency=LATENCY) as service:
        running = {number: job.start(service) for number, job in jobs.items()}
        landed = {}
        for number, process in running.items():
            assert until(lambda job=jobs[number]: len(job.attempts()) >= FIRST, process)
            landed[number] = len(jobs[number].attempts())
            process.send_signal(number)
        ended = {number: finished(process) for number, process in running.items()}
        asked = service.asked()
    for number, job in jobs.items():
        assert ended[number].returncode == codes[number], ended[number].stderr
        assert f"{number.name} received; the answers in flight were recorded" in ended[number].stderr
        own = {row for row in asked if row // 100 == number}
        assert len(own) <= landed[number] + IN_FLIGHT, "nothing was started after the signal"
        table = job.table()
        assert table.height == 20
        assert set(table.filter(status="ok")["n"]) == own, "all that was asked has landed and is in the table"
        assert (table["status"] == "pending").sum() == 20 - len(own) > 0
    again = jobs[signal.SIGTERM].run(None)
    assert (again.returncode, len(jobs[signal.SIGTERM].answered())) == (0, 20), again.stderr


@pytest.mark.parametrize("second", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_second_signal_leaves_at_once_and_blocks_nothing(tmp_path: Path, second: signal.Signals) -> None:
    job = JobFolder(tmp_path, 20)
    with emulator(tmp_path, more=SILENT) as service:
        process = job.start(service)
        assert until(lambda: len(job.attempts()) >= FIRST, process)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        began = time.monotonic()
        process.send_signal(second)
        assert finished(process).returncode == 130
        assert time.monotonic() - began < 5
    assert not (tmp_path / "table.parquet").exists()
    assert len(job.attempts()) == FIRST
    again = job.run(None)
    assert again.returncode == 0, again.stderr
    assert len(job.answered()) == 20
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


@pytest.mark.parametrize("progress", ["bar", pytest.param("plain", marks=pytest.mark.slow)])
def test_a_terminal_that_is_closed_counts_as_a_request_to_stop(tmp_path: Path, progress: str) -> None:
    job = JobFolder(tmp_path, 20)
    with emulator(tmp_path, latency=0.5) as service:
        ours, theirs = pty.openpty()
        options = {"stdout": theirs, "stderr": theirs, "stdin": theirs, "text": False}
        process = job.start(
            service, "--progress", progress, start_new_session=True, preexec_fn=_take_terminal, **options
        )
        os.close(theirs)
        assert until(lambda: len(job.attempts()) >= FIRST, process)
        os.close(ours)
        assert process.wait(30) == 143
    assert job.table().height == 20
    assert (job.table()["status"] == "ok").sum() == len(service.asked()) < 20


def _take_terminal() -> None:
    """Makes standard input the controlling terminal of the new session, so that closing it hangs up."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
