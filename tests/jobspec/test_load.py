"""The spec that a correct job file gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from batchfree.core.errors import Mistake, SpecError
from batchfree.jobspec import JobSpec, load_endpoint, load_spec

KEY = "sk-or-v1-0123456789abcdef0123456789abcdef"


@pytest.fixture
def load(tmp_path: Path):
    def load(
        text: str, *overrides: str, endpoint: str | None = None, output: Path | None = None, **environment: str
    ) -> JobSpec:
        file = tmp_path / "jobs" / "reviews.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return load_spec(file, overrides=overrides, environment=environment, endpoint=endpoint, output=output)

    return load


def test_the_smallest_job_gets_every_default(load, tmp_path):
    spec = load("input: ../data/rows.jsonl\n")
    jobs = tmp_path / "jobs"
    assert spec.file == jobs / "reviews.yaml"
    assert spec.folder == jobs
    assert spec.resolved() == {
        "name": "reviews",
        "run_dir": str(jobs / "reviews.run"),
        "input": {
            "path": [str(tmp_path / "data" / "rows.jsonl")],
            "format": "auto",
            "separator": None,
            "id": None,
            "where": None,
            "files": None,
        },
        "prompt": None,
        "messages": None,
        "system": None,
        "answer": {"labels": None, "schema": None, "mode": "auto", "repair": True, "reask": 1},
        "request": {},
        "router": {
            "route": ["openrouter/free"],
            "only": [],
            "exclude": [],
            "min_context": None,
            "seed": None,
            "fallbacks": 2,
        },
        "pack": 1,
        "votes": {"min": 1, "max": 1, "agree": 1, "budget": None},
        "pilot": None,
        "consensus": "dawid-skene",
        "evaluate": None,
        "limits": {
            "requests_per_minute": 20,
            "requests_per_day": "auto",
            "reserve": 0,
            "concurrency": 8,
            "on_quota": "stop",
        },
        "retry": {"max_attempts": 5, "timeout": 120.0, "max_wait": 60.0},
        "output": {"path": str(jobs / "reviews.parquet"), "prefix": ""},
        "endpoint": {
            "base_url": "https://openrouter.ai/api/v1",
            "api_key_env": "OPENROUTER_API_KEY",
            "account": None,
            "llama": None,
            "context": None,
            "threads": None,
        },
        "executor": {"name": "local", "parts": None, "cpus": 1.0},
    }


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ("1", {"min": 1, "max": 1, "agree": 1, "budget": None}),
        ("3", {"min": 3, "max": 5, "agree": 1, "budget": None}),
        ("{min: 2}", {"min": 2, "max": 4, "agree": 1, "budget": None}),
        ("{agree: 2, budget: 2}", {"min": 1, "max": 3, "agree": 2, "budget": 2.0}),
    ],
)
def test_a_number_of_votes_is_written_out_and_draws_are_made_here(load, votes, expected):
    spec = load(f"input: x.jsonl\nvotes: {votes}\n")
    assert spec.votes.model_dump() == expected
    assert spec.router.route == (("openrouter/free",) if votes == "1" else ("local",))
    assert load("input: x.jsonl\npilot: {rows: 20}\n").router.route == ("local",)


def test_values_are_frozen(load):
    spec = load("input: x.jsonl\n")
    with pytest.raises(ValueError, match="frozen"):
        spec.limits.concurrency = 9


def test_short_forms_and_sections_left_empty_are_read(load, tmp_path):
    spec = load(
        "input: [a.jsonl, 'https://host/b.jsonl', ~/c.csv]\noutput: ../out/x.csv\nendpoint: embedded\nlimits:\n"
    )
    assert spec.input.path == (str(tmp_path / "jobs/a.jsonl"), "https://host/b.jsonl", str(Path.home() / "c.csv"))
    assert spec.output.path == tmp_path / "out" / "x.csv"
    assert spec.run_dir == tmp_path / "out" / "reviews.run"
    assert spec.endpoint.embedded


def test_a_byte_order_mark_crlf_anchors_and_odd_numbers_are_read(load):
    text = "\ufeffinput: x\nrouter: {seed: 1_000}\nretry: {timeout: 1e3, max_wait: 5}\nlimits:\n  <<: {reserve: 2}\n"
    spec = load(text.replace("\n", "\r\n"))
    assert (spec.router.seed, spec.retry.timeout, spec.retry.max_wait, spec.limits.reserve) == (1000, 1000.0, 5.0, 2)


def test_keys_are_always_text_and_dates_outside_labels_too(load):
    request = load("input: x\nrequest: {logit_bias: {50256: -100}, metadata: {on: 2024-01-01}}\n").request
    assert request == {"logit_bias": {"50256": -100}, "metadata": {"on": "2024-01-01"}}


def test_surrogate_pairs_as_json_writes_them_become_one_character(load):
    assert load('input: x\nprompt: "\\ud83d\\ude00 {{ a }}"\n').prompt == "\U0001f600 {{ a }}"


def test_quoted_labels_stay_as_they_were_written(load):
    assert load("input: x\nanswer: {labels: ['yes', \"no\", !!str 1]}\n").answer.labels == ("yes", "no", "1")


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_a_schema_is_read_from_the_file_it_names(load, tmp_path, suffix):
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string"}}}
    (tmp_path / f"schema.{suffix}").write_text(json.dumps(schema))
    assert load(f"input: x\nanswer: {{schema: ../schema.{suffix}}}\npack: auto\n").answer.schema_ == schema


def test_messages_take_our_parts_and_openais(load):
    parts = [
        {"type": "text", "text": "{{ a }}"},
        {"type": "image", "column": "photo"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {"type": "file", "file": {"file_data": "https://x/y.pdf"}},
        {"type": "file", "file": "a.pdf"},
        {"type": "audio", "audio": "{{ path }}"},
    ]
    messages = [{"role": "system", "content": "be kind"}, {"role": "user", "content": parts}]
    assert load(f"input: x\nmessages: {json.dumps(messages)}\n").messages == tuple(messages)


def test_overrides_reach_into_short_forms_and_the_last_one_wins(load, tmp_path):
    spec = load(
        "input: x.jsonl\noutput: y.csv\n",
        "output.prefix=b_",
        "limits.concurrency=3",
        "limits.concurrency=4",
        "input.where=lang = 'en'",
        "router.route=[a/b:free, c/d:free]",
        "endpoint=http://localhost:8000/v1/",
        "output.path=../z.jsonl",
        "request.temperature=0.5",
    )
    assert spec.output.model_dump() == {"path": tmp_path / "z.jsonl", "prefix": "b_"}
    assert spec.limits.concurrency == 4
    assert spec.input.where == "lang = 'en'"
    assert spec.router.route == ("a/b:free", "c/d:free")
    assert spec.endpoint.base_url == "http://localhost:8000/v1"
    assert spec.request == {"temperature": 0.5}


@pytest.mark.parametrize(
    ("override", "key", "fragment"),
    [
        ("limits.concurrency=five", "limits.concurrency", "expected an integer, got 'five'"),
        ("limits.concurency=5", "limits.concurency", "did you mean `limits.concurrency`?"),
        ("limits.concurrency", None, "write KEY=VALUE"),
        ("=5", None, "write KEY=VALUE"),
        ("input.path.x=5", "input.path.x", "`input.path` is no mapping"),
        ("name=a: b: c", "name", "`:`"),
        ("answer.labels=[yes, no]", "answer.labels[0]", "in quotes"),
        ("output=x.txt", "output.path", "suffix"),
        ("votes.max=0", "votes.max", "at least 1"),
    ],
)
def test_a_wrong_override_is_named_by_its_key(load, override, key, fragment):
    with pytest.raises(SpecError) as caught:
        load("input: x.jsonl\n", override)
    mistake = caught.value.mistakes[0]
    assert (mistake.file, mistake.line, mistake.key) == ("--set", None, key)
    assert fragment in mistake.message


def test_the_environment_fills_in_values_but_not_templates(load, tmp_path):
    text = """
