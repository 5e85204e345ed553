"""One account on several machines: processes with folders of their own share a ledger on a real PostgreSQL server."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from support.postgres import PostgresServer, run_postgres
from support.processes import Emulator, JobFolder, batchfree, emulator, environment, finished, until

DAY = 60
LIMITS = {"requests_per_minute": 6000, "requests_per_day": DAY}


@pytest.fixture
def fragile() -> Iterator[PostgresServer]:
    """A server that the test may kill."""
    yield from run_postgres()


def shared(folder: Path, server: PostgresServer) -> dict[str, str]:
    """The environment of a machine of which the ledger is in the database."""
    return environment(folder) | {"BATCHFREE_LEDGER": server.url}


def quota(job: JobFolder, service: Emulator, variables: dict[str, str]) -> Any:
    """What `quota --json` prints."""
    command = ["quota", "--endpoint", service.url, "--json"]
    asked = batchfree(job.folder, command, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return json.loads(finished(asked).stdout)


def test_machines_with_folders_of_their_own_share_the_requests_of_the_account(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    with emulator(tmp_path) as service:
        jobs = [JobFolder(tmp_path / name, 40, limits=LIMITS) for name in ("one", "two", "three")]
        ends = [finished(run) for run in [job.start(service, env=shared(job.folder, postgres)) for job in jobs]]
        posts = service.posts()
        used = quota(jobs[0], service, shared(jobs[0].folder, postgres))
        alone = quota(jobs[0], service, environment(jobs[0].folder))
    assert len(posts) == DAY == sum(len(job.answered()) for job in jobs)
    assert 75 in {end.returncode for end in ends} <= {0, 75}
    assert sum(each["today"] for each in used["jobs"]) == DAY
    assert used["ledger"].startswith("postgresql://postgres@/postgres?host=")
    assert alone["jobs"] == []
    assert alone["ledger"].endswith(".sqlite3")


def test_a_database_that_is_killed_and_started_again_costs_no_row_and_no_request(
    tmp_path: Path, fragile: PostgresServer
) -> None:
    with emulator(tmp_path, latency=0.02) as service:
        limits = {"requests_per_minute": 6000, "requests_per_day": 10_000, "concurrency": 4}
        job = JobFolder(tmp_path / "job", 150, limits=limits)
        run = job.start(service, env=shared(job.folder, fragile))
        assert until(lambda: len(job.answered()) > 20, run)
        fragile.kill()
        time.sleep(0.5)  # in which requests in flight are answered and the outage is noticed
        fragile.start()
        end = finished(run)
        asked = service.asked()
    assert (end.returncode, job.answered()) == (0, set(range(150)))
    assert sorted(asked) == list(range(150))
    assert "quota ledger is out of reach" in end.stderr


def test_the_password_of_the_ledger_stands_nowhere(tmp_path: Path, postgres: PostgresServer) -> None:
    password = "pass-of-the-ledger-7"
    postgres.run("DROP ROLE IF EXISTS teammate", f"CREATE ROLE teammate LOGIN PASSWORD '{password}'")
    job = JobFolder(tmp_path / "job", 3)
    broken = f"postgresql://x:{password}@[::1/db"
    variables = environment(job.folder) | {"BATCHFREE_LEDGER": postgres.as_user("teammate", password)}
    with emulator(tmp_path) as service:
        gone = finished(job.start(service, env=variables | {"BATCHFREE_LEDGER": broken}))
        refused = finished(job.start(service, env=variables))
        postgres.run("GRANT CREATE ON DATABASE postgres TO teammate")
        ended = finished(job.start(service, env=variables))
        shown = json.dumps(quota(job, service, variables))
    assert (refused.returncode, ended.returncode, gone.returncode) == (3, 0, 2)
    assert "the right to connect, to create the schema batchfree_" in refused.stderr
    assert "postgresql://teammate@/postgres" in shown
    files = [each.read_bytes() for each in job.folder.rglob("*") if each.is_file()]
    texts = chain.from_iterable((end.stdout, end.stderr) for end in (refused, ended, gone))
    assert password not in " ".join((shown, *texts))
    assert not any(password.encode() in content for content in files)


def test_a_url_of_another_kind_is_a_mistake(tmp_path: Path) -> None:
    job = JobFolder(tmp_path, 3)
    end = finished(
        job.start(
            None,
            "--endpoint",
            "http://127.0.0.1:1/v1",
            env=environment(tmp_path) | {"BATCHFREE_LEDGER": "mysql://u:w@host/db"},
        )
    )
    assert end.returncode == 2
    assert end.stderr == "error: BATCHFREE_LEDGER: expected postgresql://user:password@host/database\n"
