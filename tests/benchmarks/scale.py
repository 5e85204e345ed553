"""Time and memory of a job at two sizes: its first request, its resume, its table and its reading commands. By hand:

    PYTHONPATH=tests python tests/benchmarks/scale.py [ROWS …] [--text 300] [--answer 50] [--columns 1] [--runs 3]
                                                     [--only fresh,export,…] [--keep FOLDER]

Input and journal are written with batchfree's own classes. Each figure is the median of some runs, each in its own
process. `fresh` and `resume` end with the arrival of the first request at a server in this process: `fresh` has an
empty journal, `resume` one in which every row except the last is answered. `100` as the only number of rows measures
the start-up, with a bare interpreter as yardstick.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from batchfree.core.chat import ChatRequest
from batchfree.job.open_job import open_job
from batchfree.jobspec.job import load
from batchfree.journal.attempts import Attempt, Outcome
from batchfree.journal.file import Journal
from batchfree.journal.journal_lines import FORMAT, Header
from batchfree.journal.questions import digest

ROOT = Path(__file__).parents[2]
MODELS = [f"some/model-{number}-instruct:free" for number in range(7)]
ALL = ("interpreter", "fresh", "resume", "export", "status", "plan", "report")
REPLY = {"model": "fixed/one", "choices": [{"finish_reason": "stop", "message": {"content": "An answer."}}]}


class FirstRequest(BaseHTTPRequestHandler):
    """Notes the time of the first POST; gives every request the same reply."""

    arrived = threading.Event()
    at = 0.0

    def do_POST(self) -> None:
        if not FirstRequest.arrived.is_set():
            FirstRequest.at = time.perf_counter()
            FirstRequest.arrived.set()
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(REPLY).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Says nothing."""


class QuietServer(ThreadingHTTPServer):
    """A server that does not complain when a client is killed."""

    def handle_error(self, *words: object) -> None:
        """Says nothing."""


