"""What a table may replace: only a table of its own job; `--fresh` and `export -o` also a plain file of the user."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import yaml
from support.command_line import JobHere
from support.rehearsal import Rehearsal

import batchfree
from batchfree.core.errors import SpecError
from batchfree.data import output
from batchfree.data.input import open_dataset

ROWS = [{"prompt": f"Name thing {n}."} for n in range(3)]
SCHEMA = {"type": "object"}


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def schema_file(folder: Path) -> Path:
    return folder / "schema.json"


def other_journal(folder: Path) -> Path:
    (folder / "other").mkdir()
    other = Rehearsal(folder / "other", ROWS)
    other.run()
    return folder / "other" / "job.run" / "journal.jsonl"


def other_table(folder: Path) -> Path:
    (folder / "other").mkdir()
    other = Rehearsal(folder / "other", ROWS)
    other.run()
    return folder / "other" / "out.parquet"


def other_table_in_csv(folder: Path) -> Path:
    (folder / "other").mkdir()
    other = Rehearsal(folder / "other", ROWS, {"output": "out.csv"})
    other.run()
    return folder / "other" / "out.csv"


NEVER: dict[str, tuple[Callable[[Path], Path], str]] = {
    "device": (lambda folder: Path("/dev/null"), "not a plain file"),
    "FIFO": (fifo, "not a plain file"),
    "input": (lambda folder: folder / "rows.jsonl", "over the input"),
    "own journal": (lambda folder: folder / "job.run" / "journal.jsonl", "own records"),
    "own log": (lambda folder: folder / "job.run" / "log.jsonl", "own records"),
    "job file": (lambda folder: folder / "job.yaml", "over job.yaml"),
    "schema": (schema_file, "over schema.json"),
    "env file": (lambda folder: folder / "keys.env", "over keys.env"),
    "another journal": (other_journal, "journal of a job"),
    "another table": (other_table, "table of another job"),
    "another CSV": (other_table_in_csv, "table of another job"),
}


def prepared(folder: Path) -> Rehearsal:
    """A job after a run, with a schema in a file and an env file."""
    schema_file(folder).write_text('{"type": "object"}')
    (folder / "keys.env").write_text("A=b\n")
    job = Rehearsal(folder, ROWS, {"answer": {"schema": "schema.json"}, "retry": {"max_attempts": 1}})
    job.run()
    return job


@pytest.mark.parametrize("any_plain", [False, True])
@pytest.mark.parametrize("link", ["symbolic", "hard"])
@pytest.mark.parametrize("what", NEVER)
def test_no_table_ever_replaces(tmp_path: Path, what: str, link: str, any_plain: bool) -> None:
    job = prepared(tmp_path)
    find, sentence = NEVER[what]
    target = find(tmp_path)
    table = target.parent / f"link{target.suffix}" if "table" in what or "CSV" in what else tmp_path / "link.jsonl"
    if link == "hard" and what == "device":
        pytest.skip("a device stays where it is")
    if "another" in what and "journal" not in what and link == "hard":
        table = target  # the table of another job is known by its place
    elif link == "symbolic":
        table.symlink_to(target)
    else:
        table.hardlink_to(target)
    before = target.read_bytes() if target.is_file() else None
    loaded = batchfree.load(job.job_file, environment=job.environment, output=table, env_file=tmp_path / "keys.env")
    with pytest.raises(SpecError, match=sentence) as caught:
        output.check_place(
            loaded.spec, open_dataset(loaded.spec.input), protected=loaded.protected, any_plain=any_plain
        )
    assert caught.value.mistakes[0].key == "output.path"
    assert before is None or target.read_bytes() == before


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl", "arrow", "openai.jsonl"])
def test_a_file_of_the_user_is_replaced_only_where_the_user_says_so(tmp_path: Path, suffix: str) -> None:
    table = tmp_path / f"mine.{suffix}"
    job = Rehearsal(tmp_path, ROWS, {"output": table.name})
    table.write_text("my,own\nprecious,data\n")
    with pytest.raises(SpecError, match="a file that this job did not write stands there"):
        job.run()
    assert not job.posts
    assert table.read_text() == "my,own\nprecious,data\n"
    assert job.run(fresh=True).exit_code == 0
    assert job.run().exit_code == 0, "now the table is the job's own"
    if suffix != "openai.jsonl":  # these lines name no job
        (tmp_path / "job.run" / "spec.yaml").unlink()
        assert job.run().exit_code == 0, "its metadata or its columns say so"


def test_an_empty_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "out.parquet").touch()
    assert Rehearsal(tmp_path, ROWS).run().exit_code == 0


def test_a_table_of_a_renamed_or_moved_job_file_is_the_jobs_own(tmp_path: Path) -> None:
    job = Rehearsal(tmp_path, ROWS)
    assert job.run().exit_code == 0
    renamed = yaml.safe_load(job.job_file.read_text()) | {"name": "renamed"}
    job.job_file.write_text(yaml.safe_dump(renamed))
    assert job.run().exit_code == 0


def test_export_replaces_plain_files_but_only_those_that_are_named(job: JobHere) -> None:
    job("run")
    mine = job.path / "mine.csv"
    mine.write_text("a,b\n1,2\n")
    assert job("export", "-o", mine).code == 0
    assert pl.read_csv(mine).height
    assert job("export", "-o", "/dev/null").code == 2
    mine.write_text("a,b\n1,2\n")
    assert job("export", "--set", "output=mine.csv").code == 2
    assert mine.read_text() == "a,b\n1,2\n"


def test_a_pattern_never_finds_the_run_folder_and_the_table(tmp_path: Path) -> None:
    job = Rehearsal(tmp_path, ROWS, {"input": "**/*.jsonl", "output": "deep/out.jsonl", "run_dir": "deep/runs"})
    for _ in range(2):
        summary = job.run()
        assert (summary.exit_code, summary.counts.rows) == (0, len(ROWS))
    assert len(job.posts) == len(ROWS)


def test_a_pipe_in_the_place_of_a_spec_in_the_run_folder_is_not_waited_for(tmp_path: Path) -> None:
    job = Rehearsal(tmp_path, ROWS, {"output": "out.csv"})
    job.run()
    (tmp_path / "job.run" / "spec.yaml").unlink()
    os.mkfifo(tmp_path / "job.run" / "spec.yaml")
    (tmp_path / "other").mkdir()
    os.mkfifo(tmp_path / "other" / "spec.yaml")
    assert job.run().exit_code == 0
