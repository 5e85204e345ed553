"""A job file that is not where the command line says: the message names the one that was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command_line import command

JOB = "input: rows.jsonl\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: it has job files in `jobs`, and other YAML files beside them."""
    (tmp_path / "jobs").mkdir()
    for name in ("labels", "votes", "quickstart"):
        (tmp_path / "jobs" / f"{name}.yaml").write_text(JOB)
    (tmp_path / "jobs" / "scenario.yaml").write_text("faults: []\n")
    (tmp_path / "elsewhere" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


WANTED = {
    "jobs/label.yaml": "jobs/label.yaml: there is no such file; did you mean `jobs/labels.yaml`?",
    "jobs/labels.yml": "did you mean `jobs/labels.yaml`?",
    "labels.yaml": "did you mean `jobs/labels.yaml`?",
    "labels": "did you mean `jobs/labels.yaml`?",
    "job/votes.yaml": "did you mean `jobs/votes.yaml`?",
    "jobs/other.yaml": "the job files in this folder are jobs/labels.yaml, jobs/quickstart.yaml, jobs/votes.yaml\n",
    "jobs": "jobs: this is a folder; its job files are jobs/labels.yaml, jobs/quickstart.yaml, jobs/votes.yaml\n",
    ".": "its job files are jobs/labels.yaml, ",
    "elsewhere": "this is a folder, and no job file is in it; there are job files elsewhere: jobs/labels.yaml, ",
    "elsewhere/other.yaml": "/elsewhere; there are job files elsewhere: jobs/labels.yaml, ",
    "nowhere/other.yaml": "/nowhere; there are job files elsewhere: jobs/labels.yaml, ",
    "/nowhere/labels.yaml": "there is no such file, and no folder /nowhere; ",
    "x" * 300: "there is no such file",
}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("typed", WANTED)
def test_the_job_that_was_meant_is_named(typed: str) -> None:
    output = command("validate", typed)
    assert (output.code, output.out, output.err.count("\n")) == (2, "", 1)
    assert WANTED[typed] in output.err


@pytest.mark.parametrize(
    ("place", "typed", "meant"),
    [
        ("elsewhere/below", "jobs/labels.yaml", "../../jobs/labels.yaml"),
        ("elsewhere", "labels.yaml", "../jobs/labels.yaml"),
        ("jobs", "jobs/labels.yaml", "labels.yaml"),
    ],
)
def test_a_job_is_found_from_the_wrong_folder(
    folder: Path, place: str, typed: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / place)
    assert f"did you mean `{meant}`?" in command("validate", typed).err


def test_a_folder_without_jobs_says_how_to_begin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "elsewhere" / "below")
    for typed, missing in (("labls.yaml", "no job file"), ("nowhere/labls.yaml", "no folder")):
        error = command("validate", typed).err
        assert f"there is no such file, and {missing}" in error
        assert error.endswith("; `batchfree init` writes a first job here\n")


def test_a_current_folder_that_was_deleted_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = folder / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    output = command("validate", "job.yaml")
    monkeypatch.chdir(folder)
    assert (output.code, output.err) == (2, "error: the current folder no longer exists; change to another one\n")


def test_a_missing_folder_of_the_output_is_made(folder: Path) -> None:
    (folder / "rows.jsonl").write_text('{"prompt": "Hello"}\n')
    (folder / "job.yaml").write_text("input: rows.jsonl\noutput: new/folder/table.csv\nendpoint: embedded\n")
    assert command("run", "job.yaml", "-q").code == 0
    assert (folder / "new" / "folder" / "table.csv").exists()
