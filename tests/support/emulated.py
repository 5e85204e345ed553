"""What the emulator's tests share: an emulation in virtual time, and requests to it."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx
from support.virtual_time import VirtualTime

from batchfree.emulator import Emulator, create_app
from batchfree.emulator.http.in_process import InProcessTransport
from batchfree.emulator.scenario.scenario_file import read_scenario

FREE = "openrouter/free"
GLM, LFM = "emulated/glm-5.2:free", "emulated/lfm-2.5-2.6b:free"
CODE, GEMMA = "emulated/north-mini-code:free", "emulated/gemma-4-31b-it:free"
SAFETY, GATED, PAID = "emulated/nemotron-3.5-content-safety:free", "emulated/inkling:free", "emulated/glm-5.2"
IMAGE = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "properties": {}}}}
TOOLS = [{"type": "function", "function": {"name": "go", "parameters": {"type": "object", "properties": {}}}}]
SURE = "pool: {accuracy: 1.0, follows: 1.0}"


def emulation(text: str = "", *, time: VirtualTime | None = None, **options: Any) -> Emulator:
    """The emulation of a scenario in YAML, without limits unless the scenario sets some; its clock is `state.time`."""
    time = time or VirtualTime()
    text = dedent(text)
    if "limits" not in text:
        text += "\nlimits: {per_minute: null, per_day: null}\n"
    scenario = read_scenario(text, "test.yaml", Path.cwd())
    app = create_app(scenario, clock=time.clock, **options)
    app.state.time = time
    return app


def client(app: Emulator, key: str | None = "sk-or-v1-test") -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.AsyncClient(transport=InProcessTransport(app), base_url="http://emulated/api/v1", headers=headers)


def asking(text: str = "Hello there, Berlin.", model: str | None = FREE, **members: Any) -> dict[str, Any]:
    """A chat request body."""
    return ({"model": model} if model else {}) | {"messages": [{"role": "user", "content": text}]} | members


def ask(app: Emulator, *bodies: dict[str, Any], headers: dict[str, str] | None = None) -> list[httpx.Response]:
    """The replies to chat requests that are sent one after the other."""

    async def main() -> list[httpx.Response]:
        async with client(app) as http:
            return [await http.post("/chat/completions", json=body, headers=headers) for body in bodies]

    replies: list[httpx.Response] = app.state.time.run(main)
    return replies


def get(app: Emulator, path: str, key: str | None = "sk-or-v1-test") -> httpx.Response:
    async def main() -> httpx.Response:
        async with client(app, key) as http:
            return await http.get(path)

    reply: httpx.Response = app.state.time.run(main)
    return reply


def said(body: dict[str, Any], scenario: str = SURE) -> str:
    """The answer to a chat request; the models of the default scenario never err."""
    (reply,) = ask(emulation(scenario), body)
    return content(reply)


def content(response: httpx.Response) -> str:
    return str(response.json()["choices"][0]["message"]["content"])


def played(fault: str, body: dict[str, Any] | None = None, **options: object) -> httpx.Response:
    """The reply to one request when a fault is played."""
    app = emulation(f"faults: [{{fault: {fault}, with: {json.dumps(options)}}}]")
    (reply,) = ask(app, body or asking(model=GLM))
    assert app.state.log.requests[0].fault == fault
    return reply
