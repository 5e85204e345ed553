"""No request asks for anything that costs money, whatever is in the spec, the catalogue, the input or an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.rehearsal import Rehearsal, scenario

import batchfree
from batchfree.core.routes import is_free_id

OPENROUTER = "https://openrouter.ai/api/v1"
ROWS = [{"prompt": f"Is trip {n} to Berlin good or bad?"} for n in range(12)]
PAID_TRAPS = """
limits: {per_minute: null, per_day: null}
pool:
  models:
    - {id: "emulated/zero", nature: paid, prompt_price: "0", completion_price: "0"}
    - {id: "emulated/glm-5.2", prompt_price: "0", completion_price: "0"}
    - {id: "emulated/search:online:free", nature: paid, prompt_price: "0.01"}
    - {id: "emulated/search:free:online", nature: paid, prompt_price: "0.01"}
    - {id: "emulated/odd:FREE", nature: paid, prompt_price: "0.01"}
    - {id: "emulated/Odd:Free", nature: paid, prompt_price: "0.01"}
    - {id: "emulated/blank:free ", nature: paid, prompt_price: "0.01"}
    - {id: "~emulated/any:free", nature: paid, prompt_price: "0.01"}
    - {id: "emulated/a@b:free", nature: paid, prompt_price: "0.01"}
    - {id: "free", nature: paid, prompt_price: "0.01"}
    - {id: ":free", nature: paid, prompt_price: "0.01"}
    - {id: "emulated/priced:free", nature: paid, prompt_price: "0.0001", completion_price: "0.0002"}
    - {id: "emulated/per-request:free", nature: paid, entry: {pricing: {prompt: "0", completion: "0", request: "0.01"}}}
    - {id: "emulated/unpriced:free", nature: paid, entry: {pricing: {}}}
    - {id: "emulated/negative:free", nature: paid, prompt_price: "-1"}
    - {id: "emulated/overrides:free", nature: paid,
       entry: {pricing: {prompt: "0", completion: "0", overrides: [{min_context: 1, prompt: "0.1"}]}}}
