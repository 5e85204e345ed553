"""What may be a mistake is said before anything is sent; what no model can do ends the run before its first request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.command_line import JobHere

QUESTION = {"role": "user", "content": "What is 1 + 1?"}
ANSWER = {"role": "assistant", "content": "2"}


def asked(job: JobHere, *rows: dict[str, Any], **keys: Any) -> None:
    job.rows(*rows)
    job.file.write_text(
        json.dumps({"input": "rows.jsonl", "output": "out.jsonl", "endpoint": "embedded", **keys}), encoding="utf-8"
    )


def test_a_fine_tuning_file_is_warned_of_before_it_is_sent(job: JobHere) -> None:
    asked(job, {"messages": [QUESTION, ANSWER]}, {"messages": [QUESTION]}, {"messages": [QUESTION, ANSWER]})
    sentence = "warning: in 2 of the first 3 rows: the last message is the assistant's. In a fine-tuning file"
    assert sentence in job("validate").err
    assert sentence in job("preview").err
    assert "fine-tuning" in job("validate", "--json").json["warnings"][0]
    ran = job("run")
    assert ran.code == 0
    assert ran.err.count("fine-tuning") == 1


@pytest.mark.parametrize("last", [QUESTION, {"role": "tool", "content": "x", "tool_call_id": "c"}])
def test_other_conversations_are_not_warned_of(job: JobHere, last: dict[str, str]) -> None:
    asked(job, {"messages": [QUESTION, ANSWER, last]})
    assert job("validate", "--json").json == {"ok": True, "mistakes": [], "warnings": []}


def test_the_begin_of_an_answer_in_the_job_itself_is_not_warned_of(job: JobHere) -> None:
    asked(job, {"a": "x"}, messages=[{"role": "user", "content": "{{ a }}"}, ANSWER])
    assert job("validate", "--json").json["warnings"] == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "the file is empty"), (b"\n \n", "the file has no rows"), (b"\xef\xbb\xbf", "the file has no rows")],
)
def test_a_file_without_rows_is_warned_of(job: JobHere, content: bytes, sentence: str) -> None:
    (job.path / "rows.jsonl").write_bytes(content)
    found = job("validate")
    assert found.code == 0
    assert f"rows.jsonl: {sentence}" in found.err
    ran = job("run")
    assert (ran.code, f"rows.jsonl: {sentence}" in ran.err) == (0, True)


def test_max_tokens_above_every_model_ends_the_run_before_its_first_request(job: JobHere) -> None:
    asked(job, {"prompt": "Hello"}, {"prompt": "Bye"}, request={"max_tokens": 50_000}, router={"only": ["*gemma*"]})
    ran = job("run", "--json")
    assert ran.code == 2
    assert "request.max_tokens is 50000, but no model that may answer takes more than 32768" in ran.err
    summary = ran.json
    assert summary["counts"] == {"ok": 0, "failed": 0, "pending": 2}
    assert summary["requests"] == 0
    assert summary["stopped"]["reason"] == "request"
    assert job("status", "--json").json["counts"]["pending"] == 2
    assert job("run", "--set", "request.max_tokens=32000").code == 0
