"""`preview`, `validate`, `status` and `export`: what they print and write, without network and without a key."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from support.command_line import JobHere, command

import batchfree

READING = ("validate", "preview", "status", "export")


ASKING = ("run", "models", "quota")


@pytest.mark.parametrize(("name", "keys"), [
    ("status", {"job", "counts", "running", "requests_today", "waiting_for", "until"}),
    ("validate", {"ok", "mistakes"}),
    ("export", {"output", "rows"}),
    ("quota", {"day", "minute", "jobs"}),
])  # fmt: skip
def test_reading_commands_print_their_json_and_nothing_else(job: JobHere, name: str, keys: set[str]) -> None:
    job("run", "-q")
    output = job(name, "--json")
    assert output.code == 0
    assert keys <= output.json.keys()
    assert output.err == ""


def test_preview_prints_one_array_with_the_bodies_of_the_first_rows(job: JobHere) -> None:
    shown = job("preview", "-n", 2).json
    assert [body["messages"][-1]["content"] for body in shown] == ["What is 1 + 1?", "What is 1 + 2?"]
    assert all(body["model"] == "openrouter/free" for body in shown)


def test_a_preview_of_packs_is_the_same_every_time(job: JobHere) -> None:
    job.spec(pack=10, answer={"labels": ["odd", "even"]})
    first, again = job("preview").out, job("preview").out
    assert first == again
    assert len(json.loads(first)) == 1
    assert first.count("<row id=") == 4  # three rows, and the words that explain them


def test_set_takes_a_prompt_with_braces_colons_and_number_signs(job: JobHere) -> None:
    for prompt, asked in {
        "{{ id }}": "a",
        "{{ id }}: {{ lang }}": "a: en",
        "Say {{ id }} # once": "Say a # once",
    }.items():
        (body,) = job("preview", "-n", 1, "--set", f"prompt={prompt}").json
        assert body["messages"][-1]["content"].startswith(asked.split(" #")[0])


@pytest.mark.usefixtures("no_network")
def test_commands_that_only_read_need_neither_network_nor_key(job: JobHere) -> None:
    job.spec(endpoint="https://openrouter.ai/api/v1")
    assert [job(name).code for name in READING] == [0, 0, 0, 0]
    assert command("schema").code == command("init", job.path / "new").code == 0


def test_every_command_that_takes_a_job_takes_set_and_env_file(job: JobHere) -> None:
    job.spec(name="${NAMED}")
    variables = job.path / "variables.env"
    variables.write_text("NAMED=from-a-file\n", encoding="utf-8")
    for name in (*READING, *ASKING):
        output = job(name, "--env-file", variables, "--set", "limits.concurrency=2")
        assert output.code == 0, output.err
    assert job("status", "--env-file", variables, "--json").json["job"] == "from-a-file"
    assert job("status", "--set", "name=other", "--json").json["job"] == "other"


def test_a_variable_of_the_process_overrides_the_env_file(job: JobHere, monkeypatch: pytest.MonkeyPatch) -> None:
    job.spec(name="${NAMED}")
    (job.path / "variables.env").write_text("NAMED=from-a-file\n", encoding="utf-8")
    monkeypatch.setenv("NAMED", "from-the-process")
    output = job("status", "--env-file", job.path / "variables.env", "--json")
    assert output.json["job"] == "from-the-process"


def test_a_file_dot_env_beside_the_job_is_read_without_being_named(
    job: JobHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.spec(name="${NAMED}-${ALSO}")
    (job.path / ".env").write_text("# a comment\nexport NAMED='beside'\nALSO=beside\n", encoding="utf-8")
    assert job("status", "--json").json["job"] == "beside-beside"
    assert batchfree.load(job.file).spec.name == "beside-beside"
    (job.path / "named.env").write_text("NAMED=named\n", encoding="utf-8")
    assert job("status", "--env-file", job.path / "named.env", "--json").json["job"] == "named-beside"
    monkeypatch.setenv("NAMED", "process")
    assert job("status", "--env-file", job.path / "named.env", "--json").json["job"] == "process-beside"


@pytest.mark.parametrize("line", ["OPENROUTER_API_KEY", "OPENROUTER_API_KEY: sk-or-v1-secret", "A='sk-or-v1-secret"])
def test_a_broken_line_of_an_env_file_is_an_error_with_file_and_line(job: JobHere, line: str) -> None:
    for name, options in {".env": [], "other.env": ["--env-file", job.path / "other.env"]}.items():
        (job.path / name).write_text(f"# key\nGOOD=1\n{line}\n", encoding="utf-8")
        output = job("run", *options)
        assert output.code == 2
        assert f"{name}:3: " in output.err
        assert "expected NAME=value" in output.err
        assert "secret" not in output.err
        (job.path / name).unlink()


SUFFIXES: dict[str, Callable[[Path], pl.DataFrame]] = {
    "parquet": pl.read_parquet,
    "jsonl": pl.read_ndjson,
    "csv": pl.read_csv,
    "arrow": pl.read_ipc,
}


def test_export_writes_what_the_suffix_names(job: JobHere) -> None:
    job("run", "-q")
    whole = pl.read_parquet(job.path / "out.parquet")
    for suffix, read in SUFFIXES.items():
        value = job("export", "-o", job.path / f"again.{suffix}", "--json").json
        assert value == {"output": str(job.path / f"again.{suffix}"), "rows": 3}
        table = read(job.path / f"again.{suffix}")
        assert table.columns == whole.columns
        assert table["model"].to_list() == whole["model"].to_list()


def test_before_any_run_every_row_of_an_export_is_pending(job: JobHere) -> None:
    assert job("export").code == 0
    assert pl.read_parquet(job.path / "out.parquet")["status"].to_list() == ["pending"] * 3


def test_an_openai_batch_file_gives_openai_result_lines(job: JobHere) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is 2 + 2?"}], "max_tokens": 9}
    job.rows(*(
        {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body} for name in ("x", "y")
    ))  # fmt: skip
    job.spec(input={"path": "rows.jsonl", "format": "openai-batch"}, output="out.openai.jsonl")
    (shown,) = job("preview", "-n", 1).json
    assert shown == body | {"model": "openrouter/free"}
    output = job("run")
    assert output.code == 0
    assert "What is 2 + 2?" in output.err
    lines = [json.loads(line) for line in (job.path / "out.openai.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["custom_id"] for line in lines] == ["x", "y"]
    assert lines[0]["response"]["body"] == lines[1]["response"]["body"]  # equal rows share their answer


def test_result_lines_number_rows_without_id_and_give_the_failure(job: JobHere) -> None:
    job.rows({"prompt": "What is 1 + 1?"}, {"prompt": None}, {"prompt": "What is 1 + 2?"})
    job.spec(input="rows.jsonl", output="out.openai.jsonl")
    job("run", "-q", "-n", 1)
    lines = [json.loads(line) for line in (job.path / "out.openai.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["custom_id"] for line in lines] == ["0", "1"]  # the third is still pending
    assert (lines[1]["response"], lines[1]["error"]["code"]) == (None, "render")
