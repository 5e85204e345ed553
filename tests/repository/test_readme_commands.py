"""Every command line that the README and its pages show is run here, in a folder with the jobs and the sample data.

A command that needs a real service asks the emulator instead; nothing else in it changes. Only the command that runs
this very suite is left out: `.ci/run` runs it.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest
from support.llama import with_small_model
from support.pages import ROOT, WHOLE, code_blocks
from support.processes import PATIENCE, Emulator, emulator, environment

SHELL_BLOCKS = code_blocks("bash")
CRONTAB_LINES = re.findall(r"^(?:[\d*/,-]+ ){5} *(.+)$", WHOLE, re.MULTILINE)
PYTHON_BLOCKS = code_blocks("python")
INLINE = sorted(
    set(re.findall(r"`((?:eval|batchfree|python -m batchfree) [^`]+)`", re.sub(r"```.*?```", "", WHOLE, flags=re.S)))
)

INSTALLATION = re.compile(
    r"^python3 -m venv \.venv && \.venv/bin/pip install -q (\.|-e '\.\[dev\]') && |^pip install 'batchfree\[llama\]'\n"
)
"""What `.ci/run` does in fresh environments: the development environment, and the wheel with the first command."""
SUITE = ".venv/bin/pytest"
REAL_KEY = "sk-or-…"
RUNNING_SERVER = re.compile(r"^(batchfree (?:emulate|serve) --port (\d+)[^\n]*)\n", re.MULTILINE)

SEED = "router.seed=7"

PLACEHOLDER = "COMMAND"
"""Stands for any command in `batchfree COMMAND`."""
ONLY_NAMED = re.compile(r"batchfree (emulate|serve|completion)")
"""Sentences speak of these commands; as command lines they stand elsewhere, with their arguments."""
OTHER_SHELL = re.compile(r'eval "\$\((batchfree completion zsh)\)"|(batchfree completion fish) \| source')
"""Lines for a shell that is not on every machine: only what they ask of batchfree is run."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("service")) as served:
        yield served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder like a clone of the repository in which batchfree is installed."""
    for name in ("jobs", "sample_data"):
        shutil.copytree(ROOT / name, tmp_path / name)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, started in (("python", ""), ("batchfree", " -m batchfree")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{started} "$@"\n')
        (programs / name).chmod(0o755)
    (programs / "activate").write_text("hash -r\n")  # the environment is active already
    (tmp_path / "jobs" / ".env").write_text("OPENROUTER_API_KEY=sk-or-v1-test\n")
    rows = pl.read_ndjson(ROOT / "sample_data" / "reviews.jsonl").head(6)
    rows.select("text").write_csv(tmp_path / "reviews.csv")
    (shown,) = re.findall(r"This is `mine.yaml`:\n\n```yaml\n(.*?)```", WHOLE, re.DOTALL)
    (tmp_path / "mine.yaml").write_text(shown, encoding="utf-8")
    return tmp_path


def shell(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs shell commands; the first one that fails ends them."""
    variables = environment(folder)
    variables["PATH"] = f"{folder / '.venv' / 'bin'}{os.pathsep}{variables['PATH']}"
    command = ["bash", "-euo", "pipefail", "-c", text]
    return subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def with_llama(folder: Path) -> None:
    """Gives the commands the weights of SmolLM2-135M; skips the test if llama.cpp or the weights are not there."""
    if find_spec("xllamacpp") is None:
        pytest.skip("needs pip install 'batchfree[llama]'")
    with_small_model(folder / "cache")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def with_the_server(text: str) -> str:
    """The first command of a block is a server: the others wait until it does, and end it."""
    found = RUNNING_SERVER.match(text)
    if found is None:
        return text
    port = str(free_port())
    up = f"until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.05; done"
    rest = text[found.end() :].replace(found[2], port)
    return f"{found[1].replace(found[2], port)} &\ntrap 'kill $!' EXIT\n{up}\n{rest}"


