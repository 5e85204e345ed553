"""The command `serve`: what it refuses to start with, and how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest
from support.command_line import command
from support.processes import batchfree

KEY = "a-key-that-is-hard-to-guess"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("state", "cache"):
        monkeypatch.setenv(f"BATCHFREE_{name.upper()}_DIR", str(tmp_path / name))
    for name in ("OPENROUTER_API_KEY", "BATCHFREE_SERVE_KEY"):
        monkeypatch.delenv(name, raising=False)


def serve(*arguments):
    return command("serve", "--port", 0, *arguments)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--host", "0.0.0.0"], 2, "is open to other machines; set BATCHFREE_SERVE_KEY"),
        (["--host", "nowhere.invalid"], 2, "BATCHFREE_SERVE_KEY"),
        (["--max-wait", "soon"], 2, "expected a duration such as 30s"),
        (["--set", "limits.concurrency=4"], 2, "name the job"),
        (["nothere.yaml"], 2, "there is no such file"),
        ([], 3, "no API key: OPENROUTER_API_KEY is not set"),
        (["--endpoint", "http://127.0.0.1:9/v1"], 75, "connection refused"),
    ],
)
def test_what_serve_does_not_start_with(arguments, code, says, state):
    output = serve(*arguments)
    assert (output.code, output.out) == (code, "")
    assert says in output.err


def test_a_taken_port_is_named_and_a_short_key_is_warned_of(state, monkeypatch):
    monkeypatch.setenv("BATCHFREE_SERVE_KEY", "secret")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        output = command("serve", "--endpoint", "embedded", "--port", port)
    assert output.code == 2
    assert "shorter than 16 characters" in output.err
    assert "secret" not in output.err
    assert f"127.0.0.1 port {port}: Address already in use" in output.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_after_the_calls_in_flight(number, code, tmp_path):
    arguments = ["serve", "--endpoint", "embedded", "--port", "0"]
    with batchfree(tmp_path, arguments, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        url = process.stderr.readline().split()[-1]
        body = {"model": "openrouter/free", "messages": [{"role": "user", "content": "Hello."}], "stream": True}
        with httpx.stream("POST", f"{url}/chat/completions", json=body, timeout=60) as reply:
            process.send_signal(number)
            text = "".join(reply.iter_text())
        assert text.endswith("data: [DONE]\n\n")
        assert process.wait(60) == code
        assert process.stderr.read().splitlines() == [f"the page about them is {url.removesuffix('api/v1')}"]


def test_a_second_server_for_one_endpoint_is_refused_and_a_key_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("BATCHFREE_SERVE_KEY", KEY)
    arguments = ["serve", "--endpoint", "embedded", "--port", "0"]
    with batchfree(tmp_path, arguments, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        url = process.stderr.readline().split()[-1]
        with batchfree(tmp_path, arguments, stderr=subprocess.PIPE, text=True) as other:
            assert other.stderr is not None
            assert "another `serve` for this endpoint is running: process" in other.stderr.read()
            assert other.wait(60) == 75
        assert httpx.get(f"{url}/key").status_code == 401
        assert httpx.get(f"{url}/key", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
        process.terminate()
