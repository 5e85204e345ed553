"""The files that `batchfree init` writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batchfree.cli import starter
from batchfree.core.errors import StorageError
from batchfree.jobspec import load_spec


def test_the_starter_job_loads_and_its_input_exists(tmp_path: Path) -> None:
    written = starter.write_starter(tmp_path / "new" / "folder")
    assert [path.name for path in written] == ["job.yaml", "prompts.jsonl"]
    spec = load_spec(written[0], environment={})
    assert spec.input.path == (str(written[1]),)
    assert spec.output.path == tmp_path / "new" / "folder" / "out" / "answers.parquet"


def test_every_row_of_the_starter_has_an_id_and_a_prompt(tmp_path: Path) -> None:
    _, prompts = starter.write_starter(tmp_path)
    rows = [json.loads(line) for line in prompts.read_text(encoding="utf-8").splitlines()]
    assert len({row["id"] for row in rows}) == len(rows) > 3
    assert all(row["prompt"] for row in rows)


def test_every_key_in_a_comment_of_the_starter_job_is_valid(tmp_path: Path) -> None:
    job, _ = starter.write_starter(tmp_path)
    lines = job.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("# The rows."))
    shown = [line for line in lines[start:] if "schema: " not in line]
    uncommented = [line.replace("# ", "", 1) if is_yaml(line) else line for line in shown]
    job.write_text("\n".join(uncommented), encoding="utf-8")
    spec = load_spec(job, environment={})
    assert (spec.pack, spec.answer.labels, spec.limits.reserve) == (10, ("positive", "negative"), 10)


def is_yaml(line: str) -> bool:
    """Whether a comment is a key with its value, and not a sentence."""
    key, colon, _ = line.strip().removeprefix("# ").strip().partition(":")
    return line.strip().startswith("# ") and bool(colon) and key.isidentifier()


@pytest.mark.parametrize("name", starter.FILES)
def test_an_existing_file_is_named_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(StorageError, match=name):
        starter.write_starter(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text(encoding="utf-8") == "mine"


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match="taken"):
        starter.write_starter(tmp_path / "taken")
