"""Mistakes in the job file or the input: each is named with its place, the exit code is 2, and nothing is sent."""

from __future__ import annotations

import re
from typing import Any

import pytest
from support.command_line import JobHere

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
    "messages: [{content: hi}]": "job.yaml:4: messages[0].role: a message needs a `role`",
    "answer: {labels: [yes, no]}": "job.yaml:4: answer.labels[0]: YAML reads the label yes as a boolean",
    "answer: {labels: [a, A]}": "job.yaml:4: answer.labels[1]: this label equals `a`",
    "answer: {schema: nowhere.json}": "job.yaml:4: answer.schema: the schema file",
    "answer: {schema: {type: strin}}": "job.yaml:4: answer.schema.type: 'strin' is no type of JSON Schema",
    "pack: 5": "job.yaml:4: pack: several rows in one request need `answer.labels` or `answer.schema`",
    "endpoint: {api_key: sk-or-v1-abcdef0123456789}": "job.yaml:4: endpoint.api_key: an API key must not stand",
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
def test_a_mistake_in_the_job_file_is_named_with_line_and_key(job: JobHere, text: str) -> None:
    job.file.write_text(f"input: rows.jsonl\noutput: out.parquet\n# \n{text}\n", encoding="utf-8")
    output = job("run")
    assert output.code == 2
    assert SPECS[text] in output.err
    assert (output.out, job.created()) == ("", set())
    found = job("validate", "--json")
    assert (found.code, found.json["ok"]) == (2, False)
    assert all(set(mistake) == {"file", "line", "key", "message"} for mistake in found.json["mistakes"])


INPUTS: dict[str, tuple[str, bytes, dict[str, Any], str]] = {
    "a broken line": ("r.jsonl", b'{"prompt": "a"}\n{"prompt":\n', {}, "r.jsonl:2: broken JSON"),
    "an array": ("r.jsonl", b'[{"prompt": "a"}]', {}, "r.jsonl:1: the whole file is one JSON array"),
    "Latin 1": ("r.jsonl", b'{"prompt": "caf\xe9"}\n', {}, "r.jsonl:1: not UTF-8 text (byte 0xe9)"),
    "two types": ("r.jsonl", b'{"prompt": "a"}\n{"prompt": 3}\n', {}, "r.jsonl:2: prompt: a number here, but a string"),
    "a torn archive": ("r.jsonl.gz", b"\x1f\x8b\x08\x00\x00\x00", {}, "r.jsonl.gz:1: "),
    "no format": ("r.txt", b"{}", {}, "r.txt: input.format: its suffix names no format"),
    "ragged CSV": ("r.csv", b"prompt,b\nx,y\nz\n", {}, "r.csv:3: has 1 cell, the header has 2"),
    "an open quote": ("r.csv", b'prompt\n"x\n', {}, "r.csv:2: broken CSV"),
    "one column twice": ("r.csv", b"prompt,prompt\nx,y\n", {}, "r.csv:1: prompt: the header names this column twice"),
    "no Parquet": ("r.parquet", b"PAR1", {}, "r.parquet: can't be read as parquet"),
    "text named Parquet": ("r.parquet", b'{"prompt": "a"}\n', {}, "r.parquet: input.path: this is a text file"),
    "a pickle": ("r.parquet", b"\x80\x04\x95\n", {}, "r.parquet: input.path: this is a Python pickle"),
    "CR line ends": ("r.csv", b"prompt\rx\ry\r", {}, "r.csv:1: broken CSV: a line ends in a carriage return alone"),
    "no Arrow": ("r.arrow", b"ARROW", {}, "r.arrow: can't be read as arrow"),
    "equal ids": ("r.jsonl", b'{"prompt": "a", "i": 1}\n{"prompt": "b", "i": 1}\n', {"id": "i"}, "r.jsonl:2: i: the i"),
    "a null id": ("r.jsonl", b'{"prompt": "a", "i": 1}\n{"prompt": "b"}\n', {"id": "i"}, "r.jsonl:2: i: the id is"),
    "no such id": ("r.jsonl", b'{"prompt": "a"}\n', {"id": "key"}, "input.id: no row has a column `key`"),
    "no condition": ("r.jsonl", b'{"prompt": "a"}\n', {"where": "prompt ="}, "input.where: not a condition"),
    "no such column": ("r.jsonl", b'{"prompt": "a"}\n', {"where": "x = 1"}, "input.where: no row has a column `x`"),
    "a batch file of embeddings": (
        "r.jsonl", b'{"custom_id": "a", "url": "/v1/embeddings", "body": {}}\n', {"format": "openai-batch"},
        "r.jsonl:1: the url must end in /chat/completions, not '/v1/embeddings'",
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
def test_a_mistake_in_the_input_is_named_with_its_place(job: JobHere, what: str) -> None:
    name, content, more, says = INPUTS[what]
    (job.path / name).write_bytes(content)
    job.spec(input={"path": name, **more})
    output = job("run")
    assert output.code == 2
    assert says in output.err
    assert (output.out, job.created()) == ("", {name})
    assert says in job("validate").err
    if says.startswith(("input.", "output.")):
        assert re.search(rf"job\.yaml:\d+: {re.escape(says)}", output.err)


@pytest.mark.parametrize("path", ["gone.jsonl", "data/*.jsonl", "."])
def test_a_missing_input_is_named(job: JobHere, path: str) -> None:
    job.spec(input=path)
    output = job("run")
    assert output.code == 2
    assert "input.path: " in output.err
    assert path.strip(".") in output.err


@pytest.mark.usefixtures("no_network")
def test_validate_finds_every_mistake_at_once(job: JobHere) -> None:
    """In the job file, in the keys that name columns, in every template, in the rows and at the output."""
    job.rows({"id": "a", "text": "x"}, {"id": "a", "text": "y"})
    job.file.write_text(
        "input: {path: rows.jsonl, id: id}\nsystem: '{{ lan }}'\nprompt: '{{ txt }}'\nevaluate: {expected: label}\n"
        "limits: {reserve: many}\nretry: {tries: 3}\noutput: .\n"
    )
    found = {(each["key"], each["line"]) for each in job("validate", "--json").json["mistakes"]}
    assert found == {
        ("limits.reserve", 5), ("retry.tries", 6), ("output.path", 7), ("system", 2), ("prompt", 3),
        ("evaluate.expected", 4), ("id", 2),
    }  # fmt: skip
    lines = job("validate").err.splitlines()
    assert len(lines) == 7
    assert sum(line.startswith(f"error: {job.file}:") for line in lines) == 6


@pytest.mark.usefixtures("no_network")
def test_without_columns_the_form_of_a_template_is_still_checked(job: JobHere) -> None:
    job.spec(input="gone.jsonl", prompt="{% if %}")
    keys = [each["key"] for each in job("validate", "--json").json["mistakes"]]
    assert keys == ["input.path", "prompt"]


@pytest.mark.usefixtures("no_network")
def test_a_wrong_section_is_blamed_once(job: JobHere) -> None:
    job.spec(input={"path": "gone.jsonl", "format": "xml"}, output={"path": "rows.jsonl", "prefiks": "x"})
    keys = sorted(each["key"] for each in job("validate", "--json").json["mistakes"])
    assert keys == ["input.format", "output.prefiks"]
