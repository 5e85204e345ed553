"""Many calls and clients at once: broken models, clients that leave, and nothing that is left behind."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import anyio
import httpx
import pytest
from support.gateway import asking_for, gateway_on_socket, in_virtual_time
from support.processes import emulator

ROUTERS = ("openrouter/free", "local")
CHAT = "/chat/completions"
SIX = [f"emulated/{name}:free" for name in ("glm-5.2", "gemma-4-31b-it", "north-mini-code", "dots-3-note")]
SIX += ["emulated/lfm-2.5-2.6b:free", "emulated/laguna-s-2.1:free"]
FOUR_OF_SIX_BROKEN = f"""
pool: {{only: {["openrouter/free", *SIX]}, latency: {{constant: 2}}}}
faults:
  - {{fault: upstream_429, model: "{SIX[2]}"}}
  - {{fault: error_200, model: "{SIX[3]}"}}
  - {{fault: content_null, model: "{SIX[4]}"}}
  - {{fault: verdict, model: "{SIX[5]}"}}
limits: {{per_minute: 20, per_day: 100000}}
"""


@pytest.mark.parametrize(
    ("model", "stream", "calls"),
    [
        ("openrouter/free", False, 320),
        ("local", True, 320),
        *(pytest.param(model, stream, 1000, marks=pytest.mark.slow) for model in ROUTERS for stream in (False, True)),
    ],
)
def test_with_four_of_six_models_broken_all_calls_get_their_answers(model, stream, calls, tmp_path):
    async def act(served):
        texts = []

        async def client(number):
            for call in range(calls // 8):
                body = asking_for(f"Question {number} {call}", model=model, stream=stream)
                texts.append(await served.http.post(CHAT, json=body))

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(client, number)
        return texts, len(served.posts), served.starts()

    replies, posts, starts = in_virtual_time(act, tmp_path, FOUR_OF_SIX_BROKEN)
    answers = [reply for reply in replies if reply.status_code == 200 and "In short" in reply.text]
    honest = [reply for reply in replies if reply.status_code == 429 and "retry-after" in reply.headers]
    assert len(answers) + len(honest) == calls
    assert posts == starts <= 1.1 * len(answers)
    if stream:
        assert all(reply.text.endswith("data: [DONE]\n\n") and "error" not in reply.text for reply in answers)


def test_two_hundred_clients_of_whom_half_leave_early_leave_nothing_behind(tmp_path):
    rng = random.Random(7)
    limits: Any = {"requests_per_minute": 100_000, "requests_per_day": 100_000}
    statuses: list[int | None] = []

    async def ask(http: httpx.AsyncClient, number: int) -> None:
        body = asking_for(f"Question {number}", model=rng.choice(ROUTERS), stream=number % 3 == 0)
        with anyio.move_on_after(rng.uniform(0.05, 1.0) if number % 2 else 60) as patience:
            statuses.append((await http.post(CHAT, json=body)).status_code)
        if patience.cancelled_caught:
            statuses.append(None)

    async def crowd(url: str) -> None:
        pool = httpx.Limits(max_connections=200)
        async with (
            httpx.AsyncClient(base_url=f"{url}/v1", limits=pool, timeout=60) as http,
            anyio.create_task_group() as tasks,
        ):
            for number in range(200):
                tasks.start_soon(ask, http, number)

    with (
        emulator(tmp_path / "service", latency=0.1) as service,
        gateway_on_socket(service.url, tmp_path, limits=limits, concurrency=32) as (url, running),
    ):
        asyncio.run(crowd(url))
        queue, state = running.gateway.queue, running.server.server_state
        while queue.waiting or queue.in_flight or state.connections or state.tasks:
            time.sleep(0.01)
        service.settle()
        assert httpx.get(f"{url}/status").json()["quota"]["day"]["used"] == len(service.posts())
        assert running.gateway.counts.calls["left"] > 0
    assert statuses.count(200) + statuses.count(None) == 200
    assert statuses.count(200) >= 100
