"""CPU and speed per row against a server that always gives the same reply, as a ratio to a bare loop.

    PYTHONPATH=tests python tests/benchmarks/throughput.py [--rows 10000] [--runs 5] [--concurrency 32] [--tools …]
                                                          [--peers PYTHON]

The yardstick is a raw aiohttp loop that POSTs the same bodies and writes JSON lines. Both run in turn, each in its own
process; the CPU is that of the whole process. Marginal CPU per row = (CPU at N rows − CPU at 64) / (N − 64). The table
shows medians. `batchfree` sends by aiohttp, as without the extra `fast`; `batchfree[fast]` sends by wreq.
`--tools "aiohttp loop,batchfree,openai client,litellm"` lets other tools join, each with a semaphore; they have neither
a journal nor a table. `--peers` is the Python of an environment in which they are installed.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from support.fixed_server import fixed_server

ROOT = Path(__file__).parents[2]
SMALL = 64
LOOP = """
import asyncio, json, sys, aiohttp
url, rows, out, concurrency = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
async def main():
    lines = iter(open(rows))
    with open(out, "w") as file:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:
            async def work():
                for line in lines:
                    messages = [{"role": "user", "content": json.loads(line)["prompt"]}]
                    body = {"model": "one", "messages": messages}
                    async with session.post(url + "/chat/completions", json=body) as got:
                        reply = await got.json()
                    file.write(json.dumps({"answer": reply["choices"][0]["message"]["content"]}) + "\\n")
            await asyncio.gather(*(work() for _ in range(concurrency)))
asyncio.run(main())
"""
OPENAI = """
import asyncio, json, sys, openai
url, rows, out, concurrency = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
async def main():
    client, free = openai.AsyncOpenAI(base_url=url, api_key="none"), asyncio.Semaphore(concurrency)
    async def ask(line):
        async with free:
            messages = [{"role": "user", "content": json.loads(line)["prompt"]}]
            reply = await client.chat.completions.create(model="one", messages=messages)
            return json.dumps({"answer": reply.choices[0].message.content}) + "\\n"
    with open(out, "w") as file:
        for each in await asyncio.gather(*map(ask, open(rows))): file.write(each)
asyncio.run(main())
"""

LITELLM = """
import asyncio, json, sys, litellm
url, rows, out, concurrency = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
async def main():
    free = asyncio.Semaphore(concurrency)
    async def ask(line):
        async with free:
            messages = [{"role": "user", "content": json.loads(line)["prompt"]}]
            reply = await litellm.acompletion(model="openai/one", api_base=url, api_key="none", messages=messages)
            return json.dumps({"answer": reply.choices[0].message.content}) + "\\n"
    with open(out, "w") as file:
        for each in await asyncio.gather(*map(ask, open(rows))): file.write(each)
asyncio.run(main())
"""
SCRIPTS = {"aiohttp loop": LOOP, "openai client": OPENAI, "litellm": LITELLM}


class Measured:
    """Wall and CPU seconds of one process."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _, status, usage = os.wait4(process.pid, 0)
        self.wall = time.perf_counter() - began
        self.cpu = usage.ru_utime + usage.ru_stime
        self.peak_mb = usage.ru_maxrss / 1024
        if status:
            raise SystemExit(
                f"{command} failed: {process.stderr.read().decode()[-2000:] if process.stderr else status}"
            )


def batchfree_command(tool: str, folder: Path, url: str, rows: Path, concurrency: int) -> list[str]:
    job = folder / "job.yaml"
    job.write_text(
        f"input: {rows}\noutput: {folder}/job.parquet\nendpoint: {url}\nrouter: {{route: one}}\n"
        f"limits: {{concurrency: {concurrency}}}\n"
    )
    start = "import sys; from batchfree.cli import main; sys.exit(main(['run', sys.argv[1], '-q']))"
    if tool == "batchfree":
        start = f"import sys; sys.modules['wreq'] = None; {start}"
    return [sys.executable, "-c", start, str(job)]


def measure(url: str, rows: int, concurrency: int, tool: str, peers: str) -> Measured:
    """One run of a tool over this number of rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "rows.jsonl"
        prompt = "Say in one short sentence what this text is about. " + "word " * 50
        data.write_text("".join(json.dumps({"prompt": f"{number} {prompt}"}) + "\n" for number in range(rows)))
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "BATCHFREE_STATE_DIR": f"{folder}/state",
            "BATCHFREE_CACHE_DIR": f"{folder}/cache",
        }
        if tool.startswith("batchfree"):
            return Measured(batchfree_command(tool, folder, url, data, concurrency), environment)
        python = sys.executable if tool == "aiohttp loop" else peers
        arguments = [url, str(data), f"{folder}/out", str(concurrency)]
        return Measured([python, "-c", SCRIPTS[tool], *arguments], environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--tools", default="aiohttp loop,batchfree,batchfree[fast]")
    parser.add_argument("--peers", default=sys.executable)
    options = parser.parse_args()
    tools = options.tools.split(",")
    large: dict[str, list[Measured]] = {tool: [] for tool in tools}
    small: dict[str, list[Measured]] = {tool: [] for tool in tools}
    compileall.compile_dir(ROOT / "batchfree", quiet=1)  # as pip does when it installs a package
    with fixed_server() as server:
        for _ in range(options.runs):
            for tool in tools:
                small[tool].append(measure(server.url, SMALL, options.concurrency, tool, options.peers))
                large[tool].append(measure(server.url, options.rows, options.concurrency, tool, options.peers))

    def median(measured: list[Measured], of: Callable[[Measured], float]) -> float:
        return statistics.median(map(of, measured))

    first = None
    print(f"{'tool':16} {'ms CPU/row':>10} {'ratio':>6} {'rows/s':>8} {'64 rows CPU s':>14} {'peak MB':>8}")
    for tool in tools:
        marginal = (median(large[tool], lambda m: m.cpu) - median(small[tool], lambda m: m.cpu)) / (
            options.rows - SMALL
        )
        first = first or marginal
        speed = options.rows / median(large[tool], lambda m: m.wall)
        fixed, peak = median(small[tool], lambda m: m.cpu), median(large[tool], lambda m: m.peak_mb)
        print(f"{tool:16} {marginal * 1000:10.3f} {marginal / first:6.2f} {speed:8.0f} {fixed:14.2f} {peak:8.0f}")


if __name__ == "__main__":
    main()
