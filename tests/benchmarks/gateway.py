"""What `serve` costs: milliseconds that it adds to a call, and its CPU with idle and waiting clients. Run by hand:

PYTHONPATH=tests python tests/benchmarks/gateway.py
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml
from support.gateway import asking_for
from support.processes import batchfree, emulator

CALLS, CLIENTS, SECONDS = 300, 100, 10.0
CHAT = "/chat/completions"
LIMITS = {"requests_per_minute": 100_000, "requests_per_day": 100_000, "concurrency": 200}
SLOW = "faults: [{respond: {status: 500, body: x}, delay: 300, content: slow}]\n"


@contextmanager
def serving(folder: Path, service: str) -> Iterator[tuple[str, int]]:
    """The base URL of `serve` in a process of its own, and the id of the process."""
    job = folder / "serve.yaml"
    job.write_text(yaml.safe_dump({"input": "rows.jsonl", "limits": LIMITS}))
    command = ["serve", str(job), "--port", "0", "--endpoint", service]
    with batchfree(folder, command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            yield process.stderr.readline().split()[-1], process.pid
        finally:
            process.terminate()


def median_ms(url: str) -> float:
    """Median milliseconds of a call."""
    times = list[float]()
    with httpx.Client(timeout=60) as http:
        for number in range(CALLS):
            began = time.perf_counter()
            http.post(url + CHAT, json=asking_for(f"Question {number}")).raise_for_status()
            times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


async def cpu(process: int) -> float:
    """Per cent of a core that the process uses now."""
    before = cpu_seconds(process)
    await asyncio.sleep(SECONDS)
    return 100 * (cpu_seconds(process) - before) / SECONDS


def cpu_seconds(process: int) -> float:
    """Seconds of processor time of a process (proc_pid_stat(5): fields 14 and 15)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def waiting_streams(url: str, process: int) -> float:
    """Per cent of a core while clients wait for streamed answers."""

    async def wait(http: httpx.AsyncClient) -> None:
        async with http.stream("POST", url + CHAT, json=asking_for("slow", stream=True)) as reply:
            async for _ in reply.aiter_bytes():
                pass

    async with httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=CLIENTS)) as http:
        tasks = [asyncio.create_task(wait(http)) for _ in range(CLIENTS)]
        await asyncio.sleep(5)
        used = await cpu(process)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return used


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    with (
        emulator(folder / "service", more=SLOW) as service,
        serving(folder, service.url) as (url, process),
    ):
        for _ in range(2):
            direct, served = median_ms(service.url), median_ms(url)
            print(f"median call: {direct:.1f} ms direct, {served:.1f} ms through serve, {served - direct:.1f} ms added")
        print(f"nobody: {asyncio.run(cpu(process)):.2f} % of a core")
        print(f"{CLIENTS} waiting streams: {asyncio.run(waiting_streams(url, process)):.2f} % of a core")


if __name__ == "__main__":
    main()