@contextmanager
def server() -> Iterator[str]:
    """The base URL of a server that waits for the first request."""
    with QuietServer(("127.0.0.1", 0), FirstRequest) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_address[1]}/v1"
        serving.shutdown()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One process: wall and CPU seconds (to the first request, where one is sent), and its peak memory in MB."""

    wall: float
    cpu: float
    peak: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of a benchmark: their number, and the bytes of their texts, spread over some columns."""

    count: int
    text: int
    answer: int
    columns: int

    def lines(self) -> Iterator[str]:
        """The input; the template uses the column `prompt`, and the other columns are only carried along."""
        rng, word = random.Random(1), "word " * (self.text // 5)
        for number in range(self.count):
            row = {"id": f"r{number:07d}", "prompt": f"{number} {word}"[: self.text]}
            row |= {f"extra_{each}": f"{rng.random()} {word}"[: self.text] for each in range(1, self.columns)}
            yield json.dumps(row) + "\n"

    def make(self, folder: Path) -> None:
        """Writes the input, and the journal of a run that answered all rows except the last one."""
        began = time.perf_counter()
        with (folder / "input.jsonl").open("w") as file:
            file.writelines(self.lines())
        opened = open_job(load(write_job(folder, "http://127.0.0.1:9/v1")).spec)
        (folder / "job.run").mkdir()
        header = Header(batchfree=FORMAT, version="0", job="job", file="../job.yaml", spec="", input="")
        journal = Journal(folder / "job.run" / "journal.jsonl", header)
        for row, request in enumerate(opened.requests(self.count - 1)):
            assert isinstance(request, ChatRequest)
            journal.append(answered(row, digest(request, opened.rule), self.answer))
        journal.close()
        size = (folder / "job.run" / "journal.jsonl").stat().st_size
        (folder / "made").write_text(str(size))
        seconds = time.perf_counter() - began
        print(f"made {self.count:,} rows in {seconds:.0f} s, journal {size / 1e6:,.0f} MB", flush=True)


def answered(row: int, question: str, size: int) -> Attempt:
    """An attempt that answered a row with a text of `size` bytes."""
    answer = f"Its name is {row}. {'Quite so. ' * (size // 10)}"[:size]
    return Attempt(
        at=datetime.fromtimestamp(1_790_000_000 + row, UTC),
        route="openrouter/free",
        models=("openrouter/free",),
        model=MODELS[row % len(MODELS)],
        provider=f"Provider {row % 3}",
        request_id=f"gen-{row:020d}",
        status=200,
        finish_reason="stop",
        prompt_tokens=15,
        completion_tokens=14,
        latency_s=1.25,
        content=answer,
        outcomes=(Outcome(question=question, row=row, id=f"r{row:07d}", answer=answer),),
    )


def write_job(folder: Path, url: str) -> Path:
    """The job file."""
    job = folder / "job.yaml"
    job.write_text(f"input: input.jsonl\noutput: table.parquet\nendpoint: {url}\nrouter: {{route: fixed/one}}\n")
    return job


def command_for(what: str, folder: Path, job: Path) -> list[str]:
    """The command line of a measurement."""
    words = [sys.executable, "-m", "batchfree", what, str(job)]
    match what:
        case "interpreter":
            return [sys.executable, "-c", "pass"]
        case "fresh" | "resume":
            run_dir = folder / ("fresh.run" if what == "fresh" else "job.run")
            return [sys.executable, "-m", "batchfree", "run", str(job), "-q", "--set", f"run_dir={run_dir}"]
        case "export" | "report":
            return [*words, "-o", str(folder / f"written.{'html' if what == 'report' else 'parquet'}")]
    return words


def measure(folder: Path, what: str) -> Measured:
    """Runs one command on the job in the folder; a command that sends is killed after its first request."""
    os.truncate(folder / "job.run" / "journal.jsonl", int((folder / "made").read_text()))  # as before the last run
    (folder / "fresh.run" / "journal.jsonl").unlink(missing_ok=True)
    places = {"PYTHONPATH": str(ROOT), "BATCHFREE_STATE_DIR": f"{folder}/state", "BATCHFREE_CACHE_DIR": f"{folder}/c"}
    FirstRequest.arrived.clear()
    with server() as url:
        command = command_for(what, folder, write_job(folder, url))
        began, so_far = time.perf_counter(), Measured(wall=0.0, cpu=0.0, peak=0.0)
        process = subprocess.Popen(command, env=os.environ | places, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while process.poll() is None and not FirstRequest.arrived.wait(0.005):
            so_far = used(process.pid, began) or so_far
        if FirstRequest.arrived.is_set():
            so_far = used(process.pid, began) or so_far
            so_far = replace(so_far, wall=FirstRequest.at - began)
            process.kill()
        _, said = process.communicate()
    if process.returncode not in (0, 75, -signal.SIGKILL):
        raise SystemExit(f"{command} failed: {said.decode()}")
    return so_far


def used(pid: int, began: float) -> Measured | None:
    """What a process has used so far; None if it has ended. A child's own peak begins anew with its program."""
    try:
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        peak = next(int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return None
    cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return Measured(wall=time.perf_counter() - began, cpu=cpu, peak=peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--text", type=int, default=300, help="bytes of a text of the input")
    parser.add_argument("--answer", type=int, default=50, help="bytes of an answer")
    parser.add_argument("--columns", type=int, default=1, help="columns of such texts")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default=",".join(ALL), help=f"some of {', '.join(ALL)}")
    parser.add_argument("--keep", type=Path, help="a folder whose files are used; they are written first if missing")
    options = parser.parse_args()
    print(f"{'rows':>10} {'what':12} {'wall s':>8} {'CPU s':>8} {'peak MB':>8}")
    for count in options.rows:
        rows = Rows(count=count, text=options.text, answer=options.answer, columns=options.columns)
        with tempfile.TemporaryDirectory() as temporary:
            folder = (options.keep or Path(temporary)).absolute() / str(count)
            if not (folder / "made").exists():
                folder.mkdir(parents=True)
                rows.make(folder)
            for what in options.only.split(","):
                runs = [measure(folder, what) for _ in range(options.runs)]
                wall, cpu, peak = (
                    statistics.median(getattr(each, name) for each in runs) for name in ("wall", "cpu", "peak")
                )
                print(f"{count:10,} {what:12} {wall:8.2f} {cpu:8.2f} {peak:8.0f}", flush=True)


if __name__ == "__main__":
    main()
