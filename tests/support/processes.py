"""Real processes for tests: the emulator with its log of requests, and runs of a job in its own folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import yaml

from batchfree.jobspec.job import Job, load

ROOT = Path(__file__).parents[2]
PATIENCE = 180.0
"""Real seconds to wait for a process before a test fails; far more than a slow machine needs."""
POLL = 0.01
"""Real seconds between two looks at what a process has done."""


def environment(folder: Path) -> dict[str, str]:
    """The environment of a process that keeps its state and cache in `folder`."""
    return os.environ | {
        "BATCHFREE_STATE_DIR": str(folder / "state"),
        "BATCHFREE_CACHE_DIR": str(folder / "cache"),
        "OPENROUTER_API_KEY": "sk-or-v1-test",
        "PYTHONPATH": str(ROOT),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulator:
    """A running emulator."""

    url: str
    book: Path

    def posts(self) -> list[dict[str, Any]]:
        """Every finished POST, in the order of arrival."""
        lines = self.book.read_text(encoding="utf-8").splitlines(keepends=True)
        return sorted((json.loads(line) for line in lines if line.endswith("\n")), key=lambda post: post["number"])

    def asked(self) -> list[int]:
        """The numbers of all rows that were asked, in the order of arrival."""
        return [row for post in self.posts() for row in rows_in(post)]

    def settle(self) -> None:
        """Returns when the emulator has read every request that was sent before this call, also by a dead process."""
        for _ in range(2):  # the first reply proves that all earlier bytes are read, the second that they are noted
            httpx.get(f"{self.url}/models").raise_for_status()


def rows_in(post: dict[str, Any]) -> list[int]:
    """The numbers of the rows that one POST asks."""
    return [int(number) for number in re.findall(r"thing number (\d+)", post["body"]["messages"][-1]["content"])]


@contextmanager
def emulator(
    folder: Path,
    *,
    latency: float | str = 0,
    more: str = "",
    limits: str = "per_minute: null, per_day: null",
    require_key: bool = False,
) -> Iterator[Emulator]:
    """Runs an emulator without safety classifiers. `latency` is in seconds, or a distribution as in a scenario.

    `more` is added to the scenario; its `pool` replaces the one with `latency`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scenario, book = folder / "scenario.yaml", folder / "book.jsonl"
    if isinstance(latency, int | float):
        latency = f"{{constant: {latency}}}"
    pool = "" if more.startswith("pool:") else f"pool: {{accuracy: 1.0, follows: 1.0, latency: {latency}}}\n"
    scenario.write_text(f"limits: {{{limits}}}\nrouter: {{draws_classifier: false}}\n{pool}{more}")
    command = ["emulate", "--port", "0", "--scenario", str(scenario), "--book", str(book)]
    command += ["--require-key"] if require_key else []
    with batchfree(folder, command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            yield Emulator(url=process.stderr.readline().split()[-1], book=book)
        finally:
            process.terminate()


def batchfree(
    folder: Path, arguments: Sequence[str], launcher: Sequence[str] = (sys.executable,), **options: Any
) -> subprocess.Popen[Any]:
    """Starts `python -m batchfree` with these arguments; `launcher` is the command that starts Python."""
    options = {"env": environment(folder)} | options
    return subprocess.Popen([*launcher, "-m", "batchfree", *arguments], **options)


class JobFolder:
    """A job over numbered rows in its own folder, and the files of its runs."""

    def __init__(self, folder: Path, rows: int | Sequence[dict[str, Any]] = 10, **spec: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.file = folder, folder / "job.yaml"
        self.write_rows([{"n": n, "note": "x"} for n in range(rows)] if isinstance(rows, int) else rows)
        self.spec = {
            "input": "input.jsonl",
            "prompt": "What is the name of thing number {{ n }}?",
            "output": "table.parquet",
            "limits": {"requests_per_minute": 100_000, "requests_per_day": 100_000, "concurrency": 4},
            "retry": {"max_wait": 1},
            **spec,
        }
        self.write_spec()

    def write_rows(self, rows: Sequence[dict[str, Any]]) -> None:
        """Replaces the input."""
        (self.folder / "input.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def write_spec(self, **changes: Any) -> None:
        """Writes the job file again, with these keys replaced."""
        self.spec |= changes
        self.file.write_text(yaml.safe_dump(self.spec))

    @property
    def run_dir(self) -> Path:
        return self.folder / "job.run"

    @property
    def journal(self) -> Path:
        return self.run_dir / "journal.jsonl"

    def load(self) -> Job:
        """The job, to be read inside the test's own process."""
        return load(self.file, environment=environment(self.folder))

    def start_command(self, arguments: Sequence[str]) -> subprocess.Popen[str]:
        """Starts a command with its output in pipes."""
        return batchfree(self.folder, arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def start(self, service: Emulator | None, *arguments: str, **options: Any) -> subprocess.Popen[Any]:
        """Starts a run."""
        endpoint = ["--endpoint", "embedded" if service is None else service.url]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
        command = ["run", str(self.file), "--progress", "none", *endpoint, *arguments]
        return batchfree(self.folder, command, **options)

    def run(self, service: Emulator | None, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs the job and waits for the end."""
        return finished(self.start(service, *arguments, **options))

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs another command on this job, such as `status`."""
        name, *rest = arguments
        started = batchfree(
            self.folder, [name, str(self.file), *rest], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        return finished(started)

    def attempts(self) -> list[dict[str, Any]]:
        """The complete lines of the journal after its header."""
        if not self.journal.exists():
            return []
        lines = self.journal.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines[1:] if line.endswith("\n")]

    def answered(self) -> set[int]:
        """The numbers of the rows with an answer in the journal."""
        outcomes = (outcome for attempt in self.attempts() for outcome in attempt["outcomes"])
        return {outcome["row"] for outcome in outcomes if outcome["kind"] is None}

    def table(self) -> pl.DataFrame:
        return pl.read_parquet(self.folder / "table.parquet")


def finished(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Waits for the end of a process and returns its output; fails after PATIENCE seconds."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"still running after {PATIENCE:g} s: {out}{err}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def until(condition: Callable[[], object], process: subprocess.Popen[Any]) -> bool:
    """Waits in real time until the condition holds. Returns False if the process ended before."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if process.poll() is not None:
            return bool(condition())
        assert time.monotonic() < deadline, f"still waiting after {PATIENCE:g} s"
        time.sleep(POLL)
    return True
