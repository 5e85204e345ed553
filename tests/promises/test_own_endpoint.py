"""What is promised to people with a server of their own: any that speaks OpenAI's chat completions."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from support.rehearsal import Rehearsal

from batchfree.core.stops import StopReason

MODEL = "llama3"


@dataclass
class Server(httpx.AsyncBaseTransport):
    """A server with one model. `refuse` gives the response to a request, or None: then it is answered."""

    refuse: Callable[[dict[str, Any]], httpx.Response | None] = lambda body: None
    seconds: float = 0.05
    models: tuple[str, ...] = (MODEL,)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    content: Callable[[dict[str, Any]], str] = lambda body: "fine"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            listed = {"object": "list", "data": [{"id": each, "object": "model"} for each in self.models]}
            return httpx.Response(200 if request.url.path.endswith("/models") else 404, json=listed)
        body = json.loads(await request.aread())
        self.bodies.append(body)
        await anyio.sleep(self.seconds)
        refusal = self.refuse(body)
        if refusal is not None:
            return refusal
        choice = {"index": 0, "message": {"role": "assistant", "content": self.content(body)}, "finish_reason": "stop"}
        return httpx.Response(200, json={"id": "1", "object": "chat.completion", "model": MODEL, "choices": [choice]})


def job(folder: Path, rows: int = 20, **spec: Any) -> Rehearsal:
    whole = {"endpoint": "http://own.invalid/v1", "router": {"route": MODEL, "seed": 1}, **spec}
    return Rehearsal(folder, [{"prompt": f"Question {number}?"} for number in range(rows)], whole)


def flaky(share: float, **headers: str) -> Callable[[dict[str, Any]], httpx.Response | None]:
    """Refuses this share of the requests with a 503."""
    rng = random.Random(5)
    return lambda body: httpx.Response(503, headers=headers, text="busy") if rng.random() < share else None


def test_a_server_that_fails_often_is_asked_on_by_all_workers(tmp_path: Path) -> None:
    rehearsal, server = job(tmp_path, 100, retry={"max_attempts": 12}), Server(flaky(0.4))
    summary = rehearsal.run_over(server)
    assert summary.counts.ok == 100
    assert summary.seconds < 15, "93 rows after 200 s when the only model rested"


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_server_that_always_fails_ends_the_run_within_two_minutes_with_its_own_words(
    tmp_path: Path, concurrency: int
) -> None:
    rehearsal = job(tmp_path, 500, limits={"concurrency": concurrency})
    summary = rehearsal.run_over(Server(lambda body: httpx.Response(500, json={"error": {"message": "CUDA error"}})))
    assert summary.seconds < 120
    assert (summary.exit_code, summary.counts.failed) == (75, 0)
    assert summary.stopped is not None
    assert summary.stopped.reason is StopReason.SERVICE_DOWN
    assert summary.stopped.message.startswith("CUDA error; ")


def test_the_retry_after_of_every_reply_is_obeyed(tmp_path: Path) -> None:
    rehearsal = job(tmp_path, 40, retry={"max_attempts": 12})
    due: dict[str, float] = {}
    early: list[str] = []
    fails = flaky(0.4, **{"retry-after": "7"})

    def refuse(body: dict[str, Any]) -> httpx.Response | None:
        prompt, now = body["messages"][-1]["content"], rehearsal.time.clock()
        if now < due.get(prompt, 0.0):
            early.append(prompt)
        refusal = fails(body)
        if refusal is not None:
            due[prompt] = now + 7
        return refusal

    summary = rehearsal.run_over(Server(refuse))
    assert summary.counts.ok == 40
    assert early == []


def test_a_bad_answer_at_temperature_zero_is_shown_once_and_then_final(tmp_path: Path) -> None:
    rehearsal = job(tmp_path, 3, request={"temperature": 0}, answer={"labels": ["yes", "no"], "mode": "prompt"})
    server = Server(content=lambda body: "perhaps")
    summary = rehearsal.run_over(server)
    assert (summary.counts.failed, len(server.bodies)) == (3, 6)
    assert sum(any(message["role"] == "assistant" for message in body["messages"]) for body in server.bodies) == 3


def test_a_refusal_for_length_fails_the_row_at_once_if_no_context_is_known(tmp_path: Path) -> None:
    words = {"error": {"message": "This model's maximum context length is 4096 tokens", "type": "BadRequestError"}}
    server = Server(lambda body: httpx.Response(400, json=words) if "Question 3?" in str(body) else None)
    summary = job(tmp_path).run_over(server)
    assert (summary.exit_code, summary.counts.failed, summary.errors) == (1, 1, {"context_length": 1})
    assert len(server.bodies) == 20


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"message": "litellm.BadRequestError: Invalid model name passed in model=llama3", "code": "400"}),
        (400, {"message": "No connected db.", "type": "no_db_connection", "param": None, "code": "400"}),
        (422, {"message": "top_k: must be below 0, request id 0f8fad5b-d9cb-469f-a165-70867728950e"}),
        (403, {"message": "This team may not use the server"}),
    ],
)
def test_a_server_that_refuses_every_row_alike_stops_the_run_and_fails_no_row(
    tmp_path: Path, status: int, error: dict[str, Any]
) -> None:
    rehearsal, server = job(tmp_path, 45), Server(lambda body: httpx.Response(status, json={"error": error}))
    summary = rehearsal.run_over(server)
    assert (summary.exit_code, summary.counts.failed, summary.counts.pending) == (3, 0, 45)
    assert summary.stopped is not None
    assert error["message"] in summary.stopped.message
    assert len(server.bodies) <= 5 + 8, "those in flight"
    assert rehearsal.run_over(Server()).counts.ok == 45


def test_rows_that_are_refused_beside_others_that_are_answered_fail_at_once(tmp_path: Path) -> None:
    """Also those that were refused before the first answer came."""
    bad = {"error": {"message": "invalid image", "type": "invalid_request_error"}}
    numbers = (0, 1, 2, 7)

    def refuse(body: dict[str, Any]) -> httpx.Response | None:
        is_bad = any(f"Question {number}?" in str(body) for number in numbers)
        return httpx.Response(400, json=bad) if is_bad else None

    rehearsal, server = job(tmp_path), Server(refuse)
    summary = rehearsal.run_over(server)
    assert (summary.exit_code, summary.counts.failed, summary.errors) == (1, 4, {"invalid_request": 4})
    assert (len(server.bodies), summary.requests) == (20, 20)
    table = rehearsal.table()
    assert table["attempts"].to_list() == [1] * 20
    assert [row for row, status in enumerate(table["status"]) if status == "failed"] == [*numbers]


def test_a_few_rows_that_are_all_refused_fail_at_the_end(tmp_path: Path) -> None:
    server = Server(lambda body: httpx.Response(400, json={"error": {"message": "invalid image"}}))
    summary = job(tmp_path, 3).run_over(server)
    assert (summary.exit_code, summary.counts.failed, len(server.bodies)) == (1, 3, 3)


@dataclass
class Gateway:
    """Lets so many requests of any 60 seconds pass, and refuses the others as OpenAI does."""

    clock: Callable[[], float]
    per_minute: int = 20
    headers: bool = True
    passed: list[float] = field(default_factory=list)
    refused: int = 0

    def __call__(self, body: dict[str, Any]) -> httpx.Response | None:
        now = self.clock()
        self.passed = [at for at in self.passed if at > now - 60]
        if len(self.passed) < self.per_minute:
            self.passed.append(now)
            return None
        self.refused += 1
        seconds = self.passed[0] + 60 - now
        told = {"retry-after": str(int(seconds) + 1)}
        limits = {
            "x-ratelimit-limit-requests": str(self.per_minute),
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": f"{int(seconds)}s",
        }
        words = {"error": {"message": "Rate limit reached for requests", "type": "requests", "code": "rate_limit"}}
        return httpx.Response(429, headers=told | (limits if self.headers else {}), json=words)


@pytest.mark.parametrize("headers", [True, False], ids=["with limits", "with Retry-After alone"])
def test_a_limit_of_a_gateway_paces_everybody_and_counts_against_no_row(tmp_path: Path, headers: bool) -> None:
    rehearsal = job(tmp_path, 84)
    gateway = Gateway(rehearsal.time.clock, headers=headers)
    summary = rehearsal.run_over(Server(gateway))
    assert (summary.counts.ok, set(rehearsal.table()["attempts"])) == (84, {1})
    assert gateway.refused <= 8.4, "34 of 84 when each row backed off by itself"


def test_a_limit_that_the_job_names_is_never_met(tmp_path: Path) -> None:
    rehearsal = job(tmp_path, 84, limits={"requests_per_minute": 20})
    gateway = Gateway(rehearsal.time.clock)
    assert rehearsal.run_over(Server(gateway)).counts.ok == 84
    assert gateway.refused == 0


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "11h7m30s"}, "Rate limit reached"),
        ({"retry-after": "40000"}, "Too many requests"),
        ({"retry-after": "30"}, "Rate limit reached on requests per day (RPD): Limit 200, Used 200"),
    ],
)
def test_a_day_limit_of_a_gateway_ends_the_run(tmp_path: Path, headers: dict[str, str], message: str) -> None:
    left = iter(range(10))

    def refuse(body: dict[str, Any]) -> httpx.Response | None:
        spent = next(left, None) is None
        return httpx.Response(429, headers=headers, json={"error": {"message": message}}) if spent else None

    rehearsal = job(tmp_path, 30)
    summary = rehearsal.run_over(Server(refuse))
    assert (summary.exit_code, summary.counts.ok, summary.counts.failed) == (75, 10, 0)
    assert summary.stopped is not None
    assert summary.stopped.reason is StopReason.QUOTA


# Easy to find


def test_the_route_may_be_left_out_where_the_server_lists_one_chat_model(tmp_path: Path) -> None:
    rehearsal = job(tmp_path, 30, router={})
    server = Server(models=("nomic-embed-text", "llama3", "bge-reranker"))
    summary = rehearsal.run_over(server)
    assert (summary.counts.ok, {body["model"] for body in server.bodies}) == (30, {"llama3"})
    assert summary.seconds < 5, "no limit holds on an own endpoint"


@pytest.mark.parametrize(
    ("models", "fragment"),
    [
        (("qwen", "llama3", "nomic-embed-text"), "lists 2 models, qwen, llama3; name the model under router.route"),
        (("nomic-embed-text",), "no chat model, only nomic-embed-text"),
    ],
)
def test_a_server_without_one_chat_model_is_named_with_what_it_lists(
    tmp_path: Path, models: tuple[str, ...], fragment: str
) -> None:
    server = Server(models=models)
    summary = job(tmp_path, router={}).run_over(server)
    assert (summary.exit_code, summary.counts.pending, server.bodies) == (3, 20, [])
    assert summary.stopped is not None
    assert fragment in summary.stopped.message


class Answering(httpx.AsyncBaseTransport):
    """A server that gives the same response to everything."""

    def __init__(self, response: httpx.Response | Exception) -> None:
        self.response = response

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if isinstance(self.response, Exception):
            raise self.response
        return httpx.Response(self.response.status_code, content=self.response.content, headers=self.response.headers)


@pytest.mark.parametrize("route", [{}, {"route": MODEL}], ids=["left out", "named"])
@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(404, json={"detail": "Not Found"}),  # vLLM
        httpx.Response(404, text="404 page not found"),  # Ollama
        httpx.Response(200, json={"error": "Unexpected endpoint or method. (POST /chat/completions)"}),  # LM Studio
    ],
    ids=["vllm", "ollama", "lm studio"],
)
def test_a_url_without_its_version_is_recognised(
    tmp_path: Path, response: httpx.Response, route: dict[str, str]
) -> None:
    rehearsal = job(tmp_path, 9, router=route, endpoint="http://own.invalid:8000", limits={"concurrency": 1})
    summary = rehearsal.run_over(Answering(response))
    assert (summary.exit_code, summary.counts.failed) == (3, 0)
    assert summary.stopped is not None
    assert "may lack its /v1: try http://own.invalid:8000/v1" in summary.stopped.message


def test_a_page_in_place_of_the_list_is_named_at_once(tmp_path: Path) -> None:
    page = Answering(httpx.Response(200, text="<!doctype html><title>Sign in</title>"))
    summary = job(tmp_path, router={}).run_over(page)
    assert (summary.exit_code, summary.requests) == (3, 0)
    assert summary.stopped is not None
    assert "no list of models (the response is an HTML page); name the model" in summary.stopped.message


@pytest.mark.parametrize("route", [{}, {"route": MODEL}], ids=["left out", "named"])
def test_a_key_that_is_missing_is_named_by_its_variable(tmp_path: Path, route: dict[str, str]) -> None:
    endpoint = {"base_url": "http://own.invalid/v1", "api_key_env": "MY_KEY"}
    denied = Answering(httpx.Response(401, json={"error": {"message": "Authentication Error"}}))
    summary = job(tmp_path, router=route, endpoint=endpoint).run_over(denied)
    assert (summary.exit_code, summary.counts.failed) == (3, 0)
    assert summary.stopped is not None
    assert "Authentication Error; no API key was sent: set MY_KEY" in summary.stopped.message


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    summary = job(tmp_path, router={}).run_over(Answering(httpx.ConnectError("Connection refused")))
    assert (summary.exit_code, summary.counts.pending) == (75, 20)
    assert summary.stopped is not None
    assert "own.invalid" in summary.stopped.message
    assert "Connection refused" in summary.stopped.message


def test_a_rehearsal_says_at_once_that_it_draws_its_own_models(tmp_path: Path) -> None:
    rehearsal = job(tmp_path, 3, endpoint="embedded")
    summary = rehearsal.run_over(Server())
    assert summary.counts.ok == 3
    assert any("draws its own models, not llama3" in warning for warning in summary.warnings)
    assert all(model.startswith("emulated/") for model in summary.models)


# What a reply lacks, and answers in the server's own form

LABELS = {"labels": ["yes", "no"]}


def test_a_reply_without_a_model_comes_from_the_one_that_was_asked(tmp_path: Path) -> None:
    bare = Answering(httpx.Response(200, json={"choices": [{"message": {"content": "fine"}}]}))
    rehearsal = job(tmp_path, 2)
    assert rehearsal.run_over(bare).counts.ok == 2
    assert rehearsal.table()["model"].to_list() == [MODEL, MODEL]


def test_single_labels_are_asked_in_the_servers_own_form(tmp_path: Path) -> None:
    server = Server(content=lambda body: '{"label": "yes"}')
    assert job(tmp_path, 3, answer=LABELS).run_over(server).counts.ok == 3
    assert all(body["response_format"]["type"] == "json_schema" for body in server.bodies)


@pytest.mark.parametrize(
    ("words", "remembered"), [("response_format json_schema is not supported", True), ("bad request", False)]
)
def test_a_server_that_takes_no_response_format_is_asked_without(tmp_path: Path, words: str, remembered: bool) -> None:
    def refuse(body: dict[str, Any]) -> httpx.Response | None:
        return httpx.Response(400, json={"error": {"message": words}}) if "response_format" in body else None

    rehearsal, server = job(tmp_path, 30, answer=LABELS), Server(refuse, content=lambda body: "yes")
    assert rehearsal.run_over(server).counts.ok == 30
    assert sum("response_format" in body for body in server.bodies) <= 8, "those in flight when the first was refused"
    rehearsal.write_rows([{"prompt": f"Another {number}?"} for number in range(30)])
    server.bodies.clear()
    assert rehearsal.run_over(server).counts.ok == 30
    assert any("response_format" in body for body in server.bodies) is not remembered


def test_a_list_that_fails_at_first_is_waited_for(tmp_path: Path) -> None:
    """llama.cpp answers 503 while it loads its model."""
    rehearsal = job(tmp_path, 3, router={})

    class Loading(Server):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if rehearsal.time.clock() < began + 20:
                return httpx.Response(503, json={"error": {"message": "Loading model", "code": 503}})
            return await super().handle_async_request(request)

    began = rehearsal.time.clock()
    assert rehearsal.run_over(Loading()).counts.ok == 3


def test_a_list_that_always_fails_ends_the_run_without_a_request_and_names_the_key(tmp_path: Path) -> None:
    """LiteLLM answers so if no key is sent."""
    endpoint = {"base_url": "http://own.invalid/v1", "api_key_env": "MY_KEY"}
    server = Answering(httpx.Response(500, text="Internal Server Error"))
    summary = job(tmp_path, router={}, endpoint=endpoint).run_over(server)
    assert (summary.exit_code, summary.requests, summary.counts.pending) == (75, 0, 20)
    assert summary.stopped is not None
    assert "if the server needs one, set MY_KEY" in summary.stopped.message