"""
LURES = [
    "{fault: free_ended_404, chance: 0.5, with: {fallback: emulated/glm-5.2}}",
    "{fault: unavailable_404, chance: 0.5}",
    "{fault: redirect, chance: 0.5, with: {status: 308, location: 'https://openrouter.ai/api/v1/paid'}}",
    """{respond: {status: 404, body: {error: {code: 404, message: 'No endpoints found for x/y:free. Use x/paid:free',
        metadata: {model_slug: emulated/glm-5.2, fallback_models: [emulated/glm-5.2]}}}}, chance: 0.5}""",
    """{respond: {status: 200, body: {model: emulated/glm-5.2, choices: [], error: {code: 502, message:
        'emulated/zero:free failed, retry with emulated/glm-5.2'}}}, chance: 0.5}""",
    "{fault: paid_model, chance: 0.5}",
]
SPECS: list[dict[str, Any]] = [
    {},
    {"router": {"route": "local"}},
    {"router": {"only": ["*"]}},
    {"router": {"only": ["*glm*", "*zero*", "*search*", "*odd*", "*any*", "*blank*", "*priced*"]}},
    {"router": {"route": "local", "only": ["*"], "min_context": 1, "fallbacks": 2}},
    {"router": {"exclude": ["*:free"]}},
    {"router": {"route": ["emulated/glm-5.2:free", "emulated/priced:free", "emulated/gone:free"]}},
    {"request": {"plugins": [{"id": "response-healing"}], "provider": {"allow_fallbacks": True}}},
    {"pack": 4, "answer": {"labels": ["good", "bad"]}, "router": {"route": "local"}},
]


def rehearse(folder: Path, lures: str = "", **spec: Any) -> Rehearsal:
    service = scenario(f"{PAID_TRAPS}\nfaults: [{lures}]" if lures else PAID_TRAPS)
    whole = {"limits": {"requests_per_minute": 100_000, "requests_per_day": 100_000}, "endpoint": OPENROUTER, **spec}
    return Rehearsal(folder, ROWS, whole, service)


PRICED = {f"emulated/{name}:free" for name in ("priced", "per-request", "unpriced", "negative", "overrides")}
"""Ids that end in `:free` with a price above zero; only a route that names such an id may ask it."""


def assert_free(job: Rehearsal) -> None:
    for post in job.posts:
        asked = [post.body["model"], *post.body.get("models", ())]
        assert all(each == "openrouter/free" or is_free_id(each) for each in asked), asked
        assert not PRICED & set(asked)
        assert post.body.keys().isdisjoint({"preset", "fallbacks", "route", "web_search_options"})
        assert all(each["id"] == "response-healing" for each in post.body.get("plugins", ()))
    assert job.emulator.state.log.paid == []


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("lure", ["", *LURES], ids=lambda lure: lure[:24])
def test_a_paid_model_is_out_of_reach(tmp_path: Path, spec: dict[str, Any], lure: str) -> None:
    job = rehearse(tmp_path, lure, **spec)
    job.run()
    assert_free(job)


@pytest.mark.parametrize(
    "spec",
    [
        *(
            {"router": {"route": route}}
            for route in ("emulated/glm-5.2", "openrouter/auto", "emulated/odd:FREE", "free")
        ),
        {"router": {"route": ["emulated/glm-5.2:free", "emulated/glm-5.2"]}},
        {"router": {"route": "emulated/search:online:free"}},
        *({"request": {name: "emulated/glm-5.2"}} for name in ("model", "models", "preset", "fallbacks", "route")),
        {"request": {"web_search_options": {}}},
        {"request": {"plugins": [{"id": "web"}]}},
        {"request": {"plugins": [{"id": "file-parser", "pdf": {"engine": "mistral-ocr"}}]}},
        {"request": {"tools": [{"type": "openrouter:web_search"}]}},
    ],
    ids=str,
)
def test_a_spec_that_asks_for_money_is_refused_before_anything_is_sent(tmp_path: Path, spec: dict[str, Any]) -> None:
    job = rehearse(tmp_path, **spec)
    with pytest.raises(batchfree.SpecError):
        job.run()
    assert job.posts == []


def batch(folder: Path, *bodies: dict[str, Any]) -> Rehearsal:
    """A job over OpenAI batch requests with these bodies."""
    job = rehearse(folder)
    messages = [{"role": "user", "content": "Is it good?"}]
    lines = [{"custom_id": str(n), "body": {"messages": messages, **body}} for n, body in enumerate(bodies)]
    (folder / "batch.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    source = {"path": "batch.jsonl", "format": "openai-batch"}
    job.job_file.write_text(yaml.safe_dump({"input": source, "output": "out.parquet", "endpoint": OPENROUTER}))
    return job


def test_the_model_of_a_batch_request_is_ignored(tmp_path: Path) -> None:
    job = batch(tmp_path, {"model": "emulated/glm-5.2", "stream": True, "temperature": 0.5})
    assert job.run().counts.ok == 1
    (post,) = job.posts
    assert post.body.keys() == {"model", "messages", "temperature"}
    assert post.body["model"] == "openrouter/free"


@pytest.mark.parametrize(
    "body",
    [
        {"models": ["emulated/glm-5.2", "openrouter/auto"]},
        {"route": "fallback"},
        {"preset": "mine"},
        {"fallbacks": ["emulated/glm-5.2"]},
        {"plugins": [{"id": "web"}]},
        {"plugins": [{"id": "file-parser", "pdf": {"engine": "mistral-ocr"}}]},
        {"web_search_options": {"search_context_size": "high"}},
        {"tools": [{"type": "openrouter:web_search"}]},
    ],
    ids=str,
)
def test_a_batch_request_that_could_cost_money_fails_without_being_sent(tmp_path: Path, body: dict[str, Any]) -> None:
    job = batch(tmp_path, body, {})
    summary = job.run()
    assert (summary.counts.ok, summary.counts.failed) == (1, 1)
    assert job.table()["error_kind"].to_list() == ["render", None]
    assert_free(job)


def test_files_are_read_by_the_free_parser(tmp_path: Path) -> None:
    pdf = "data:application/pdf;base64,JVBERi0xLjQK"
    parts = [
        {"type": "file", "file": {"filename": "a.pdf", "file_data": pdf}},
        {"type": "image_url", "image_url": {"url": pdf}},
        {"type": "file", "file": {"filename": "b.pdf", "file_data": "https://example.org/b.pdf"}},
    ]
    for number, part in enumerate(parts):
        folder = tmp_path / str(number)
        folder.mkdir()
        messages = [{"role": "user", "content": [{"type": "text", "text": "{{ prompt }}"}, part]}]
        job = rehearse(folder, messages=messages)
        job.run(limit=2)
        assert job.posts
        for post in job.posts:
            assert post.body["plugins"] == [{"id": "file-parser", "pdf": {"engine": "cloudflare-ai"}}]
