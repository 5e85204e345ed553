"""Whatever a service sends, a response is judged in time, and what is read from it is an answer of the job.

By hand: FUZZ_CASES=10000 python -m pytest -n 0 -o faulthandler_timeout=0 tests/promises/test_fuzzed_bodies.py
"""

from __future__ import annotations

import gzip
import json
import random
import zlib
from typing import Any

import anyio
import httpx
from support.damage import TOKENS, cases, damaged, in_time

from batchfree.answers import Answer, AnswerRule
from batchfree.core.chat import ChatRequest, Completion, Failure
from batchfree.journal.question_state import QuestionState
from batchfree.journal.questions import Question
from batchfree.run.follow_up import read_results
from batchfree.run.tasks import Parcel, Task
from batchfree.service.openrouter.client import Client

LABELS = ("positive", "negative", "neutral")
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}, "n": {"type": "integer"}},
    "required": ["name"],
}
CODES = ("k3x9", "t7qd", "zz2a", "m4bb")
RULES = (
    AnswerRule(),
    AnswerRule(labels=LABELS),
    AnswerRule(schema=SCHEMA),
    AnswerRule(schema=SCHEMA, tools=True),
)
CONTENTS = (
    "positive",
    "The answer is **negative**.",
    '{"name": "Ann", "n": 3}',
    'Here it is:\n```json\n{"name": "Bob"}\n```',
    "<think>positive or negative?</think> neutral",
    '{"k3x9": "positive", "t7qd": "negative", "zz2a": "neutral", "m4bb": "positive"}',
    '{"k3x9": {"name": "A"}, "t7qd": {"name": "B", "n": 1}, "zz2a": {"name": "C"}, "m4bb": {"name": "D"}}',
)
ERRORS: tuple[Any, ...] = (
    {"error": {"code": 429, "message": "Rate limit exceeded: free-models-per-min", "metadata": {"headers": {}}}},
    {"error": {"code": 400, "message": "context length is 4096 tokens", "metadata": {"raw": "{}"}}},
    {"error": "down"},
    [],
    None,
)


def completion(content: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, "reasoning": "hm"}
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "cost": 0}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return {"id": "gen-1", "model": "a/b:free", "provider": "P", "choices": [choice], "usage": usage}


def response(rng: random.Random) -> httpx.Response:
    """A response that is damaged in its content, its JSON, its bytes or its coding."""
    content = rng.choice(CONTENTS)
    if rng.random() < 0.5:
        content = damaged(rng, content.encode()).decode(errors="replace")
    if rng.random() < 0.1:
        content = rng.choice(TOKENS).decode(errors="replace") * rng.randrange(1, 3000)
    value = rng.choice(ERRORS) if rng.random() < 0.2 else completion(content)
    body = json.dumps(value).encode()
    if rng.random() < 0.5:
        body = damaged(rng, body)
    headers = {"Content-Type": rng.choice(("application/json", "text/html; charset=utf-16", "text/plain", "a;b=\x22"))}
    if rng.random() < 0.3:
        coding = rng.choice(("gzip", "deflate", "br", "identity", "gzip, gzip"))
        body = gzip.compress(body) if "gzip" in coding else zlib.compress(body) if coding == "deflate" else body
        body = damaged(rng, body) if rng.random() < 0.5 else body
        headers["Content-Encoding"] = coding
    if rng.random() < 0.2:
        headers["Retry-After"] = rng.choice(("5", "-1", "1e999", "Thu, 99 Foo", "\t", "9" * 400))
    status = rng.choice((200, 200, 200, 400, 401, 402, 403, 404, 429, 500, 502, 503, 529, 418))
    return httpx.Response(status, headers=list(headers.items()), stream=httpx.ByteStream(body))


def task(rule: AnswerRule, row: int) -> Task:
    tools = [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]
    request = ChatRequest(
        messages=({"role": "user", "content": "x"},), parameters={"tools": tools} if rule.tools else {}
    )
    return Task(question=Question(digest=f"{row:032x}", request=request, row=row), state=QuestionState())


def check(rule: AnswerRule, value: object) -> None:
    if rule.labels:
        assert value in LABELS
    elif rule.schema and not rule.tools:
        assert isinstance(value, dict)
        assert isinstance(value["name"], str)
    elif not rule.schema:
        assert isinstance(value, str)
        assert value.strip()


def test_every_body_is_judged_in_time() -> None:
    judged = 0
    for number, rng in cases(150):
        sent = response(rng)

        async def ask(sent: httpx.Response = sent) -> Completion | Failure:
            client = Client(
                "http://service.invalid/v1", "sk-or-v1-secret-secret", transport=httpx.MockTransport(lambda _: sent)
            )
            try:
                return await client.complete({"model": "a/b:free", "messages": []}, 60)
            finally:
                await client.aclose()

        with in_time(f"body {number}"):
            result = anyio.run(ask)
            for rule in RULES:
                for rows in (1, len(CODES)):
                    if rows > 1 and (rule.tools or (rule.labels is None and rule.schema is None)):
                        continue
                    parcel: Parcel = tuple(task(rule, row) for row in range(rows))
                    results = read_results(result, parcel, CODES if rows > 1 else (), rule).results
                    assert len(results) == rows
                    for each in results:
                        assert isinstance(each, Answer | Failure)
                        if isinstance(each, Answer):
                            check(rule, each.value)
        judged += isinstance(result, Completion)
        assert "secret-secret" not in repr(result)
    assert judged, "some bodies are still completions"
