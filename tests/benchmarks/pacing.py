"""Compares the duration of a run with the shortest possible one, on the real clock. Run by hand:

    PYTHONPATH=tests python tests/benchmarks/pacing.py [--rows 60] [--cap 20] [--told 20] [--unnamed] [--align SECONDS]

`--cap`: the requests per minute that the service allows; it counts clock minutes. `--told`: the limit in the job file
(0: far too large a number). The shortest possible run has `--cap` starts in each 60 seconds, and ends with the time of
one answer. The benchmark takes that time: 60 rows at 20 a minute take two minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import polars as pl
import yaml
from support.processes import batchfree, environment

UNKNOWN = 1_000_000
LATENCY = 0.8


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--cap", type=int, default=20)
    parser.add_argument("--told", type=int, default=20)
    parser.add_argument("--unnamed", action="store_true", help="the service names a higher limit than it applies")
    parser.add_argument("--align", type=float, help="start at this second of a clock minute")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder, arguments)
        if arguments.align is not None:
            time.sleep((arguments.align - time.time()) % 60)
        return timed(folder, arguments)


def write(folder: Path, arguments: argparse.Namespace) -> None:
    """Scenario, input and job."""
    limits = {"per_minute": arguments.cap, "per_day": 1000}
    if arguments.unnamed:
        limits["told_per_minute"] = UNKNOWN
    scenario = {
        "limits": limits,
        "router": {"draws_classifier": False},
        "pool": {"accuracy": 1.0, "follows": 1.0, "latency": {"constant": LATENCY}},
    }
    (folder / "scenario.yaml").write_text(yaml.safe_dump(scenario))
    rows = ({"prompt": f"What is the name of thing number {n}?"} for n in range(arguments.rows))
    (folder / "input.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = {"requests_per_minute": arguments.told or UNKNOWN}
    job = {"input": "input.jsonl", "output": "table.parquet", "limits": told}
    (folder / "job.yaml").write_text(yaml.safe_dump(job))


def timed(folder: Path, arguments: argparse.Namespace) -> int:
    """Runs the job against an emulator in another process; prints the duration and the refused requests."""
    book = folder / "book.jsonl"
    emulate = ["emulate", "--port", "0", "--scenario", str(folder / "scenario.yaml"), "--book", str(book)]
    with batchfree(folder, emulate, stderr=subprocess.PIPE, text=True) as emulator:
        assert emulator.stderr is not None
        url = emulator.stderr.readline().split()[-1]
        run = [sys.executable, "-m", "batchfree", "run", str(folder / "job.yaml"), "--endpoint", url, "-q"]
        began, cpu = time.time(), os.times().children_user + os.times().children_system
        code = subprocess.call(run, env=environment(folder))
        wall = time.time() - began
        cpu = os.times().children_user + os.times().children_system - cpu
        emulator.terminate()
    posts = sorted(map(json.loads, book.read_text().splitlines()), key=lambda post: post["at"])
    ats = [post["at"] for post in posts]
    ideal = 60.0 * ((arguments.rows - 1) // arguments.cap) + LATENCY
    makespan = max(post["done_at"] for post in posts) - ats[0]
    refused = [post for post in posts if post["status"] == 429]
    window = min((later - earlier for earlier, later in zip(ats, ats[arguments.cap :], strict=False)), default=0)
    ok = pl.read_parquet(folder / "table.parquet")["status"].eq("ok").sum()
    print(f"{ok} of {arguments.rows} rows answered, exit code {code}; {len(posts)} requests, {len(refused)} refused")
    print(f"makespan {makespan:.1f} s, {makespan / ideal:.3f} x the ideal of {ideal:.1f} s; the process {wall:.1f} s")
    print(
        f"began at second {ats[0] % 60:.1f}; {arguments.cap + 1} starts span {window:.2f} s at least; cpu {cpu:.1f} s"
    )
    print("refused at", [round(post["at"] - ats[0], 1) for post in refused])
    print("longest gap", max((later - earlier for earlier, later in pairwise(ats)), default=0))
    return 0 if ok == arguments.rows and code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
