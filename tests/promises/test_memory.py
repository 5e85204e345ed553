"""Memory that runs out: a row or the run ends with a sentence; journal and table are there, and no answer is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from support.processes import PATIENCE, environment
from support.rehearsal import Rehearsal, scenario, stop_of

import batchfree
from batchfree.core.stops import StopReason
from batchfree.emulator.http.in_process import InProcessTransport

CALM = "limits: {per_minute: null, per_day: null}\nrouter: {draws_classifier: false}\npool: {latency: {constant: 1}}\n"
SPEC = {"limits": {"requests_per_minute": 10_000, "requests_per_day": 10_000, "concurrency": 2}}
ROWS = [{"prompt": f"What is {number} + 1?", "big": number == 5} for number in range(8)]
LIMITED = """
import resource, sys
from pathlib import Path
import batchfree.cli, batchfree.job.api, batchfree.report
import polars as pl
pl.DataFrame({"a": [1]}).lazy().collect(engine="streaming")
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + 130 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (size, size))
sys.exit(batchfree.cli.main(sys.argv[1:]))
"""
LARGE = "".join(f"{{% set k{number} = '{letter}' * n %}}" for number, letter in enumerate("stuvwxyz"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit of the address space that holds")
def test_a_row_whose_prompt_takes_all_memory_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    prompt = f"{{% set n = 19000000 if big else 1 %}}{LARGE}{{{{ prompt }}}}"
    spec = {"input": "rows.jsonl", "output": "out.jsonl", "endpoint": "embedded", "prompt": prompt, **SPEC}
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(spec))
    line = [sys.executable, "-c", LIMITED, "run", str(tmp_path / "job.yaml")]
    surroundings = environment(tmp_path) | {"MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(line, env=surroundings, capture_output=True, text=True, timeout=PATIENCE)
    table = [json.loads(row) for row in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert (done.returncode, [row["status"] for row in table]) == (1, ["ok"] * 5 + ["failed"] + ["ok"] * 2), done.stderr
    assert "not enough memory" in table[5]["error"]


def rehearsal(folder: Path) -> Rehearsal:
    return Rehearsal(folder, ROWS, SPEC, scenario(CALM))


def test_a_run_without_memory_stops_and_leaves_table_and_journal(tmp_path: Path) -> None:
    job = rehearsal(tmp_path)

    def no_memory(progress: Any) -> None:
        if progress.requests == 3 and progress.stopped is None:
            raise MemoryError

    async def main() -> batchfree.Summary:
        transport = InProcessTransport(job.emulator)
        options = batchfree.RunOptions()
        return await batchfree.arun(job.job(), options, no_memory, clock=job.time.clock, transport=transport)

    summary = job.time.run(main)
    stopped = stop_of(summary)
    assert (summary.exit_code, stopped.reason) == (3, StopReason.MEMORY)
    assert "not enough memory" in stopped.message
    assert job.table().height == 8
    assert (job.run().exit_code, job.table()["status"].to_list()) == (0, ["ok"] * 8)


class NoMemory(httpx.AsyncBaseTransport):
    """A service whose responses need more memory than there is."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise MemoryError


def test_a_response_that_takes_all_memory_is_a_failure_of_its_row(tmp_path: Path) -> None:
    job = rehearsal(tmp_path)
    summary = job.run_over(NoMemory())
    assert (summary.exit_code, summary.counts.pending) == (75, 8)
