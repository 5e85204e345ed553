"""The emulation over a real socket, asked by the clients that OpenRouter's page on the free router shows."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from openrouter import OpenRouter, errors
from openrouter.utils import RetryConfig
from support.emulated import FREE, GLM, asking

from batchfree.emulator import EmulatedLimits, Emulator, Scenario, create_app
from batchfree.emulator.http.serve import make_server, serve
from batchfree.emulator.scenario.scenario_file import read_scenario

KEY = "sk-or-v1-" + "0" * 64
CALM = "limits: {per_minute: null, per_day: null}\nrouter: {draws_classifier: false}\n"
NO_RETRIES = RetryConfig("none", None, False)  # type: ignore[arg-type]


@contextmanager
def served(app: Emulator) -> Iterator[str]:
    """The base URL of the app on a free port of loopback, served by a thread."""
    ready = threading.Event()
    urls: list[str] = []

    def told(url: str) -> None:
        urls.append(url)
        ready.set()

    server = make_server(app, told=told)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert ready.wait(60)
    try:
        yield urls[0]
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(create_app(read_scenario(CALM, "calm", tmp_path_factory.getbasetemp()))) as base:
        yield base


def scenario(text: str, tmp_path) -> Emulator:
    return create_app(read_scenario(CALM + text, "test.yaml", tmp_path))


def test_the_requests_example_of_the_free_router_page_works(url):
    response = requests.post(
        f"{url}/chat/completions",
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
        data=json.dumps(
            {"model": FREE, "messages": [{"role": "user", "content": "Hello! What can you help me with today?"}]}
        ),
        timeout=60,
    )
    body = response.json()
    assert body["choices"][0]["message"]["content"]
    assert body["model"].endswith(":free")
    assert response.headers["X-Generation-Id"] == body["id"]


def test_the_official_sdk_chats(url):
    with OpenRouter(api_key=KEY, server_url=url, retry_config=NO_RETRIES) as sdk:
        reply = sdk.chat.send(model=FREE, messages=[{"role": "user", "content": "Hello!"}])
        assert reply.model.startswith("emulated/")
        assert reply.choices[0].message.content
        assert reply.usage.cost == 0


def test_the_official_sdk_streams(url):
    with OpenRouter(api_key=KEY, server_url=url, retry_config=NO_RETRIES) as sdk:
        chunks = list(sdk.chat.send(model=GLM, messages=[{"role": "user", "content": "Tell me of Rome."}], stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert "Rome" in text
    assert chunks[-1].usage.total_tokens > 0


def test_the_official_sdk_lists_models_and_reads_the_key(url):
    with OpenRouter(api_key=KEY, server_url=url, retry_config=NO_RETRIES) as sdk:
        listed = sdk.models.list().result.data
        assert {FREE, GLM} <= {model.id for model in listed}
        assert sdk.api_keys.get_current_key_metadata().data.free_model_daily_requests.limit > 0
        assert sdk.credits.get_credits().data.total_usage == 0
        assert sdk.endpoints.list(author="emulated", slug="glm-5.2:free").data.id == GLM


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("invalid_400", errors.BadRequestResponseError),
        ("key_401", errors.UnauthorizedResponseError),
        ("credits_402", errors.PaymentRequiredResponseError),
        ("agent_403", errors.ForbiddenResponseError),
        ("gone_404", errors.NotFoundResponseError),
        ("timeout_408", errors.RequestTimeoutResponseError),
        ("too_large_413", errors.PayloadTooLargeResponseError),
        ("unprocessable_422", errors.UnprocessableEntityResponseError),
        ("day_429", errors.TooManyRequestsResponseError),
        ("server_500", errors.InternalServerResponseError),
        ("upstream_502", errors.BadGatewayResponseError),
        ("overloaded_503", errors.ServiceUnavailableResponseError),
        ("cdn_524", errors.EdgeNetworkTimeoutResponseError),
        ("overloaded_529", errors.ProviderOverloadedResponseError),
    ],
)
def test_the_official_sdk_knows_every_error_by_its_type(fault, error, tmp_path):
    app = scenario(f"faults: [{{fault: {fault}}}]", tmp_path)
    with served(app) as base, OpenRouter(api_key=KEY, server_url=base, retry_config=NO_RETRIES) as sdk:
        with pytest.raises(error) as caught:
            sdk.chat.send(model=FREE, messages=[{"role": "user", "content": "Hello!"}])
        assert caught.value.data.error.message
    assert len(app.state.log.requests) == 1


def test_a_minute_429_tells_the_official_sdk_its_reset(tmp_path):
    app = create_app(Scenario(limits=EmulatedLimits(per_minute=0)))
    with served(app) as base, OpenRouter(api_key=KEY, server_url=base, retry_config=NO_RETRIES) as sdk:  # noqa: SIM117
        with pytest.raises(errors.TooManyRequestsResponseError) as caught:
            sdk.chat.send(model=FREE, messages=[{"role": "user", "content": "Hello!"}])
    assert "X-RateLimit-Reset" in str(caught.value.data.error.metadata)


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_cut_connection_is_really_cut(share, tmp_path):
    app = scenario(f"faults: [{{fault: cut, with: {{share: {share}}}}}]", tmp_path)
    with served(app) as base, pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        requests.post(f"{base}/chat/completions", json=asking(), headers={"Authorization": f"Bearer {KEY}"}, timeout=60)


def test_a_client_that_leaves_ends_a_never_ending_body(tmp_path):
    app = scenario("faults: [{fault: endless, with: {every: 0.01}}]", tmp_path)
    with served(app) as base:
        headers = {"Authorization": f"Bearer {KEY}"}
        with requests.post(
            f"{base}/chat/completions", json=asking(), headers=headers, stream=True, timeout=60
        ) as reply:
            next(reply.iter_content(10))
        for _ in range(500):
            if app.state.log.requests[0].done_at is not None:
                break
            threading.Event().wait(0.01)
    assert app.state.log.requests[0].done_at is not None
    assert not app.state.log.requests[0].delivered


def test_only_loopback_is_served_and_a_taken_port_is_an_error():
    with pytest.raises(ValueError, match=r"loopback only, not on 0\.0\.0\.0"):
        make_server(create_app(), host="0.0.0.0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            serve(create_app(), port=taken.getsockname()[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_base_url_on_stderr_and_stops_on_a_signal(number, tmp_path):
    log = tmp_path / "requests.jsonl"
    code = (
        "from pathlib import Path; from batchfree.emulator import create_app, serve; "
        f"serve(create_app(require_key=False, log_path=Path({str(log)!r})), port=0)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        line = process.stderr.readline()
        assert line.startswith("emulated OpenRouter at http://127.0.0.1:")
        assert line.endswith("/api/v1\n")
        base = line.split()[-1]
        assert requests.post(f"{base}/chat/completions", json=asking(), timeout=60).status_code == 200
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=60)
    assert (out, err) == ("", "")
    assert json.loads(log.read_text())["status"] == 200
