"""Any terminal: its width, its characters, its absence."""

from __future__ import annotations

import io
import json
import os
import pty
import shutil
import subprocess
import sys

import pytest
from support.command_line import ROOT, JobHere

from batchfree.cli import main
from batchfree.cli.error_messages import report_bug
from batchfree.cli.terminal import escape_control_characters


def test_the_module_is_the_command_also_without_utf_8(job: JobHere) -> None:
    job.rows({"id": "größe", "prompt": "Größe 漢字 🎉"})
    line = [sys.executable, "-m", "batchfree", "preview", str(job.file), "-n", "1"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(line, capture_output=True, cwd=ROOT, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout.decode("ascii"))[0]["messages"][0]["content"] == "Größe 漢字 🎉"


def test_a_pipe_that_is_closed_early_is_no_error(job: JobHere) -> None:
    pipe = f"{sys.executable} -m batchfree schema | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, cwd=ROOT, text=True)
    assert (done.stdout.splitlines(), done.stderr) == (["{", "0"], "")


def test_control_characters_are_shown_by_their_codes(job: JobHere) -> None:
    assert escape_control_characters("red \x1b[31m, bell \x07, turned \u202e; tab\tand line\n") == (
        "red \\x1b[31m, bell \\x07, turned \\u202e; tab\tand line\\n"
    )
    job.rows({"id": "\x1b[2J", "prompt": "\x1b[31mWhat is 1 + 1?"}, {"id": "b", "prompt": "\x07"})
    output = job("run", "-v")
    assert output.code == 0
    assert not set(output.err) & {"\x1b", "\x07"}


FORGER = "x\nforged: 1\r\x1b[2Jforged: 2\u2028forged: 3\x85forged: 4\u202e\u200f"
"""A name that tries to begin a line, to move the cursor and to turn the direction of writing."""


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"prompt": "{{ prompt }}{{ none.x }}"},
        {"input": {"path": "rows.jsonl", "id": FORGER}},
        {FORGER: 1, "limits": {FORGER: 2}},
        {"router": {"only": [FORGER]}},
        {"evaluate": {"expected": FORGER}},
        {"answer": {"schema": {"type": FORGER}}},
        {"endpoint": f"https://{FORGER}/v1"},
    ],
)
def test_names_from_outside_forge_no_line_and_turn_no_text(job: JobHere, changes: dict[str, object]) -> None:
    job.rows({"id": FORGER, "prompt": "What is 1 + 1?", FORGER: FORGER}, {"id": "b", "prompt": FORGER})
    job.spec(**changes)
    for line in ("validate", "preview", "run -v", "status", "status --json", "plan", "models", "quota", "report"):
        name, *arguments = line.split()
        output = job(name, *arguments)
        assert output.code in (0, 1, 2, 3, 75), line
        for printed in (output.out + output.err).splitlines():
            assert not printed.lstrip().startswith("forged"), (line, printed)
            assert not set(printed) & set("\x1b\x85\u2028\u202e\u200f"), (line, printed)


def test_a_traceback_shows_no_key(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("it was\n" + "sk-or-v1-" + "0123" * 9)
    except ValueError:
        report_bug()
    shown = capsys.readouterr().err
    assert "sk-…" in shown
    assert "01230123" not in shown
    assert "this is a bug in batchfree" in shown


def test_a_traceback_shows_no_secret_of_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVERS_KEY", "a key of no known form")
    try:
        raise ValueError({"Authorization": "Bearer a key of no known form", "other": "text"})
    except ValueError:
        report_bug()
    shown = capsys.readouterr().err
    assert "no known form" not in shown
    assert "'other': 'text'" in shown


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_terminal_can_show_any_text(job: JobHere, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job.rows({"id": "größe", "prompt": "Größe 漢字 🎉"})
    for line in (["preview", str(job.file)], ["run", str(job.file), "--progress", "plain", "-v"], ["--help"]):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
        assert main(line) == 0
        out.seek(0)
        if line[0] == "preview":
            assert json.loads(out.read())[0]["messages"][0]["content"] == "Größe 漢字 🎉"


@pytest.mark.parametrize("columns", [20, 40, 200])
def test_the_sample_is_as_wide_as_the_terminal(job: JobHere, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    job.rows({"id": "a", "prompt": "What is 1 + 1? " * 50})
    output = job("run", "--progress", "none")
    table = output.err.split("job: ")[0].splitlines()
    assert output.code == 0
    assert max(map(len, table)) <= columns


@pytest.mark.skipif(shutil.which("script") is None, reason="needs script(1) for a terminal")
def test_a_run_on_a_terminal_ends_with_the_summary(job: JobHere) -> None:
    line = f"{sys.executable} -m batchfree run {job.file}"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"}
    done = subprocess.run(["script", "-qec", line, "/dev/null"], capture_output=True, env=environment, text=True)
    assert done.returncode == 0
    assert "\x1b[?25l" not in done.stdout, "the cursor is never hidden"
    assert "3 of 3 rows answered" in done.stdout


@pytest.mark.parametrize(
    ("changes", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_an_error_is_coloured_on_a_terminal_unless_no_color_is_set(changes: dict[str, str], is_coloured: bool) -> None:
    outside, inside = pty.openpty()
    variables = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm"} | changes
    line = [sys.executable, "-m", "batchfree", "validate", "no-such-job.yaml"]
    done = subprocess.run(line, stderr=inside, stdout=subprocess.DEVNULL, cwd=ROOT, env=variables)
    os.close(inside)
    text = os.read(outside, 10_000).decode()
    os.close(outside)
    assert done.returncode == 2
    assert text.startswith("\x1b[1;31merror:\x1b[0m " if is_coloured else "error: ")
    assert ("\x1b" in text) is is_coloured
