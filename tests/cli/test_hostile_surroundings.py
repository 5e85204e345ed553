"""Wrong proxies, certificates, folders and streams get a sentence and the exit code 2 or 3; none is a bug."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.command_line import JobHere, command

PLACES = ("run", "--endpoint", "https://service.invalid/v1", "--set", "router.route=m", "--until", "9s", "-q")


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1", "names a SOCKS proxy"),
        ("HTTPS_PROXY", "strange://user:secret@x", "names no proxy that can be used"),
        ("SSL_CERT_FILE", "job.yaml", "the certificates that SSL_CERT_FILE or SSL_CERT_DIR names can't be used"),
        ("SSL_CERT_FILE", "/nowhere/cert.pem", "the certificates that SSL_CERT_FILE or SSL_CERT_DIR names"),
        ("BATCHFREE_STATE_DIR", "~no-such-user/x", "the home folder of a user who does not exist"),
        ("BATCHFREE_CACHE_DIR", "~no-such-user/x", "the home folder of a user who does not exist"),
    ],
)
def test_a_wrong_variable_is_named(
    job: JobHere, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(variable, str(job.file) if value == "job.yaml" else value)
    name, *options = PLACES
    output = job(name, *options)
    assert output.code == 3
    assert "bug" not in output.err
    assert sentence in output.err
    assert "secret" not in output.err


WRONG = ["http://[", "http://a:99999/", "http://a b/", "ftp://x", "", "http://", "http://ä/", "https://a..b/v1"]


@pytest.mark.parametrize("url", [*WRONG, f"https://{'a' * 64}.com/v1"])
def test_a_wrong_endpoint_is_named(url: str) -> None:
    output = command("models", "--endpoint", url)
    assert (output.code, output.err.startswith("error: --endpoint: ")) == (2, True)


STRANGE = [
    "5",
    "null",
    '"x"',
    "[" * 100_000,
    '{"event": "waiting", "until": 1e300}',
    "{",
    '{"event": "started", "at": 1e300}',
]


@pytest.mark.parametrize("line", STRANGE)
def test_a_strange_log_changes_no_status(job: JobHere, line: str) -> None:
    job("run")
    log = job.path / "out.run" if (job.path / "out.run").exists() else job.path / "job.run"
    with (log / "log.jsonl").open("a") as file:
        file.write(line + "\n")
    assert job("status", "--json").json["waiting_for"] is None


@pytest.mark.parametrize("name", ["status", "plan", "export", "report", "run"])
def test_a_damaged_line_of_the_journal_is_named(job: JobHere, name: str) -> None:
    job("run")
    (journal,) = job.path.glob("*.run/journal.jsonl")
    header, first, *others = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([header, first.replace("e", "ä", 1), *others]))
    assert re.search(r"journal\.jsonl:2: this line is damaged and is left out: ", job(name).err)


def test_a_number_of_thousands_of_digits_is_a_mistake(job: JobHere) -> None:
    assert job("validate", "--set", f"request.seed=0x{'f' * 5000}").code == 2
    assert job("validate", "--set", f"router.seed={'9' * 5000}").code == 2


@pytest.mark.parametrize(
    "template",
    [
        "{{ " + '{"a":' * 300 + "1" + "}" * 300 + " }}",
        "{{ " + " + ".join(["1"] * 5_000) + " }}",
        "{% for a in [1] %}" * 25 + "{% endfor %}" * 25,
        "{% if 1 %}" * 120 + "{% endif %}" * 120,
        "{% if 0 %}" + "{% elif 0 %}" * 3_000 + "{% endif %}",
    ],
    ids=["objects", "sum", "loops", "conditions", "alternatives"],
)
def test_a_template_that_is_nested_too_deeply_is_a_mistake(job: JobHere, template: str) -> None:
    job.spec(prompt=template)
    output = job("validate")
    assert (output.code, "prompt: the template is nested too deeply" in output.err) == (2, True)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("path", ["s3://[bucket/rows.jsonl", "https://host:99999/rows.jsonl", "http://]/rows.csv"])
def test_an_input_that_is_no_valid_url_is_a_mistake(job: JobHere, path: str) -> None:
    job.spec(input=path)
    output = job("validate")
    assert (output.code, "input.path: is no valid URL" in output.err) == (2, True)


def test_a_key_of_thousands_of_parts_is_a_mistake(job: JobHere) -> None:
    output = job("validate", "--set", f"{'a.' * 20_000}b=1")
    assert (output.code, output.err) == (2, "error: --set: a key of more than 40 parts is none of a job spec\n")


def test_a_schema_nested_a_thousand_levels_deep_is_a_mistake(job: JobHere) -> None:
    for levels in (100, 1_000, 100_000):
        (job.path / "deep.json").write_text('{"items":' * levels + "{}" + "}" * levels)
        output = job("validate", "--set", "answer.schema=deep.json")
        assert output.code == 2
        assert "nested" in output.err


@pytest.mark.parametrize("label", ["1{:05}", "a", "''"])
def test_many_wrong_labels_are_named_in_linear_time(job: JobHere, label: str) -> None:
    labels = "".join(f"\n  - {label.format(number)}" for number in range(5_000))
    job.file.write_text(f"input: rows.jsonl\nanswer:\n labels:{labels}\n")
    began = time.process_time()
    assert job("validate").code == 2
    assert time.process_time() - began < 6


def shell(job: JobHere, command: str) -> subprocess.CompletedProcess[str]:
    """Runs a shell command in which `batchfree` is this one."""
    program = f'batchfree() {{ "{sys.executable}" -m batchfree "$@"; }}; '
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        ["bash", "-c", program + command], cwd=job.path, env=environment, capture_output=True, text=True, check=False
    )


def test_a_full_or_closed_stdout_is_said(job: JobHere) -> None:
    for words in (
        "status job.yaml --json > /dev/full",
        "status job.yaml --json >&-",
        "--help > /dev/full",
        "schema > /dev/full",
        "schema >&-",
        "preview job.yaml > /dev/full",
        "run job.yaml --json -q > /dev/full",
    ):
        ended = shell(job, f"batchfree {words}")
        assert ended.returncode == 3, ended.stderr
        assert "standard output" in ended.stderr
        assert "bug" not in ended.stderr


def test_a_reader_that_leaves_does_not_change_the_exit_code(job: JobHere) -> None:
    ended = shell(job, "batchfree run job.yaml --json -q --until 0s | true; exit ${PIPESTATUS[0]}")
    assert (ended.returncode, ended.stderr) == (75, "")


def test_nothing_for_a_closed_stderr_lands_on_stdout_or_in_a_file(job: JobHere) -> None:
    ended = shell(job, "batchfree run job.yaml --set limits.wrong=1 2>&-")
    assert (ended.returncode, ended.stdout) == (2, "")
    ended = shell(job, "batchfree run job.yaml -v --json 2>&-")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["counts"]["ok"] == 3
    lines = (job.path / "job.run" / "journal.jsonl").read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