def with_the_emulator(text: str, service: Emulator) -> str:
    """The same commands without installation; what would ask OpenRouter asks the emulator, and draws are repeatable."""
    lines = INSTALLATION.sub("", text).replace(REAL_KEY, "sk-or-v1-test").splitlines()
    for number, line in enumerate(lines):
        if re.match(r"\S*batchfree (run|plan|models|quota|serve)\b", line) and "--endpoint" not in line:
            lines[number] += f" --endpoint {service.url}"
        if re.match(r"\S*batchfree run\b", line):
            lines[number] += f" --set {SEED}"
    return with_the_server("\n".join(lines))


def test_the_readme_shows_commands() -> None:
    assert len(SHELL_BLOCKS) >= 6
    assert len(CRONTAB_LINES) == 1
    assert len(PYTHON_BLOCKS) == 1
    assert len(INLINE) >= 5


@pytest.mark.parametrize("block", [block for block in SHELL_BLOCKS[1:] if SUITE not in block])
def test_a_block_of_commands_runs(block: str, folder: Path, service: Emulator) -> None:
    if "--endpoint llama" in block:
        with_llama(folder)
    done = shell(with_the_emulator(block, service), folder)
    assert done.returncode == 0, done.stderr


def test_only_the_command_that_runs_this_suite_is_left_out() -> None:
    (block,) = [block for block in SHELL_BLOCKS if SUITE in block]
    assert INSTALLATION.sub("", block).strip() == SUITE


def test_the_first_command_leaves_the_table_that_the_readme_names(folder: Path, service: Emulator) -> None:
    done = shell(with_the_emulator(SHELL_BLOCKS[0], service), folder)
    assert "quickstart: 12 of 12 rows answered, 0 failed, 0 pending" in done.stderr
    assert pl.read_parquet(folder / "out" / "quickstart.parquet").height == 12


@pytest.mark.parametrize("line", CRONTAB_LINES)
def test_the_crontab_line_runs(line: str, folder: Path, service: Emulator) -> None:
    here = line.replace("/home/me/batch", str(folder)) + f" --set {SEED} --endpoint {service.url}"
    assert " -q " in here
    assert here.count(str(folder)) == 2
    del_key = "unset OPENROUTER_API_KEY; cd /"  # cron has no such variable
    done = shell(f"{del_key}; {here}", folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (folder / "out" / "cron.parquet").exists()


UNITS = re.findall(r"`~/\.config/systemd/user/(batchfree\.\w+)`:\n\n```ini\n(.*?)```", WHOLE, re.DOTALL)


def test_the_systemd_service_runs_the_command_of_the_crontab() -> None:
    assert [name for name, _ in UNITS] == ["batchfree.service", "batchfree.timer"]
    (command,) = re.findall(r"^ExecStart=(.*)$", UNITS[0][1], re.MULTILINE)
    assert [command] == CRONTAB_LINES


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
def test_systemd_accepts_the_units(folder: Path) -> None:
    for name, text in UNITS:
        (folder / name).write_text(text.replace("/home/me/batch", str(folder)))
    done = shell(f"systemd-analyze verify {folder}/batchfree.service {folder}/batchfree.timer", folder)
    ours = [line for line in done.stderr.splitlines() if str(folder) in line]
    assert (done.returncode, ours) == (0, [])


@pytest.mark.parametrize("text", [text for text in INLINE if not ONLY_NAMED.fullmatch(text)])
def test_a_command_in_a_sentence_runs(text: str, folder: Path, service: Emulator) -> None:
    command = OTHER_SHELL.sub(lambda found: found[1] or found[2], text.replace(PLACEHOLDER, "schema"))
    done = shell(with_the_emulator(command, service), folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", PYTHON_BLOCKS)
def test_the_python_example_runs(block: str, folder: Path) -> None:
    rehearsed = block.replace('labels.yaml")', f'labels.yaml", endpoint="embedded", overrides=["{SEED}"])')
    assert rehearsed != block
    done = shell(f"python - <<'END'\n{rehearsed}\nassert summary.counts['ok'] == table.collect().height\nEND", folder)
    assert done.returncode == 0, done.stderr
