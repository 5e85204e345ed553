"""Jobs in parts on Ray: real clusters on this machine. Without Ray only the refusals are tested."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support.processes import Emulator, JobFolder, emulator, finished, until

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install -e '.[ray]'")
LIMITS = {"requests_per_minute": 100_000, "requests_per_day": 100_000, "concurrency": 4}


def job_on_ray(folder: Path, rows: int, parts: int = 2, **spec: Any) -> JobFolder:
    return JobFolder(folder, rows, limits=LIMITS, executor={"name": "ray", "parts": parts, "cpus": 0.1}, **spec)


def workers(job: JobFolder) -> list[int]:
    """The processes that hold the lock of a part."""
    locks = job.run_dir.glob("parts/*/lock")
    texts = [text for lock in locks if (text := lock.read_text()).endswith("}\n")]
    return [json.loads(text)["pid"] for text in texts]


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def has_asked(service: Emulator, job: JobFolder, rows: int) -> bool:
    """Whether so many requests were answered, and a part is running."""
    return len(service.posts()) > rows and any(map(is_alive, workers(job)))


# Refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--parts", "2"], "--parts: this needs --executor ray"),
        (["--executor", "ray", "--part", "1/2"], "--part: Ray runs all parts"),
        (["--executor", "ray", "--parts", "513"], "--parts: expected at most 512"),
        (["--set", "executor=spark"], "executor.name: expected"),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path: Path, options: list[str], message: str) -> None:
    end = JobFolder(tmp_path, 2).run(None, *options)
    assert end.returncode == 2
    assert message in end.stderr


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_the_message_says_what_to_install(tmp_path: Path) -> None:
    end = job_on_ray(tmp_path, 2).run(None)
    assert end.returncode == 2
    assert "pip install 'batchfree[ray]'" in end.stderr


def test_a_single_part_of_a_job_for_ray_runs_in_this_process(tmp_path: Path) -> None:
    job = job_on_ray(tmp_path, 4)
    assert job.run(None, "--part", "1/1", "-q").returncode == 0


# Runs


@needs_ray
def test_a_job_on_ray_is_one_run_with_one_table(tmp_path: Path) -> None:
    with emulator(tmp_path) as service:
        job = job_on_ray(tmp_path / "job", 40)
        end = job.run(service, "--json")
        asked = Counter(service.asked())
    found = json.loads(end.stdout)
    assert (end.returncode, found["counts"]) == (0, {"ok": 40, "failed": 0, "pending": 0})
    assert (found["requests"], found["part"], found["output"]) == (40, None, str(job.folder / "table.parquet"))
    assert asked == Counter(range(40))
    assert job.table().height == 40


@needs_ray
@pytest.mark.slow
def test_a_mistake_of_the_job_ends_all_parts_with_code_2(tmp_path: Path) -> None:
    job = job_on_ray(tmp_path, 4, prompt="{{ nothing }}")
    end = job.run(None)
    assert end.returncode == 2
    assert "nothing" in end.stderr


@needs_ray
@pytest.mark.slow
def test_workers_write_a_folder_of_parts(tmp_path: Path) -> None:
    job = job_on_ray(tmp_path, 30, parts=3, output="out/")
    assert job.run(None, "-q").returncode == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"part-{n}-of-3.parquet" for n in (1, 2, 3)]


@needs_ray
@pytest.mark.slow
def test_fresh_begins_anew(tmp_path: Path) -> None:
    with emulator(tmp_path) as service:
        job = job_on_ray(tmp_path / "job", 6)
        ends = [job.run(service, "-q"), job.run(service, "-q"), job.run(service, "-q", "--fresh")]
        asked = Counter(service.asked())
    assert [end.returncode for end in ends] == [0, 0, 0]
    assert set(asked.values()) == {2}


@needs_ray
@pytest.mark.slow
def test_killed_workers_cost_no_row_and_no_more_than_the_requests_in_flight(tmp_path: Path) -> None:
    with emulator(tmp_path, latency=0.2) as service:
        job = job_on_ray(tmp_path / "job", 400)
        run, kills = job.start(service, "--json"), 0
        for wanted in (40, 120, 200):
            assert until(partial(has_asked, service, job, wanted), run)
            victim = next(pid for pid in workers(job) if is_alive(pid))

            os.kill(victim, signal.SIGKILL)
            kills += 1
        end = finished(run)
        service.settle()
        asked = Counter(service.asked())
    assert (end.returncode, set(asked)) == (0, set(range(400)))
    assert sum(count - 1 for count in asked.values()) <= kills * LIMITS["concurrency"]
    assert job.table()["status"].unique().to_list() == ["ok"]
    assert json.loads(end.stdout)["counts"]["ok"] == 400, "Ray's own words about dead workers are dropped"


@needs_ray
@pytest.mark.slow
def test_an_interruption_ends_all_parts_within_their_grace_and_loses_nothing(tmp_path: Path) -> None:
    with emulator(tmp_path, latency=0.3) as service:
        job = job_on_ray(tmp_path / "job", 400)
        run = job.start(service)
        assert until(lambda: len(service.posts()) > 20, run)
        run.send_signal(signal.SIGINT)
        end = finished(run)
        service.settle()
        asked = service.asked()
    assert end.returncode == 130
    assert len(asked) == len(set(asked)) == job.table()["status"].to_list().count("ok")


@needs_ray
@pytest.mark.slow
def test_a_killed_command_leaves_no_writer(tmp_path: Path) -> None:
    with emulator(tmp_path, latency=0.5) as service:
        job = job_on_ray(tmp_path / "job", 400)
        run = job.start(service)
        assert until(lambda: len(service.posts()) > 8 and len(workers(job)) == 2, run)
        pids = workers(job)
        run.kill()
        run.communicate()
        deadline = time.monotonic() + 30
        while any(map(is_alive, pids)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert job.run(service, "--executor", "local", "-q").returncode == 0
        service.settle()
        asked = Counter(service.asked())
    assert set(asked) == set(range(400))
    assert sum(count - 1 for count in asked.values()) <= 2 * LIMITS["concurrency"]
