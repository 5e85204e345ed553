"""Measures time and memory of a job with a million answered rows until it sends the next request. Run by hand:

    PYTHONPATH=tests python tests/benchmarks/resume.py [ROWS] [--id] [--keep FOLDER]

The script writes input and journal with batchfree's own classes. Then it measures a real run against the emulator:
from the start of the process to the arrival of the first request, and to the end of the run with its table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from batchfree.core.chat import ChatRequest
from batchfree.job.open_job import open_job
from batchfree.jobspec.job import load
from batchfree.journal.attempts import Attempt, Outcome
from batchfree.journal.file import FORMAT, Header, Journal
from batchfree.journal.questions import digest

SECONDS_MOST, MIB_MOST = 30.0, 600.0
NEW = 1


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--id", action="store_true", help="with input.id")
    parser.add_argument("--keep", type=Path, help="use the files in this folder; write them first if it is empty")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.keep or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        job = folder / "job.yaml"
        if not job.exists():
            make(folder, arguments.rows)
        text = "input: {path: input.jsonl, id: id}\n" if arguments.id else "input: input.jsonl\n"
        job.write_text(text + "output: table.parquet\nlimits: {requests_per_minute: 10000, requests_per_day: 10000}\n")
        return timed(folder, job)


def make(folder: Path, rows: int) -> None:
    """Writes the input, and the journal of a run that answered all rows except the last one."""
    began = time.time()
    with (folder / "input.jsonl").open("w") as file:
        for row in range(rows + NEW):
            file.write(json.dumps({"id": f"r{row:07d}", "prompt": f"What is the name of thing number {row}?"}) + "\n")
    job = folder / "job.yaml"
    job.write_text("input: input.jsonl\noutput: table.parquet\n")
    opened = open_job(load(job).spec)
    (folder / "job.run").mkdir()
    header = Header(batchfree=FORMAT, version="0", job="job", file="../job.yaml", spec="", input="")
    journal = Journal(folder / "job.run" / "journal.jsonl", header)
    for row, request in enumerate(opened.requests(rows)):
        assert isinstance(request, ChatRequest)
        journal.append(_answered(row, digest(request, opened.rule)))
    journal.close()
    size = (folder / "job.run" / "journal.jsonl").stat().st_size
    (folder / "made").write_text(str(size))
    print(f"made {rows:,} rows in {time.time() - began:.0f} s, journal {size / 2**20:,.0f} MiB", flush=True)


def _answered(row: int, question: str) -> Attempt:
    return Attempt(
        at=datetime.fromtimestamp(1_790_000_000 + row, UTC),
        route="openrouter/free",
        models=("openrouter/free",),
        model="some/model-4-instruct:free",
        provider="Provider 4",
        request_id=f"gen-{row:020d}",
        status=200,
        finish_reason="stop",
        prompt_tokens=15,
        completion_tokens=14,
        latency_s=1.25,
        content=f"Its name is {row}.",
        outcomes=(Outcome(question=question, row=row, id=f"r{row:07d}", answer=f"Its name is {row}."),),
    )


def timed(folder: Path, job: Path) -> int:
    """Runs the job; prints the seconds until the first request and until the end."""
    book, journal = folder / "book.jsonl", folder / "job.run" / "journal.jsonl"
    book.unlink(missing_ok=True)
    os.truncate(journal, int((folder / "made").read_text()))  # removes the attempts of an earlier measurement
    state = {"BATCHFREE_STATE_DIR": str(folder / "state"), "BATCHFREE_CACHE_DIR": str(folder / "cache")}
    environment = os.environ | state
    emulate = [sys.executable, "-m", "batchfree", "emulate", "--port", "0", "--scenario", "calm", "--book", str(book)]
    with subprocess.Popen(emulate, stderr=subprocess.PIPE, text=True, env=environment) as emulator:
        assert emulator.stderr is not None
        url = emulator.stderr.readline().split()[-1]
        run = [sys.executable, "-m", "batchfree", "run", str(job), "--endpoint", url]
        began = time.time()
        process = subprocess.Popen(run, env=environment | {"OPENROUTER_API_KEY": "sk-or-v1-test"})
        while process.poll() is None and not book.stat().st_size:
            time.sleep(0.01)
        mib = _peak(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        ended = time.time()
        emulator.terminate()
    first = json.loads(book.read_text().splitlines()[0])["at"] - began
    code = os.waitstatus_to_exitcode(status)
    print(f"first request after {first:.1f} s, {mib:.0f} MiB peak")
    print(f"end after {ended - began:.1f} s, {usage.ru_maxrss / 1024:.0f} MiB peak, exit code {code}")
    return 0 if first < SECONDS_MOST and mib < MIB_MOST and code == 0 else 1


def _peak(pid: int) -> float:
    """Peak resident memory of a process so far, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    sys.exit(main())
