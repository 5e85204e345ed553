"""What the emulator's tests share: a clock that only moves when somebody sleeps, and a client on the emulation."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import anyio
import httpx

from batchfree.emulator import Emulator, create_app
from batchfree.emulator.http.in_process import InProcessTransport
from batchfree.emulator.scenario.scenario_file import read_scenario

NOON = 1_791_374_400.0  # 2026-10-07 12:00 UTC
FREE = "openrouter/free"
SURE = "pool: {accuracy: 1.0, follows: 1.0}"


class Time:
    """Virtual time in epoch seconds."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await anyio.sleep(0)


def emulation(text: str = "", *, time: Time | None = None, **members: Any) -> Emulator:
    """An application for a scenario in YAML; without limits unless the scenario has its own."""
    time = time or Time()
    text = dedent(text)
    if "limits" not in text:
        text += "\nlimits: {per_minute: null, per_day: null}\n"
    scenario = read_scenario(text, "test.yaml", Path.cwd())
    return create_app(scenario, clock=time, sleep=time.sleep, **members)


def client(app: Emulator, key: str | None = "sk-or-v1-test") -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.AsyncClient(transport=InProcessTransport(app), base_url="http://emulated/api/v1", headers=headers)


def asking(text: str = "Hello there, Berlin.", model: str | None = FREE, **members: Any) -> dict[str, Any]:
    """A chat request body."""
    return ({"model": model} if model else {}) | {"messages": [{"role": "user", "content": text}]} | members


def ask(app: Emulator, *bodies: dict[str, Any], headers: dict[str, str] | None = None) -> list[httpx.Response]:
    """The replies to some chat requests, one after the other."""

    async def main() -> list[httpx.Response]:
        async with client(app) as http:
            return [await http.post("/chat/completions", json=body, headers=headers) for body in bodies]

    return anyio.run(main)


def get(app: Emulator, path: str, key: str | None = "sk-or-v1-test") -> httpx.Response:
    async def main() -> httpx.Response:
        async with client(app, key) as http:
            return await http.get(path)

    return anyio.run(main)


def said(body: dict[str, Any], scenario: str = SURE) -> str:
    """What a model says that never errs."""
    (reply,) = ask(emulation(scenario), body)
    return content(reply)


def content(response: httpx.Response) -> str:
    return str(response.json()["choices"][0]["message"]["content"])
