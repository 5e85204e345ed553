"""Ten processes that share one account through PostgreSQL: is any 60 seconds ever above the limit? By hand:

    PYTHONPATH=tests python tests/benchmarks/shared_ledger.py [--minutes 10] [--processes 10]
    PYTHONPATH=tests python tests/benchmarks/shared_ledger.py --virtual [--minutes 60] [--processes 10]

In real time the processes are runs of their own jobs, with their state in three folders, as on three machines. The
emulator refuses what is above 20 requests per clock minute. In virtual time they are ten rate limiters in this process,
each with a connection of its own. In the middle the database is killed, and started again after 20 seconds.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import tempfile
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import anyio
from support.postgres import PostgresServer, run_postgres
from support.processes import JobFolder, emulator, environment
from support.virtual_time import VirtualTime

from batchfree.service.quota.ledger import Ledger
from batchfree.service.quota.ledger_entries import Start
from batchfree.service.quota.limits import Limits
from batchfree.service.quota.rate_limiter import RateLimiter

PER_MINUTE = 20
MACHINES = 3
WORKERS = 8
LOOK_EVERY = 5.0
"""Seconds between two looks into the ledger."""
OUTAGE = 20.0
"""Seconds for which the database is away."""


def most_in_a_minute(times: Sequence[float]) -> int:
    """The most of these times (epoch seconds) in any 60 seconds."""
    at = sorted(times)
    return max((bisect_left(at, first + 60) - place for place, first in enumerate(at)), default=0)


def starts_during(server: PostgresServer, seconds: float) -> dict[int, float]:
    """The starts in the ledger during some seconds, by id, in epoch seconds. The ledger itself soon forgets them."""
    found, until = dict[int, float](), time.time() + seconds
    while time.time() < until:
        time.sleep(LOOK_EVERY)
        for (schema,) in server.run("SELECT schemaname FROM pg_tables WHERE tablename = 'starts'"):
            found |= dict(server.run(f"SELECT id, at FROM {schema}.starts"))
    return found


def in_real_time(server: PostgresServer, minutes: float, processes: int) -> None:
    """Runs real jobs, and prints what the emulator saw."""
    with (
        tempfile.TemporaryDirectory() as name,
        emulator(Path(name), limits=f"per_minute: {PER_MINUTE}, per_day: null") as service,
    ):
        limits = {"requests_per_minute": PER_MINUTE, "requests_per_day": 100_000}
        machines = cycle(environment(Path(name) / f"machine-{number}") for number in range(MACHINES))
        began, jobs, runs = time.time(), list[JobFolder](), list[subprocess.Popen[str]]()
        for number in range(processes):
            prompt = f"Job {number}: what is the name of thing number {{{{ n }}}}?"
            job = JobFolder(Path(name) / f"job-{number}", 1_000, limits=limits, name="job", prompt=prompt)
            variables = next(machines) | {"BATCHFREE_LEDGER": server.url}
            runs.append(job.start(service, "--until", f"{minutes * 60:.0f}s", env=variables))
            jobs.append(job)
        starts = starts_during(server, minutes * 30)
        server.kill()
        time.sleep(OUTAGE)
        server.start()
        while any(run.poll() is None for run in runs):
            starts |= starts_during(server, LOOK_EVERY)
        for run in runs:
            run.communicate()
        posts, seconds = service.posts(), time.time() - began
        answered = sum(len(job.answered()) for job in jobs)
    asked = Counter(post["body"]["messages"][-1]["content"] for post in posts if post["status"] == 200)
    refused = sum(post["status"] == 429 for post in posts)
    print(f"{processes} processes, {seconds:.0f} s: {len(posts)} requests, {refused} refused")
    print(f"most starts in 60 s: {most_in_a_minute(list(starts.values()))}, of {len(starts)}")
    print(f"rows asked: {len(asked)}, more than once: {sum(n > 1 for n in asked.values())}, answers kept: {answered}")
    print(f"exit codes: {sorted({run.returncode for run in runs})}")


async def share_an_hour(limiters: Sequence[RateLimiter], server: PostgresServer, seconds: float) -> list[list[float]]:
    """The starts of each process, in epoch seconds."""
    rng, over = random.Random(1), anyio.Event()
    starts: list[list[float]] = [[] for _ in limiters]

    async def work(number: int) -> None:
        while isinstance(start := await limiters[number].acquire(over), Start):
            starts[number].append(start.at)
            await anyio.sleep(rng.uniform(0, 3))

    async with anyio.create_task_group() as tasks:
        for number in range(len(limiters)):
            for _ in range(WORKERS):
                tasks.start_soon(work, number)
        await anyio.sleep(seconds / 2)
        server.kill()
        await anyio.sleep(OUTAGE)
        server.start()
        await anyio.sleep(seconds / 2 - OUTAGE)
        over.set()
    return starts


def in_virtual_time(server: PostgresServer, minutes: float, processes: int) -> None:
    """Runs rate limiters, and prints their starts."""
    virtual, place, began = VirtualTime(), server.place(), time.time()
    ledgers = [Ledger(place, virtual.clock) for _ in range(processes)]
    limits = Limits(per_minute=PER_MINUTE)
    limiters = [RateLimiter(ledger, limits, f"job-{n}", clock=virtual.clock) for n, ledger in enumerate(ledgers)]
    starts = virtual.run(share_an_hour, limiters, server, minutes * 60)
    counts, at = [len(each) for each in starts], [at for each in starts for at in each]
    written = server.run(f"SELECT sum(starts) FROM batchfree_{place.fingerprint}.days")[0][0]
    for ledger in ledgers:
        ledger.close()
    print(f"{processes} processes, {virtual.elapsed:.0f} virtual s in {time.time() - began:.0f} s: {len(at)} starts")
    print(f"most starts in 60 s: {most_in_a_minute(at)}, starts in the ledger: {written}")
    print(f"per process: {min(counts)} to {max(counts)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, help="10 in real time, 60 in virtual time unless given")
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--virtual", action="store_true")
    options = parser.parse_args()
    server = next(running := run_postgres())
    run = in_virtual_time if options.virtual else in_real_time
    run(server, options.minutes or (60 if options.virtual else 10), options.processes)
    running.close()


if __name__ == "__main__":
    main()
