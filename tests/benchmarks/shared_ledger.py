"""Real runs in real time that share one account through PostgreSQL: is any 60 seconds ever above the limit?

    PYTHONPATH=tests python tests/benchmarks/shared_ledger.py [minutes] [processes]

The processes keep their state in three folders, as three machines would. The emulator refuses what is above 20 requests
per clock minute; its log also shows the most arrivals in any 60 seconds.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path

from support.postgres import run_postgres
from support.processes import JobFolder, emulator, environment

PER_MINUTE = 20
MACHINES = 3


def main(minutes: float, processes: int) -> None:
    server = next(running := run_postgres())
    with (
        tempfile.TemporaryDirectory() as name,
        emulator(Path(name), limits=f"per_minute: {PER_MINUTE}, per_day: null") as service,
    ):
        limits = {"requests_per_minute": PER_MINUTE, "requests_per_day": 100_000}
        machines = cycle(environment(Path(name) / f"machine-{number}") for number in range(MACHINES))
        began, runs = time.time(), list[subprocess.Popen[str]]()
        for number in range(processes):
            job = JobFolder(Path(name) / f"job-{number}", 1_000, limits=limits, name=f"job-{number}")
            variables = next(machines) | {"BATCHFREE_LEDGER": server.url}
            runs.append(job.start(service, "--until", f"{minutes * 60:.0f}s", env=variables))
        for run in runs:
            run.communicate()
        posts = service.posts()
        seconds = time.time() - began
    at = sorted(post["at"] for post in posts)
    most = max(sum(1 for other in at if first <= other < first + 60) for first in at)
    refused = sum(post["status"] == 429 for post in posts)
    print(f"{processes} processes, {seconds:.0f} s: {len(at)} requests, {refused} refused, most in 60 s: {most}")
    print(f"exit codes: {sorted({run.returncode for run in runs})}")
    running.close()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10, int(sys.argv[2]) if len(sys.argv) > 2 else 10)
