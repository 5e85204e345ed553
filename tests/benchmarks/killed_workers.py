"""A job in parts on Ray, of which a random worker is killed every ten seconds: is each row answered once? By hand:

    PYTHONPATH=tests python tests/benchmarks/killed_workers.py [--rows 100000] [--parts 8] [--every 10]
                                                              [--concurrency 16] [--latency 0.05] [--keep FOLDER]

The server gives every request the same reply, and counts how often each row was asked. A request in flight on a killed
worker is asked again, so each kill may repeat as many requests as a worker has in flight. `--every 0` kills nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

import polars as pl
from support.fixed_server import fixed_server
from support.processes import JobFolder, batchfree


def workers(job: JobFolder) -> list[int]:
    """The living processes that hold the lock of a part."""
    texts = [lock.read_text() for lock in job.run_dir.glob("parts/*/lock")]
    pids = [json.loads(text)["pid"] for text in texts if text.endswith("}\n")]
    return [pid for pid in pids if is_worker(pid)]


def is_worker(pid: int) -> bool:
    """Whether a process lives, and is a worker of Ray: a dead one may have left its number to another program."""
    try:
        return b"ray::" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def kill_now_and_then(run: subprocess.Popen[str], job: JobFolder, every: float) -> int:
    """Kills a random worker every so many seconds until the run ends; returns the number of kills."""
    rng, kills, due = random.Random(1), 0, None
    while run.poll() is None:
        time.sleep(0.1)
        alive = workers(job) if every else []
        if alive and due is None:
            due = time.monotonic() + every
        if alive and due is not None and time.monotonic() >= due:
            os.kill(rng.choice(alive), signal.SIGKILL)
            kills, due = kills + 1, time.monotonic() + every
    return kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--parts", type=int, default=8)
    parser.add_argument("--every", type=float, default=10, help="seconds between two kills")
    parser.add_argument("--concurrency", type=int, default=16, help="requests in flight of each part")
    parser.add_argument("--latency", type=float, default=0.05, help="seconds of a request")
    parser.add_argument("--keep", type=Path, help="a folder that is kept, for other measurements")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, fixed_server(options.latency) as server:
        job = JobFolder(
            (options.keep or Path(name)).absolute(),
            options.rows,
            endpoint=server.url,
            router={"route": "fixed/one"},
            limits={"concurrency": options.concurrency},
            executor={"name": "ray", "parts": options.parts, "cpus": 0.1},
        )
        began = time.monotonic()
        run = batchfree(job.folder, ["run", str(job.file), "-q"], stderr=subprocess.PIPE, text=True)
        kills = kill_now_and_then(run, job, options.every)
        _, said = run.communicate()
        seconds, asked = time.monotonic() - began, server.asked()
        report(job, asked, kills, options.concurrency)
    print(f"{seconds:.0f} s, exit code {run.returncode}\n{said}")


def report(job: JobFolder, asked: Counter[int], kills: int, concurrency: int) -> None:
    """Prints what became of the rows."""
    table = pl.read_parquet(job.folder / "table.parquet")
    states = dict(table["status"].value_counts().iter_rows())
    journal = sum(each.stat().st_size for each in job.run_dir.rglob("journal.jsonl"))
    repeats = sum(count - 1 for count in asked.values())
    print(f"{table.height:,} rows, {table['n'].n_unique():,} different, {states}; asked {len(asked):,}")
    print(f"{kills} kills, {repeats} requests repeated, at most {kills * concurrency} in flight on killed workers")
    print(f"journals {journal / 1e6:,.0f} MB, table {(job.folder / 'table.parquet').stat().st_size / 1e6:,.1f} MB")


if __name__ == "__main__":
    main()
