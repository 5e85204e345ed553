"""Job files and files of variables are read to a bound, also through a pipe, and a silent pipe is an error."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from batchfree.core.errors import SpecError
from batchfree.jobspec.env_files import read_environment
from batchfree.jobspec.loader import load_spec
from batchfree.jobspec.small_files import read_bytes

JOB = b"input: rows.jsonl\n"


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def written_by_another(path: Path, content: bytes) -> threading.Thread:
    """A thread that writes to the pipe as soon as it has a reader."""
    writer = threading.Thread(target=path.write_bytes, args=(content,), daemon=True)
    writer.start()
    return writer


@pytest.mark.parametrize("content", [b"", JOB, b"x" * 300_000], ids=["empty", "small", "larger than the pipe's buffer"])
def test_a_pipe_is_read_to_the_end_of_its_writer(pipe: Path, content: bytes) -> None:
    writer = written_by_another(pipe, content)
    assert read_bytes(pipe, 1_000_000) == content
    writer.join()


def test_no_more_than_the_bound_is_read(tmp_path: Path) -> None:
    assert len(read_bytes(Path("/dev/zero"), 100_001)) == 100_001
    (tmp_path / "file").write_bytes(b"abcdef")
    assert read_bytes(tmp_path / "file", 4) == b"abcd"


def test_a_pipe_without_a_writer_is_an_error(pipe: Path) -> None:
    with pytest.raises(OSError, match=r"no program has written to this pipe within 0\.1 s"):
        read_bytes(pipe, 100, no_writer_s=0.1)


def test_a_pipe_whose_writer_says_nothing_is_an_error(pipe: Path) -> None:
    descriptor = os.open(pipe, os.O_RDWR)
    try:
        with pytest.raises(OSError, match=r"nothing has come through this pipe for 0\.1 s"):
            read_bytes(pipe, 100, silent_s=0.1)
    finally:
        os.close(descriptor)


def test_a_job_file_and_an_env_file_may_be_pipes(pipe: Path) -> None:
    writer = written_by_another(pipe, JOB)
    assert load_spec(pipe, environment={}).input.path == (str(pipe.parent / "rows.jsonl"),)
    writer.join()
    writer = written_by_another(pipe, b"A_NAME_OF_THIS_TEST=value\n")
    assert read_environment(env_file=pipe)["A_NAME_OF_THIS_TEST"] == "value"
    writer.join()


def test_an_endless_env_file_is_refused() -> None:
    with pytest.raises(SpecError, match="/dev/zero: --env-file: is larger than 1,000,000 bytes"):
        read_environment(env_file=Path("/dev/zero"))
