"""The JSON Schema for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from batchfree.jobspec import load_spec
from batchfree.jobspec.editor_schema import json_schema

EXAMPLE = """
name: reviews                  # default: the job file's stem. Names the run folder
run_dir: null                  # default: <folder of output.path>/<name>.run; -o does not move it
input:                         # or just a path
  path: ../sample_data/reviews.jsonl   # relative to the job file; globs; list of paths
  format: auto
  id: null
  where: null
prompt: "{{ prompt }}"         # Jinja2 (sandboxed, StrictUndefined) over the row's columns …
messages: null
system: null                   # shorthand for a first system message
answer:                        # how an answer is read and checked; default: any non-empty text
  labels: null
  schema: null                 # JSON Schema, or a path to one: the answer is JSON that satisfies it
  mode: auto
  repair: true                 # mend JSON syntax locally before spending another request
  reask: 1                     # times to ask again with the error shown, when an answer does not fit
request: {}
router:
  route: openrouter/free
  only: []                     # glob patterns on model ids that a draw may take
  exclude: []
  min_context: null            # tokens
  seed: null                   # makes the draws repeatable
  fallbacks: 2
pack: 1
votes: 1
pilot: null
consensus: dawid-skene         # dawid-skene | majority: how votes become the answer
evaluate: null
limits:
  requests_per_minute: 20      # default 20 on free routes, none on an endpoint of your own
  requests_per_day: auto
  reserve: 0                   # requests of the day left for others
  concurrency: 8
  on_quota: stop
retry:
  max_attempts: 5
  timeout: 120                 # seconds for one whole call
  max_wait: 60                 # seconds, cap of one backoff
output:                        # or just a path
  path: ../out/reviews.parquet # .parquet | .jsonl | .csv | .arrow | .openai.jsonl (OpenAI batch result lines)
  prefix: ""                   # put before batchfree's columns, where they would collide with the input's
endpoint:                      # or a URL, or `embedded`
  base_url: https://openrouter.ai/api/v1
  api_key_env: OPENROUTER_API_KEY   # a missing key is an error only on OpenRouter's host
  account: null                # a name: several keys of one account then share one quota ledger
"""


def accepts(job: Any) -> bool:
    return Draft202012Validator(json_schema()).is_valid(job)


def test_the_schema_is_itself_valid():
    Draft202012Validator.check_schema(json_schema())


def test_the_example_with_every_key_is_accepted_and_loads(tmp_path: Path):
    assert accepts(yaml.safe_load(EXAMPLE))
    file = tmp_path / "jobs" / "reviews.yaml"
    file.parent.mkdir()
    file.write_text(EXAMPLE, encoding="utf-8")
    assert load_spec(file, environment={}).run_dir == tmp_path / "out" / "reviews.run"


@pytest.mark.parametrize(
    "text",
    [
        "input: x.jsonl",
        "input: [a.jsonl, b.jsonl]",
        "{input: x, output: y.csv, endpoint: embedded, answer: {labels: [a, b]}, pack: auto}",
        "{input: {path: [a, b]}, endpoint: 'http://localhost/v1', router: {route: ['a/b:free']}}",
        "{input: x, answer: {schema: schema.json}}",
        "{input: x, answer: {schema: {type: object}}, request: {temperature: 0.5}}",
        "{input: x, messages: [{role: user, content: [{type: image, column: photo}]}]}",
        "{input: x, messages: [{role: user, content: [{type: file, file: a.pdf}, {type: file, file: {file_id: b}}]}]}",
        "{input: x, request: {temperature: 1, stop: null, tools: [{type: function, function: {name: f}}], new: 1}}",
        "{input: x, limits: null, name: null, limits: {requests_per_minute: '${N:-4}', requests_per_day: 40}}",
        "{input: x, retry: {timeout: 1.5}}",
    ],
)
def test_every_form_is_accepted_and_resolved_jobs_are_too(tmp_path, text):
    assert accepts(yaml.safe_load(text))
    file = tmp_path / "job.yaml"
    (tmp_path / "schema.json").write_text("{}")
    file.write_text(text.replace("limits: null, ", ""))
    resolved = load_spec(file, environment={}).resolved()
    assert accepts(resolved)
    file.write_text(yaml.safe_dump(resolved))
    assert load_spec(file, environment={}).resolved() == resolved


@pytest.mark.parametrize(
    "job",
    [
        {},
        {"input": 5},
        {"input": "x", "limitz": {}},
        {"input": "x", "limits": {"concurency": 4}},
        {"input": "x", "limits": {"concurrency": "4"}},
        {"input": "x", "votes": 0},
        {"input": "x", "pack": 0},
        {"input": "x", "messages": [{"role": "sytem"}]},
        {"input": "x", "messages": []},
        {"input": "x", "messages": [{"role": "user", "content": [{"type": "imag"}]}]},
        {"input": "x", "request": {"temperature": 3}},
        {"input": "x", "request": {"model": "a/b"}},
        {"input": "x", "request": {"tools": [{"type": "web_search"}]}},
        {"input": "x", "answer": {"labels": [True, False]}},
    ],
)
def test_what_is_no_job_is_refused(job):
    assert not accepts(job)


def test_every_key_has_a_sentence():
    schema = json_schema()
    for part in (schema, *schema["$defs"].values()):
        assert [key for key, value in part["properties"].items() if not value.get("description")] == []
