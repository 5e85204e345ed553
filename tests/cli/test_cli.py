"""The command line as a stranger meets it: what goes where, with which exit code, and what is said of mistakes."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest
import yaml

from batchfree.cli import main
from batchfree.cli.progress import story
from batchfree.cli.terminal import plain
from batchfree.core.chat import Kind
from batchfree.journal.attempts import Attempt, Outcome

ROOT = Path(__file__).parents[2]
ROWS = [
    {"id": "a", "prompt": "What is 1 + 1?", "lang": "en"},
    {"id": "b", "prompt": "What is 1 + 2?", "lang": "de"},
    {"id": "c", "prompt": "What is 1 + 1?", "lang": "de"},
]
READING = ("validate", "preview", "status", "export")
ASKING = ("run", "models", "quota")


@dataclass(frozen=True)
class Said:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """All of stdout as one JSON value."""
        return json.loads(self.out)


def command(*arguments: object) -> Said:
    """One command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main([str(each) for each in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
    return Said(code, out.getvalue(), err.getvalue())


class Folder:
    """A job in a folder of its own, on the embedded endpoint."""

    def __init__(self, path: Path) -> None:
        self.path, self.file = path, path / "job.yaml"
        self.rows(*ROWS)
        self.spec()

    def rows(self, *rows: dict[str, Any]) -> None:
        (self.path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def spec(self, **changes: Any) -> None:
        limits = {"requests_per_minute": 100_000, "requests_per_day": 100_000}
        spec = {"input": {"path": "rows.jsonl", "id": "id"}, "output": "out.parquet", "endpoint": "embedded"}
        self.file.write_text(yaml.safe_dump({**spec, "limits": limits, **changes}), encoding="utf-8")

    def __call__(self, name: str, *arguments: object) -> Said:
        return command(name, self.file, *arguments)

    def left_behind(self) -> set[str]:
        return {path.name for path in self.path.iterdir()} - {"rows.jsonl", "job.yaml", "state", "cache"}


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("BATCHFREE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("BATCHFREE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    monkeypatch.setattr(sys, "argv", ["batchfree"])
    return Folder(tmp_path)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection is a failure of the test."""

    def refuse(*_: object) -> None:
        pytest.fail("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


# What goes where


def test_a_run_says_everything_to_the_person_and_nothing_on_stdout(job: Folder) -> None:
    said = job("run")
    assert (said.code, said.out) == (0, "")
    assert "job: 3 of 3 rows answered" in said.err and "table: " in said.err
    assert "What is 1 + 2?" in said.err  # the first rows of the table


def test_json_of_a_run_is_one_object_on_stdout(job: Folder) -> None:
    value = job("run", "--json", "--set", "router.route=local").json
    assert {"job", "stopped", "counts", "requests", "models", "output"} <= value.keys()
    assert value["counts"] == {"ok": 3, "failed": 0, "pending": 0}
    assert (value["job"], value["stopped"], value["requests"]) == ("job", None, 2)  # two rows are equal
    assert sum(value["models"].values()) == 3
    assert value["output"] == str(job.path / "out.parquet")


@pytest.mark.parametrize(("name", "keys"), [
    ("status", {"job", "counts", "running", "requests_today", "waiting_for", "until"}),
    ("validate", {"ok", "mistakes"}),
    ("export", {"output", "rows"}),
    ("quota", {"day", "minute", "jobs"}),
])  # fmt: skip
def test_reading_commands_print_their_json_and_nothing_else(job: Folder, name: str, keys: set[str]) -> None:
    job("run", "-q")
    said = job(name, "--json")
    assert said.code == 0 and keys <= said.json.keys()
    assert said.err == ""


def test_the_quota_is_told_by_day_minute_and_job(job: Folder) -> None:
    job("run", "-q", "--set", "router.route=local")
    value = job("quota", "--json").json
    assert value["jobs"] == [{"job": "job", "today": 2}]
    for part in ("day", "minute"):
        assert {"limit", "used", "left", "resets_at"} <= value[part].keys()
    assert datetime.fromisoformat(value["day"]["resets_at"]).astimezone(UTC).hour == 0


def test_models_are_listed_with_what_they_can_and_why_they_may_not(job: Folder) -> None:
    listed = command("models", "--endpoint", "embedded", "--json").json
    keys = {"id", "context_length", "max_completion_tokens", "abilities", "eligible", "reason", "health"}
    assert all(keys <= model.keys() for model in listed)
    assert {model["eligible"] for model in listed} == {True, False}
    assert all(model["eligible"] == (model["reason"] is None) for model in listed)
    seeing = command("models", "--endpoint", "embedded", "--requires", "vision", "--json").json
    able = {model["id"] for model in listed if "vision" in model["abilities"] and model["eligible"]}
    assert {model["id"] for model in seeing if model["eligible"]} == able


def test_preview_prints_one_array_of_bodies_for_so_many_rows(job: Folder) -> None:
    shown = job("preview", "-n", 2).json
    assert [body["messages"][-1]["content"] for body in shown] == ["What is 1 + 1?", "What is 1 + 2?"]
    assert all(body["model"] == "openrouter/free" for body in shown)


def test_a_preview_of_packs_is_the_same_every_time(job: Folder) -> None:
    job.spec(pack=10, answer={"labels": ["odd", "even"]})
    first, again = job("preview").out, job("preview").out
    assert first == again and len(json.loads(first)) == 1
    assert first.count("<row id=") == 4  # three rows, and the words that explain them


def test_schema_prints_what_the_jobs_satisfy(job: Folder) -> None:
    schema = command("schema").json
    jsonschema.Draft202012Validator.check_schema(schema)
    for each in [*(ROOT / "jobs").glob("*.yaml"), ROOT / "batchfree" / "cli" / "starter" / "job.yaml"]:
        jsonschema.validate(yaml.safe_load(each.read_text(encoding="utf-8")), schema)


def test_quiet_says_nothing_when_all_is_well(job: Folder) -> None:
    assert job("run", "-q") == Said(0, "", "")
    assert job("run", "-q", "--fresh") == Said(0, "", "")


def test_quiet_says_why_a_run_stopped_early_and_nothing_else(job: Folder) -> None:
    job("run", "-q", "-n", 1)
    job.spec(limits={"requests_per_day": 1})
    said = job("run", "-q")
    assert said.code == 75
    assert re.fullmatch(r"stopped: the day's requests are used up.*\n", said.err)
    status = job("status", "--json").json
    assert (status["waiting_for"], status["counts"]["pending"]) == ("quota", 1)
    assert status["until"].endswith("T00:00:00Z")


def test_verbose_says_what_became_of_every_request(job: Folder) -> None:
    said = job("run", "-v", "--progress", "none", "--set", "router.route=local")
    told = [line for line in said.err.splitlines() if re.match(r"\d\d:\d\d:\d\d ", line)]
    assert len(told) == 2
    assert re.search(r"row 2 \(b\): emulated/.*, \d+\.\d s: ok$", told[1])


@pytest.mark.parametrize(("outcomes", "says"), [
    ([(0, None, None)], "row 1: a:free, 1.2 s: ok"),
    ([(3, "bad_answer", "none of the labels")], "row 4: a:free, 1.2 s: bad_answer: none of the labels"),
    ([(3, None, None), (4, None, None), (7, "empty", "no")], "3 rows from row 4 on: a:free, 1.2 s: 2 ok, 1 empty"),
])  # fmt: skip
def test_a_request_is_told_in_one_line(outcomes: Sequence[tuple[int, str | None, str | None]], says: str) -> None:
    attempt = Attempt(
        at=datetime.now(UTC),
        route="local",
        models=("a:free",),
        model="a:free",
        latency_s=1.24,
        outcomes=tuple(
            Outcome(question="q", row=row, kind=None if kind is None else Kind(kind), error=error)
            for row, kind, error in outcomes
        ),
    )
    assert story(attempt)[9:] == says


# Without network, without a key, from anywhere


@pytest.mark.usefixtures("no_network")
def test_what_only_reads_needs_neither_network_nor_key(job: Folder) -> None:
    job.spec(endpoint="https://openrouter.ai/api/v1")
    assert [job(name).code for name in READING] == [0, 0, 0, 0]
    assert command("schema").code == command("init", job.path / "new").code == 0


@pytest.mark.usefixtures("no_network")
def test_a_run_with_nothing_left_to_ask_needs_them_neither(job: Folder) -> None:
    job("run", "-q")
    job.spec(endpoint="https://openrouter.ai/api/v1")
    said = job("run", "--json")
    assert (said.code, said.json["requests"]) == (0, 0)


@pytest.mark.usefixtures("no_network")
def test_a_missing_key_needs_a_person_and_is_named(job: Folder) -> None:
    job.spec(endpoint={"base_url": "https://openrouter.ai/api/v1", "api_key_env": "MY_KEY"})
    for name in ("run", "quota"):
        said = job(name)
        assert said.code == 3 and "MY_KEY" in said.err


def test_every_command_that_takes_a_job_takes_set_and_env_file(job: Folder) -> None:
    job.spec(name="${NAMED}")
    variables = job.path / "variables.env"
    variables.write_text("NAMED=from-a-file\n", encoding="utf-8")
    for name in (*READING, *ASKING):
        said = job(name, "--env-file", variables, "--set", "limits.concurrency=2")
        assert said.code == 0, said.err
    assert job("status", "--env-file", variables, "--json").json["job"] == "from-a-file"
    assert job("status", "--set", "name=other", "--json").json["job"] == "other"


def test_a_variable_of_the_process_goes_before_one_of_the_file(job: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    job.spec(name="${NAMED}")
    (job.path / "variables.env").write_text("NAMED=from-a-file\n", encoding="utf-8")
    monkeypatch.setenv("NAMED", "from-the-process")
    said = job("status", "--env-file", job.path / "variables.env", "--json")
    assert said.json["job"] == "from-the-process"


def test_paths_start_at_the_job_and_the_output_option_where_one_is(
    job: Folder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert command("run", "../job.yaml", "-q").code == 0
    assert (job.path / "out.parquet").exists() and (job.path / "job.run").is_dir()
    assert command("run", "../job.yaml", "-q", "-o", "here.csv").code == 0
    assert {path.name for path in elsewhere.iterdir()} == {"here.csv"}  # the run folder stays where it was


def test_the_starter_runs_as_it_says(job: Folder) -> None:
    folder = job.path / "starter"
    said = command("init", folder)
    assert (said.code, said.out) == (0, "") and "--endpoint embedded" in said.err
    assert command("validate", folder / "job.yaml").code == 0
    assert command("run", folder / "job.yaml", "--endpoint", "embedded", "-q").code == 0
    table = pl.read_parquet(folder / "out" / "answers.parquet")
    assert set(table["status"]) == {"ok"}
    again = command("init", folder)
    assert again.code == 2 and "job.yaml" in again.err


def test_the_module_is_the_command(job: Folder) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "batchfree", "preview", str(job.file), "-n", "1"], capture_output=True, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)[0]["messages"]


def test_a_reader_that_has_enough_is_no_error(job: Folder) -> None:
    pipe = f"{sys.executable} -m batchfree schema | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, cwd=ROOT, text=True)
    assert (done.stdout.splitlines(), done.stderr) == (["{", "0"], "")


# Tables


SUFFIXES: dict[str, Callable[[Path], pl.DataFrame]] = {
    "parquet": pl.read_parquet,
    "jsonl": pl.read_ndjson,
    "csv": pl.read_csv,
    "arrow": pl.read_ipc,
}


def test_export_writes_what_the_suffix_names(job: Folder) -> None:
    job("run", "-q")
    whole = pl.read_parquet(job.path / "out.parquet")
    for suffix, read in SUFFIXES.items():
        value = job("export", "-o", job.path / f"again.{suffix}", "--json").json
        assert value == {"output": str(job.path / f"again.{suffix}"), "rows": 3}
        table = read(job.path / f"again.{suffix}")
        assert table.columns == whole.columns
        assert table["model"].to_list() == whole["model"].to_list()


def test_before_any_run_every_row_of_an_export_is_pending(job: Folder) -> None:
    assert job("export").code == 0
    assert pl.read_parquet(job.path / "out.parquet")["status"].to_list() == ["pending"] * 3


def test_batch_files_go_in_and_result_lines_come_out(job: Folder) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is 2 + 2?"}], "max_tokens": 9}
    job.rows(*(
        {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body} for name in ("x", "y")
    ))  # fmt: skip
    job.spec(input={"path": "rows.jsonl", "format": "openai-batch"}, output="out.openai.jsonl")
    (shown,) = job("preview", "-n", 1).json
    assert shown == body | {"model": "openrouter/free"}
    said = job("run")
    assert said.code == 0 and "What is 2 + 2?" in said.err
    lines = [json.loads(line) for line in (job.path / "out.openai.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["custom_id"] for line in lines] == ["x", "y"]
    assert lines[0]["response"]["body"] == lines[1]["response"]["body"]  # equal rows share their answer


def test_result_lines_number_rows_without_id_and_tell_failures(job: Folder) -> None:
    job.rows({"prompt": "What is 1 + 1?"}, {"prompt": None}, {"prompt": "What is 1 + 2?"})
    job.spec(input="rows.jsonl", output="out.openai.jsonl")
    job("run", "-q", "-n", 1)
    lines = [json.loads(line) for line in (job.path / "out.openai.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["custom_id"] for line in lines] == ["0", "1"]  # the third is still pending
    assert (lines[1]["response"], lines[1]["error"]["code"]) == (None, "render")


# Exit codes


def test_an_empty_input_is_well_with_a_warning(job: Folder) -> None:
    for text in ("", "\n\n"):
        (job.path / "rows.jsonl").write_text(text, encoding="utf-8")
        said = job("run")
        assert said.code == 0 and "warning: the input has no rows" in said.err


def test_a_limit_that_is_reached_is_well(job: Folder) -> None:
    said = job("run", "-n", 1, "--json")
    assert (said.code, said.json["counts"]) == (0, {"ok": 2, "failed": 0, "pending": 1})
    assert "next:" not in said.err


@pytest.mark.parametrize(("threshold", "code"), [("0", 1), ("33%", 1), ("34%", 0), ("100", 0)])
def test_as_many_rows_may_fail_as_the_threshold_says(job: Folder, threshold: str, code: int) -> None:
    job.rows(*ROWS[:2], {"id": "c", "prompt": None})
    assert job("run", "--fail-threshold", threshold, "-q").code == code


def test_a_deadline_ends_the_run_with_its_reason(job: Folder) -> None:
    said = job("run", "--until", "0s", "--json", "-q")
    assert said.code == 75
    assert (said.json["stopped"]["reason"], said.json["counts"]["pending"]) == ("deadline", 3)
    assert "--until" in said.err


def test_what_to_type_next_never_starts_anew(job: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["run", str(job.file), "--fresh", "--until", "0s"]
    monkeypatch.setattr(sys, "argv", ["batchfree", *arguments])
    said = command(*arguments)
    assert f"next: batchfree run {job.file} --until 0s" in said.err


# Mistakes: one sentence with the place, code 2, nothing sent


SPECS = {
    "promt: x": "job.yaml:4: promt: there is no such key; did you mean `prompt`?",
    "limits: {concurency: 3}": "job.yaml:4: limits.concurency: there is no such key; did you mean `limits.conc",
    "limits: {concurrency: many}": "job.yaml:4: limits.concurrency: expected an integer, got 'many'",
    "limits:\n\tconcurrency: 3": "job.yaml:5: a tab stands here",
    "output: again.csv": "job.yaml:4: output: this key stands twice; first on line 2",
    "---\ninput: rows.jsonl": "job.yaml:4: a second YAML document begins here",
    "prompt: !!python/name:os.system": "job.yaml:4: prompt: the YAML tag",
    "prompt: '{{ promt }}'": "job.yaml:4: prompt: no row has a column `promt`; did you mean `prompt`?",
    "prompt: '{{ prompt'": "job.yaml:4: prompt: unexpected end of template",
    "prompt: '{{ prompt | uper }}'": "job.yaml:4: prompt: No filter named 'uper'",
    "prompt: {{ prompt }}": "job.yaml:4: prompt: a key must be text; put a value that begins with `{`",
    "prompt: ${ANY}\nmessages: []": "job.yaml:5: messages: an empty list asks nothing",
    "messages: [{content: hi}]": "job.yaml:4: messages[0]: a message needs a `role`",
    "answer: {labels: [yes, no]}": "job.yaml:4: answer.labels[0]: YAML reads the label yes as a boolean",
    "answer: {labels: [a, A]}": "job.yaml:4: answer.labels[1]: this label equals `a`",
    "answer: {schema: nowhere.json}": "job.yaml:4: answer.schema: the schema file",
    "answer: {schema: {type: strin}}": "job.yaml:4: answer.schema.type: 'strin' is no type of JSON Schema",
    "pack: 5": "job.yaml:4: pack: several rows in one request need `answer.labels` or `answer.schema`",
    "votes: 3": "job.yaml:4: votes: this version of batchfree does not have `votes` yet",
    "pilot: {rows: 40}": "job.yaml:4: pilot: this version of batchfree does not have `pilot` yet",
    "consensus: majority": "job.yaml:4: consensus: this version of batchfree does not have `consensus` yet",
    "evaluate: {expected: lang}": "job.yaml:4: evaluate: this version of batchfree does not have `evaluate` yet",
    "endpoint: {api_key: sk-or-v1-abcdef0123456789}": "job.yaml:4: endpoint.api_key: a key must not stand",
    "endpoint: localhost": "job.yaml:4: endpoint.base_url: expected a URL",
    "router: {route: openai/gpt-4o}": "job.yaml:4: router.route: `openai/gpt-4o` is no free route",
    "request: {stream: true}": "job.yaml:4: request.stream: `stream` can't stand under `request`: answers are read",
    "request: {plugins: [{id: web}]}": "job.yaml:4: request.plugins[0]: the plugin 'web' is not known to be free",
    "retry: {timeout: 2m}": "job.yaml:4: retry.timeout: expected a number, got '2m'",
    "name: ''": "job.yaml:4: name: must not be blank",
    "name: a/b": "job.yaml:4: name: the name is also that of a folder",
    "run_dir: ${NOWHERE_SET}": "job.yaml:4: run_dir: the environment variable NOWHERE_SET is not set",
}


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("text", SPECS)
def test_a_broken_spec_is_told_with_line_and_key(job: Folder, text: str) -> None:
    job.file.write_text(f"input: rows.jsonl\noutput: out.parquet\n# \n{text}\n", encoding="utf-8")
    said = job("run")
    assert said.code == 2 and SPECS[text] in said.err
    assert (said.out, job.left_behind()) == ("", set())
    found = job("validate", "--json")
    assert (found.code, found.json["ok"]) == (2, False)
    assert all(set(mistake) == {"file", "line", "key", "message"} for mistake in found.json["mistakes"])


INPUTS: dict[str, tuple[str, bytes, dict[str, Any], str]] = {
    "a broken line": ("r.jsonl", b'{"prompt": "a"}\n{"prompt":\n', {}, "r.jsonl:2: broken JSON"),
    "an array": ("r.jsonl", b'[{"prompt": "a"}]', {}, "r.jsonl:1: a line must hold a JSON object"),
    "Latin 1": ("r.jsonl", b'{"prompt": "caf\xe9"}\n', {}, "r.jsonl:1: not UTF-8 text (byte 0xe9)"),
    "two types": ("r.jsonl", b'{"prompt": "a"}\n{"prompt": 3}\n', {}, "r.jsonl:2: prompt: a number here, but a string"),
    "a torn archive": ("r.jsonl.gz", b"\x1f\x8b\x08\x00\x00\x00", {}, "r.jsonl.gz:1: "),
    "no format": ("r.txt", b"{}", {}, "r.txt: input.format: its suffix names no format"),
    "ragged CSV": ("r.csv", b"prompt,b\nx,y\nz\n", {}, "r.csv:3: has 1 cell, the header has 2"),
    "an open quote": ("r.csv", b'prompt\n"x\n', {}, "r.csv:2: broken CSV"),
    "one column twice": ("r.csv", b"prompt,prompt\nx,y\n", {}, "r.csv:1: prompt: the header names this column twice"),
    "no Parquet": ("r.parquet", b"PAR1", {}, "r.parquet: can't be read as parquet"),
    "no Arrow": ("r.arrow", b"ARROW", {}, "r.arrow: can't be read as arrow"),
    "equal ids": ("r.jsonl", b'{"prompt": "a", "i": 1}\n{"prompt": "b", "i": 1}\n', {"id": "i"}, "r.jsonl:2: i: the i"),
    "a null id": ("r.jsonl", b'{"prompt": "a", "i": 1}\n{"prompt": "b"}\n', {"id": "i"}, "r.jsonl:2: i: the id is"),
    "no such id": ("r.jsonl", b'{"prompt": "a"}\n', {"id": "key"}, "input.id: no row has a column `key`"),
    "no condition": ("r.jsonl", b'{"prompt": "a"}\n', {"where": "prompt ="}, "input.where: not a condition"),
    "no such column": ("r.jsonl", b'{"prompt": "a"}\n', {"where": "x = 1"}, "input.where: no row has a column `x`"),
    "a batch file of embeddings": (
        "r.jsonl", b'{"custom_id": "a", "url": "/v1/embeddings", "body": {}}\n', {"format": "openai-batch"},
        "r.jsonl:1: only /v1/chat/completions can be asked",
    ),
    "a batch line without id": (
        "r.jsonl", b'{"body": {"messages": [{"role": "user", "content": "x"}]}}\n', {"format": "openai-batch"},
        "r.jsonl:1: `custom_id` is missing",
    ),
    "columns named like the table's": (
        "r.jsonl", b'{"prompt": "a", "status": 1}\n', {}, "output.prefix: the input has columns named like",
    ),
}  # fmt: skip


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("what", INPUTS)
def test_a_broken_input_is_told_with_its_place(job: Folder, what: str) -> None:
    name, content, more, says = INPUTS[what]
    (job.path / name).write_bytes(content)
    job.spec(input={"path": name, **more})
    said = job("run")
    assert said.code == 2 and says in said.err
    assert (said.out, job.left_behind()) == ("", {name})
    assert says in job("validate").err
    if says.startswith(("input.", "output.")):
        assert re.search(rf"job\.yaml:\d+: {re.escape(says)}", said.err)


@pytest.mark.parametrize("path", ["gone.jsonl", "data/*.jsonl", "."])
def test_an_input_that_is_not_there_is_named(job: Folder, path: str) -> None:
    job.spec(input=path)
    said = job("run")
    assert said.code == 2 and "input.path: " in said.err and path.strip(".") in said.err


ARGUMENTS = {
    "": "the following arguments are required: COMMAND; see `batchfree --help`",
    "rum job.yaml": "got 'rum'; did you mean run?",
    "run": "the following arguments are required: JOB; see `batchfree run --help`",
    "run a.yaml b.yaml": "more arguments than expected: b.yaml",
    "run a.yaml --retry-faild": "there is no option --retry-faild; did you mean --retry-failed?",
    "run a.yaml --lim 3": "there is no option --lim; did you mean --limit?",  # an abbreviation is no promise
    "run a.yaml -n 0": "-n/--limit: must be at least 1, got 0",
    "run a.yaml -n many": "-n/--limit: expected a whole number, got 'many'",
    "run a.yaml --fail-threshold 200": "--fail-threshold: must be between 0% and 100%, got 200",
    "run a.yaml --fail-threshold nan": "--fail-threshold: must be between 0% and 100%, got nan",
    "run a.yaml --on-quota sleep": "--on-quota: expected one of stop, wait, got 'sleep'",
    "run a.yaml -q -v": "not allowed with",
    "run a.yaml": "a.yaml: there is no such file",
    "preview a.yaml -n x": "-n/--rows: expected a whole number, got 'x'",
    "emulate --port 99999": "--port: must be between 0 and 65535, got 99999",
    "models --requires telepathy --endpoint embedded": "--requires: unknown ability 'telepathy'",
    "models --endpoint http://openrouter.ai/api/v1": "--endpoint: endpoint.base_url: write https:// for OpenRouter",
    "quota --endpoint https://me:pw@openrouter.ai/api/v1": "a user name or a password",
    "models --endpoint nowhere": "--endpoint: endpoint.base_url: expected a URL",
    "quota --set a=b": "--set: changes a job: name one",
    "plan a.yaml --json": "`batchfree plan` is not built yet",
    "report a.yaml -o a.html": "`batchfree report` is not built yet",
}


@pytest.mark.usefixtures("job", "no_network")
@pytest.mark.parametrize("line", ARGUMENTS)
def test_a_wrong_argument_is_told_in_one_line(line: str) -> None:
    said = command(*line.split())
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith("error: ") and ARGUMENTS[line] in said.err


OPTIONS = {
    ("--set", "limits.concurrency=0"): "--set: limits.concurrency: must be at least 1, got 0",
    ("--set", "limits.concurency=2"): "--set: limits.concurency: there is no such key",
    ("--set", "limits"): "`limits` is no override; write KEY=VALUE",
    ("--set", "input.id=nowhere"): "--set: input.id: no row has a column `nowhere`",
    ("--until", "25:00"): "--until: expected HH:MM, 90s, 15m, 2h or 1h30m, got '25:00'",
    ("--until", "soon"): "--until: expected HH:MM",
    ("--endpoint", "ftp://here"): "--endpoint: endpoint.base_url: expected a URL",
    ("--env-file", "nowhere.env"): "nowhere.env: --env-file: can't be read: No such file",
    ("--endpoint", "http://openrouter.ai/api/v1"): "--endpoint: endpoint.base_url: write https:// for OpenRouter",
    ("-o", "table.xlsx"): "--output: output.path: the suffix of the output names its format",
    ("-o", "rows.jsonl"): "--output: output.path: the table would be written over the input",
    ("-o", "there/../rows.jsonl"): "--output: output.path: the table would be written over the input",
    ("-o", "link.jsonl"): "--output: output.path: the table would be written over the input",
    ("-o", "job.run/journal.jsonl"): "--output: output.path: the table would be written over the job's own records",
    ("-o", "."): "--output: output.path: ",
}


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("option", OPTIONS)
def test_a_wrong_option_is_told_and_nothing_is_sent(
    job: Folder, option: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (job.path / "there").mkdir()
    (job.path / "link.jsonl").symlink_to("rows.jsonl")
    before = (job.path / "rows.jsonl").read_bytes()
    monkeypatch.chdir(job.path)
    said = job("run", *option)
    assert (said.code, said.out) == (2, "") and OPTIONS[option] in said.err
    assert job.left_behind() == {"there", "link.jsonl"}
    assert (job.path / "rows.jsonl").read_bytes() == before


def test_a_prompt_can_be_set_as_it_stands(job: Folder) -> None:
    for prompt, asked in {
        "{{ id }}": "a",
        "{{ id }}: {{ lang }}": "a: en",
        "Say {{ id }} # once": "Say a # once",
    }.items():
        (body,) = job("preview", "-n", 1, "--set", f"prompt={prompt}").json
        assert body["messages"][-1]["content"].startswith(asked.split(" #")[0])


# Terminals


def test_help_names_what_every_option_does(job: Folder) -> None:
    for name in (*READING, *ASKING, "init", "schema", "emulate"):
        said = command(name, "--help")
        assert (said.code, said.err) == (0, "")
        assert said.out.startswith(f"usage: batchfree {name}")


def test_what_would_steer_a_terminal_is_shown_by_its_code(job: Folder) -> None:
    assert plain("red \x1b[31m, bell \x07, turned \u202e; tab\tand line\n") == (
        "red \\x1b[31m, bell \\x07, turned \\u202e; tab\tand line\n"
    )
    job.rows({"id": "\x1b[2J", "prompt": "\x1b[31mWhat is 1 + 1?"}, {"id": "b", "prompt": "\x07"})
    said = job("run", "-v")
    assert said.code == 0
    assert not set(said.err) & {"\x1b", "\x07"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_terminal_can_show_any_text(job: Folder, encoding: str) -> None:
    job.rows({"id": "größe", "prompt": "Größe 漢字 🎉"})
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    for arguments in (["preview"], ["run", "--progress", "plain", "-v"], ["--help"]):
        line = [sys.executable, "-m", "batchfree", arguments[0], *([str(job.file)] if len(arguments[0]) < 8 else [])]
        done = subprocess.run([*line, *arguments[1:]], capture_output=True, env=environment)
        assert done.returncode == 0 and b"Traceback" not in done.stderr
        if arguments == ["preview"]:
            assert json.loads(done.stdout.decode(encoding))[0]["messages"][0]["content"] == "Größe 漢字 🎉"


@pytest.mark.parametrize("columns", [20, 40, 200])
def test_a_table_is_as_wide_as_the_terminal(job: Folder, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    job.rows({"id": "a", "prompt": "What is 1 + 1? " * 50})
    said = job("run", "--progress", "none")
    table = said.err.split("job: ")[0].splitlines()
    assert said.code == 0 and max(map(len, table)) <= columns


def test_plain_progress_counts_rows_that_were_answered_before(job: Folder) -> None:
    job("run", "-q", "-n", 1)
    said = job("run", "--progress", "plain")
    assert "job: 1 of 3 rows" in said.err


@pytest.mark.skipif(shutil.which("script") is None, reason="needs script(1) for a terminal")
def test_a_bar_is_drawn_on_a_terminal_and_taken_away(job: Folder) -> None:
    line = f"{sys.executable} -m batchfree run {job.file}"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"}
    done = subprocess.run(["script", "-qec", line, "/dev/null"], capture_output=True, env=environment, text=True)
    assert done.returncode == 0
    assert "━" in done.stdout and "3 of 3 rows answered" in done.stdout
