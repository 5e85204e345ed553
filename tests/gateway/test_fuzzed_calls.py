"""Damaged bodies, lines and forms: each gets an answer or a refusal in time, and no paid model is ever asked.

Run it long after a change: FUZZ_CASES=5000 python -m pytest -n 0 tests/gateway/test_fuzzed_calls.py
"""

from __future__ import annotations

import json
from typing import Any

from support.damage import cases, damaged, in_time
from support.gateway import asking_for, in_virtual_time, spec_of

from batchfree.core.routes import FREE_ROUTER, is_free_id
from batchfree.gateway.access import AccessRules, access_refusal
from batchfree.gateway.batches.batch_lines import LineChecker

TOOL: Any = {"type": "function", "function": {"name": "go", "parameters": {"type": "object", "properties": {}}}}
SCHEMA: Any = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "pattern": "(a+)+"}}}
IMAGE: Any = [{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}, {"type": "text", "text": "What?"}]
BODIES: list[Any] = [
    asking_for(),
    asking_for(stream=True, temperature=0.5, stop=["x"], max_tokens=100),
    asking_for(tools=[TOOL], tool_choice="auto"),
    asking_for(response_format=SCHEMA),
    {**asking_for(), "messages": [{"role": "user", "content": IMAGE}]},
    asking_for(model="emulated/glm-5.2:free", models=["emulated/dots-3-note:free", FREE_ROUTER]),
    asking_for(provider={"sort": "price"}, plugins=[{"id": "response-healing"}]),
]
LIMITS = {"requests_per_minute": 100_000, "requests_per_day": 100_000}


def test_damaged_bodies_get_an_answer_or_a_refusal(tmp_path):
    async def act(served):
        for number, rng in cases(150):
            raw = damaged(rng, json.dumps(rng.choice(BODIES)).encode())
            with in_time(f"case {number}"):
                reply = await served.http.post("/chat/completions", content=raw)
            assert reply.status_code in (200, 400, 403, 404, 413, 502), (number, reply.text, raw)
        return served.posts

    for post in in_virtual_time(act, tmp_path, spec=spec_of(limits=LIMITS)):
        assert all(each == FREE_ROUTER or is_free_id(each) for each in post.asked)
        assert "plugins" not in post.body or post.body["plugins"] in ([], [{"id": "response-healing"}])


def test_damaged_lines_are_told_or_taken():
    for number, rng in cases(300):
        checker = LineChecker(allowed=None)
        body = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": rng.choice(BODIES)}
        raw = damaged(rng, json.dumps(body).encode())
        with in_time(f"case {number}"):
            taken = checker.take(raw, 1)
        assert (taken is None) == bool(checker.mistakes) or not raw.strip(), (number, raw)
        if taken is not None:
            model = json.loads(taken)["body"]["model"]
            assert model in (FREE_ROUTER, "local") or is_free_id(model)


def test_damaged_forms_are_refused_or_kept(tmp_path):
    form = (
        b'--edge\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n{}\n\r\n--edge--\r\n"
    )

    async def act(served):
        headers = {"Content-Type": "multipart/form-data; boundary=edge"}
        for number, rng in cases(150):
            raw = damaged(rng, form)
            with in_time(f"case {number}"):
                reply = await served.http.post("/files", content=raw, headers=headers)
            assert reply.status_code in (200, 400), (number, reply.text, raw)
        return len(served.gateway.files.all())

    assert in_virtual_time(act, tmp_path) == len(list(next(tmp_path.rglob("files")).iterdir()))


def test_damaged_headers_are_answered():
    rules = AccessRules(host="127.0.0.1", key="k" * 16)
    for _, rng in cases(500):
        values = [b"127.0.0.1:80", b"http://127.0.0.1", b"Bearer " + b"k" * 16, b"same-origin", b"application/json"]
        names = ("host", "origin", "authorization", "sec-fetch-site", "content-type")
        sent = {name: damaged(rng, value).decode("latin-1") for name, value in zip(names, values, strict=True)}
        refusal = access_refusal("POST", "/v1/files", sent, rules)
        assert refusal is None or refusal.status in (401, 403, 415)