input: ${DATA}/x.jsonl
name: ${YEAR}
prompt: "${DATA} {{ a }}"
limits: {concurrency: "${N:-4}", reserve: "${M:-3}"}
request:
  temperature: ${T:-0.5}
  top_p: "${P}"
  stop: "$${x}"
  user: ${YEAR}
"""
    spec = load(text, DATA="/data", YEAR="007", N="6", P="1")
    assert spec.input.path == ("/data/x.jsonl",)
    assert spec.name == "007"
    assert spec.output.path == tmp_path / "jobs" / "007.parquet"
    assert spec.prompt == "${DATA} {{ a }}"
    assert (spec.limits.concurrency, spec.limits.reserve) == (6, 3)
    assert spec.request == {"temperature": 0.5, "top_p": 1, "stop": "${x}", "user": "007"}


@pytest.mark.parametrize(
    ("lines", "per_minute", "per_day"),
    [
        ("router: {route: local}", 20, "auto"),
        ("router: {route: 'a/b:free'}\nendpoint: http://localhost/v1", 20, "auto"),
        ("router: {route: my-model}\nendpoint: http://localhost/v1", None, None),
        ("router: {route: my-model}\nendpoint: http://localhost/v1\nlimits: {requests_per_day: auto}", None, None),
        (
            "router: {route: my-model}\nendpoint: http://[::1]/v1\n"
            "limits: {requests_per_minute: 3, requests_per_day: 9}",
            3,
            9,
        ),
        ("limits: {requests_per_minute: 60, requests_per_day: 1000}", 60, 1000),
        ("limits: {requests_per_minute: null, requests_per_day: null}", 20, "auto"),
    ],
)
def test_free_limits_go_with_the_route(load, lines, per_minute, per_day):
    limits = load(f"input: x\n{lines}\n").limits
    assert (limits.requests_per_minute, limits.requests_per_day) == (per_minute, per_day)


def test_another_output_starts_at_the_current_folder_and_leaves_the_run_folder_where_it_was(
    load, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    spec = load("input: x.jsonl\noutput: out/y.csv\n", output=Path("elsewhere.csv"))
    assert spec.output.path == tmp_path / "elsewhere.csv"
    assert spec.run_dir == tmp_path / "jobs" / "out" / "reviews.run"
    assert load("input: x.jsonl\n", output=Path("~/a.csv")).output.path == Path.home() / "a.csv"


@pytest.mark.parametrize(
    ("output", "fragment"),
    [
        ("x.txt", "the suffix of the output names its format"),
        ("jobs/x.jsonl", "over the input"),
        ("jobs/../jobs/x.jsonl", "over the input"),
        ("jobs/reviews.run/journal.jsonl", "the job's own records"),
        ("a\tb.csv", "can't hold control characters"),
        ("https://host/x.csv", "can't be written to a URL"),
        (f"{KEY}.csv", "an API key must not stand here"),
    ],
)
def test_another_output_is_held_to_the_rules_of_the_job_file(load, tmp_path, monkeypatch, output, fragment):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError) as caught:
        load("input: x.jsonl\n", output=Path(output))
    (mistake,) = caught.value.mistakes
    assert (mistake.file, mistake.line, mistake.key) == ("--output", None, "output.path")
    assert fragment in mistake.message


def test_a_model_on_this_machine_is_the_one_route_and_has_no_limits(load, tmp_path):
    job = "input: x\nrouter: {route: [a/b:free, c/d:free], only: [a/*], min_context: 100000}\n"
    spec = load(job + "endpoint: llama\n")
    assert spec.endpoint.is_llama
    assert (spec.router.route, spec.router.only, spec.router.min_context) == (("SmolLM2-135M",), (), None)
    assert (spec.limits.requests_per_minute, spec.limits.requests_per_day, spec.limits.concurrency) == (None, None, 2)
    weights = tmp_path / "jobs" / "tiny.gguf"
    weights.parent.mkdir(exist_ok=True)
    weights.touch()
    spec = load(job + "endpoint: {llama: tiny.gguf, context: 2048, threads: 3}\n")
    assert (spec.endpoint.llama, spec.endpoint.context, spec.endpoint.threads) == (str(weights), 2048, 3)
    assert spec.router.route == ("tiny",)


def test_the_endpoint_option_names_a_file_as_seen_from_here_and_drops_the_jobs_own(load, tmp_path, monkeypatch):
    weights = tmp_path / "here" / "tiny.gguf"
    weights.parent.mkdir()
    weights.touch()
    monkeypatch.chdir(weights.parent)
    spec = load("input: x\nendpoint: {llama: gone.gguf, threads: 3}\n", endpoint="llama:tiny.gguf")
    assert (spec.endpoint.llama, spec.endpoint.threads) == (str(weights), None)
    assert load("input: x\nendpoint: {llama: gone.gguf}\n", endpoint="llama").endpoint.llama is None
    assert load("input: x\nendpoint: {llama: gone.gguf}\n", endpoint="https://host/v1").endpoint.llama is None
    with pytest.raises(SpecError, match=r"--endpoint: endpoint\.llama: there is no file .*gone"):
        load("input: x\n", endpoint="llama:gone.gguf")


def test_another_endpoint_takes_the_place_of_the_jobs_own(load):
    own = "input: x\nrouter: {route: my-model}\nendpoint: {base_url: nonsense, api_key_env: MINE, account: us}\n"
    endpoint = load(own, endpoint="http://LOCALHOST:80/v2/").endpoint
    given = endpoint.model_dump(exclude_none=True)
    assert given == {"base_url": "http://localhost/v2", "api_key_env": "MINE", "account": "us"}
    assert load(own, endpoint="embedded").endpoint.embedded
    assert load("input: x\nendpoint: https://host/v1\n", endpoint="embedded").endpoint.embedded
    assert load_endpoint("https://OpenRouter.ai/api/v1/").base_url == "https://openrouter.ai/api/v1"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://host/v1",
        "http://openrouter.ai/api/v1",
        "https://openrouter.ai",
        "http://host/v1",
        "http://192.168.1.5:8000/v1",
        "http://0.0.0.0:8000/v1",
        "http://localhost.example.org/v1",
        "http://127.0.0.1.example.org/v1",
        "http://me:pw@localhost/v1",
        "https://me:pw@host/v1",
        "https://host/v1?key=1",
        "https://host/v1/chat/completions",
        "https://openrouter。ai/api/v1",
        f"https://host/{KEY}",
    ],
)
def test_an_endpoint_is_held_to_the_same_rules_wherever_it_is_written(load, url):
    def found(**where: Any) -> list[Mistake]:
        with pytest.raises(SpecError) as caught:
            load("input: x\n" + where.pop("text", ""), *where.pop("sets", ()), **where)
        return list(caught.value.mistakes)

    with pytest.raises(SpecError) as caught:
        load_endpoint(url)
    (alone,) = caught.value.mistakes
    (option,) = found(endpoint=url)
    (written,) = found(text=f"endpoint: {{base_url: '{url}'}}\n")
    (overridden,) = found(sets=[f"endpoint.base_url='{url}'"])
    assert alone == option
    assert (option.file, overridden.file, written.line) == ("--endpoint", "--set", 2)
    assert {each.key for each in (option, written, overridden)} == {"endpoint.base_url"}
    assert len({each.message for each in (option, written, overridden)}) == 1
    assert KEY not in str(option)


def test_the_routes_of_a_job_are_held_to_the_rules_of_another_endpoint(load):
    own = "input: x\nrouter: {route: my-model}\nendpoint: http://localhost:8000/v1\n"
    with pytest.raises(SpecError, match=r"reviews\.yaml:2: router\.route: `my-model` is no free route"):
        load(own, endpoint="https://openrouter.ai/api/v1")


def test_an_output_below_the_folder_of_a_glob_is_no_input(load, tmp_path):
    assert load("input: data/*.jsonl\noutput: data/out/x.jsonl\n").output.path == tmp_path / "jobs/data/out/x.jsonl"


def test_a_job_found_through_a_linked_folder_starts_at_the_real_one(tmp_path):
    (tmp_path / "real" / "jobs").mkdir(parents=True)
    (tmp_path / "real" / "jobs" / "a.yaml").write_text("input: ../x.jsonl\n")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "jobs")
    spec = load_spec(tmp_path / "link" / "a.yaml", environment={})
    assert spec.input.path == (str(tmp_path / "real" / "x.jsonl"),)
