"""Commands of batchfree run in the test's own process, and a job in a folder of its own to run them on."""

from __future__ import annotations

import io
import json
import socket
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from batchfree.cli import main

ROOT = Path(__file__).parents[2]
ROWS = [
    {"id": "a", "prompt": "What is 1 + 1?", "lang": "en"},
    {"id": "b", "prompt": "What is 1 + 2?", "lang": "de"},
    {"id": "c", "prompt": "What is 1 + 1?", "lang": "de"},
]


@dataclass(frozen=True)
class Output:
    """Exit code, stdout and stderr of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value that stdout consists of."""
        return json.loads(self.out)


def command(*arguments: object) -> Output:
    """Runs one command in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(each) for each in arguments])
    for stream in (out, err):
        stream.seek(0)
    return Output(code, out.read(), err.read())


class JobHere:
    """A job of three rows in a folder of its own, on the embedded endpoint. Calling it runs a command on the job."""

    def __init__(self, path: Path) -> None:
        self.path, self.file = path, path / "job.yaml"
        self.rows(*ROWS)
        self.spec()

    def rows(self, *rows: dict[str, Any]) -> None:
        """Writes the input anew."""
        (self.path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def spec(self, **changes: Any) -> None:
        """Writes the job file anew, with these keys changed."""
        limits = {"requests_per_minute": 100_000, "requests_per_day": 100_000}
        spec = {"input": {"path": "rows.jsonl", "id": "id"}, "output": "out.parquet", "endpoint": "embedded"}
        self.file.write_text(yaml.safe_dump({**spec, "limits": limits, **changes}), encoding="utf-8")

    def __call__(self, name: str, *arguments: object) -> Output:
        return command(name, self.file, *arguments)

    def created(self) -> set[str]:
        """The names of the files and folders that commands left in the folder."""
        return {path.name for path in self.path.iterdir()} - {"rows.jsonl", "job.yaml", "state", "cache"}


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobHere:
    """A job in a folder of its own; state and cache are there too, and no key is set."""
    monkeypatch.setenv("BATCHFREE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("BATCHFREE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    return JobHere(tmp_path)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any attempt to open a connection fails the test."""

    def refuse(*_: object) -> None:
        pytest.fail("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
