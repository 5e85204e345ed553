"""Runs that are killed at random moments lose nothing and ask nothing twice, as the emulator's log proves."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.processes import PATIENCE, Emulator, JobFolder, emulator, finished, rows_in

CONCURRENCY = 4
LATENCY = "{median: 0.03, sigma: 0.8}"
FAULTS = """
faults:
  - {fault: upstream_429, chance: 0.03}
  - {fault: server_500, chance: 0.03}
  - {fault: cut, chance: 0.03}
"""


@dataclass
class Life:
    """One run from its start to its end or its death: the journal before and after, and the requests of the run.

    `started`: epoch seconds.
    """

    started: float
    answered_before: set[int]
    lines_before: int
    lines_after: int = 0
    asked: list[int] = field(default_factory=list)
    posts: int = 0


def live(job: JobFolder, service: Emulator, rng: random.Random, *, kill: bool) -> Life:
    """Runs the job once. `kill`: the run is killed at a random moment, while it starts, works or writes its table."""
    service.settle()
    life = Life(started=time.time(), answered_before=job.answered(), lines_before=len(job.attempts()))
    process = job.start(service)
    if kill:
        while_starting = rng.random() < 0.2
        target = life.lines_before + rng.randrange(1, 40)
        deadline = time.time() + (rng.uniform(0, 1.2) if while_starting else PATIENCE)
        while process.poll() is None and time.time() < deadline and lines(job) < target:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
    done = finished(process)
    assert done.returncode in ((-signal.SIGKILL, 0) if kill else (0,)), done.stderr
    life.lines_after = len(job.attempts())
    return life


def lines(job: JobFolder) -> int:
    """The number of attempts in the journal."""
    return job.journal.read_bytes().count(b"\n") - 1 if job.journal.exists() else 0


def check(job: JobFolder, service: Emulator, lives: list[Life], rows: int) -> None:
    """Compares the emulator's log with the journal, run by run."""
    for post in service.posts():
        life = next(each for each in reversed(lives) if post["at"] >= each.started)
        life.posts += 1
        life.asked += rows_in(post)
    for life in lives:
        assert not life.answered_before & set(life.asked), "an answered row was asked again"
        assert life.posts - (life.lines_after - life.lines_before) <= CONCURRENCY, "more was lost than was in flight"
    table = job.table()
    assert table["n"].to_list() == list(range(rows))
    assert set(table["status"]) == {"ok"}
    assert job.answered() == set(range(rows))


def torment(folder: Path, *, seed: int, kills: int, rows: int, faults: str = "", **spec: Any) -> None:
    """Kills `kills` runs of a job, lets one run finish, and checks all of them."""
    rng = random.Random(seed)
    job = JobFolder(folder, rows, **spec)
    with emulator(folder, latency=LATENCY, more=faults) as service:
        lives = []
        for _ in range(kills):
            lives.append(live(job, service, rng, kill=True))
            if (folder / "table.parquet").exists():
                assert job.table().height == rows, "half a table"
        lives.append(live(job, service, rng, kill=False))
        check(job, service, lives, rows)


LABELS: dict[str, Any] = {"answer": {"labels": ["odd", "even"]}}


def test_killed_runs_lose_nothing_and_ask_nothing_twice(tmp_path: Path) -> None:
    torment(tmp_path, seed=1, kills=7, rows=120)


def test_killed_runs_of_packs_lose_nothing_and_ask_nothing_twice(tmp_path: Path) -> None:
    torment(tmp_path, seed=2, kills=3, rows=150, pack=5, **LABELS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 15))
def test_twenty_kills_are_survived(tmp_path: Path, seed: int) -> None:
    torment(tmp_path, seed=seed, kills=20, rows=350)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20, 23))
def test_twenty_kills_are_survived_with_packs(tmp_path: Path, seed: int) -> None:
    torment(tmp_path, seed=seed, kills=20, rows=1200, pack=5, **LABELS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30, 33))
def test_twenty_kills_are_survived_on_a_bad_day(tmp_path: Path, seed: int) -> None:
    torment(tmp_path, seed=seed, kills=20, rows=250, faults=FAULTS)
