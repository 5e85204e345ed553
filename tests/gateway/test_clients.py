"""The official SDKs, and the usage examples of OpenRouter's page on its free router, with another base URL alone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import openai
import openrouter
import pytest
import requests
from langchain_openai import ChatOpenAI
from openai import OpenAI
from openrouter import OpenRouter
from pydantic import BaseModel, SecretStr
from support.emulated import emulation
from support.gateway import gateway_on_socket

HELLO = "Hello! What can you help me with today?"
MESSAGES: list[Any] = [{"role": "user", "content": HELLO}]
FREE = "openrouter/free"


class City(BaseModel):
    """A form of an answer."""

    city: str


TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    app = emulation("router: {draws_classifier: false}\npool: {accuracy: 1.0, follows: 1.0, latency: {constant: 0}}")
    with gateway_on_socket(app, tmp_path_factory.mktemp("gateway")) as (base, _):
        yield f"{base}/api/v1"


def test_the_requests_example_works(url):
    response = requests.post(
        url=f"{url}/chat/completions",
        headers={"Authorization": "Bearer <OPENROUTER_API_KEY>", "Content-Type": "application/json"},
        data=json.dumps({"model": FREE, "messages": MESSAGES}),
        timeout=60,
    )
    data = response.json()
    assert data["choices"][0]["message"]["content"]
    assert data["model"].endswith(":free")


@pytest.mark.parametrize("headers", [[], ["-H", "Content-Type: application/json"]])
def test_the_curl_example_works(headers, url):
    body = json.dumps({"model": FREE, "messages": MESSAGES})
    key = ["-H", "Authorization: Bearer $OPENROUTER_API_KEY"]
    done = subprocess.run(
        ["curl", "-s", f"{url}/chat/completions", *headers, *key, "-d", body], capture_output=True, check=True
    )
    assert json.loads(done.stdout)["choices"][0]["message"]["content"]


def test_the_openai_sdk_chats_streams_and_lists_models(url):
    with OpenAI(base_url=url, api_key="anything") as client:
        reply = client.chat.completions.create(model=FREE, messages=MESSAGES)
        assert reply.choices[0].message.content
        assert reply.model.endswith(":free")
        with client.chat.completions.create(
            model=FREE, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        ) as stream:
            chunks = list(stream)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert chunks[-1].usage.total_tokens > 0
        listed = [model.id for model in client.models.list()]
        assert {FREE, "local", reply.model} <= set(listed)
        assert client.models.retrieve("emulated/glm-5.2:free").id == "emulated/glm-5.2:free"


def test_the_openai_sdk_calls_tools_and_parses_forms(url):
    with OpenAI(base_url=url, api_key="anything") as client:
        reply = client.chat.completions.create(
            model=FREE,
            messages=[{"role": "user", "content": "What is the weather in Berlin?"}],
            tools=[TOOL],
            tool_choice="required",
        )
        call: Any = reply.choices[0].message.tool_calls and reply.choices[0].message.tool_calls[0]
        assert call.function.name == "weather"
        assert "city" in json.loads(call.function.arguments)
        said: Any = reply.choices[0].message.model_dump(exclude_none=True)
        result: Any = {"role": "tool", "tool_call_id": call.id, "content": "It rains."}
        again = client.chat.completions.create(model=FREE, messages=[*MESSAGES, said, result])
        assert again.choices[0].message.content
        parsed = client.chat.completions.parse(model=FREE, messages=MESSAGES, response_format=City)
        assert isinstance(parsed.choices[0].message.parsed, City)
        with client.chat.completions.stream(model=FREE, messages=MESSAGES, response_format=City) as stream:
            final = stream.get_final_completion()
        assert isinstance(final.choices[0].message.parsed, City)


def test_the_openai_sdk_knows_errors_by_their_type(url):
    with OpenAI(base_url=url, api_key="anything") as client:
        with pytest.raises(openai.BadRequestError, match="is not free"):
            client.chat.completions.create(model="openai/gpt-4o", messages=MESSAGES)
        with pytest.raises(openai.NotFoundError, match="No endpoints found"):
            client.chat.completions.create(model="a/b:free", messages=MESSAGES)


def test_the_openai_sdk_does_not_repeat_a_call_that_got_a_429(tmp_path):
    app = emulation("faults: [{fault: day_429}]")
    with gateway_on_socket(app, tmp_path) as (base, running):
        client = OpenAI(base_url=f"{base}/v1", api_key="any")
        with client, pytest.raises(openai.RateLimitError, match="free-models-per-day"):
            client.chat.completions.create(model=FREE, messages=MESSAGES)
    assert running.gateway.counts.calls.total() == 1


def test_the_openrouter_sdk_chats_streams_and_reads_the_account(url):
    with OpenRouter(api_key="<OPENROUTER_API_KEY>", server_url=url) as sdk:
        reply = sdk.chat.send(model=FREE, messages=MESSAGES)
        assert reply.choices[0].message.content
        chunks = list(sdk.chat.send(model=FREE, messages=MESSAGES, stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert FREE in {model.id for model in sdk.models.list().result.data}
        assert sdk.api_keys.get_current_key_metadata().data.free_model_daily_requests.limit > 0
        with pytest.raises(openrouter.errors.BadRequestResponseError, match="is not free"):
            sdk.chat.send(model="openai/gpt-4o", messages=MESSAGES)


def test_langchain_chats_streams_and_calls_tools(url):
    model = ChatOpenAI(model=FREE, base_url=url, api_key=SecretStr("anything"), max_retries=0)
    assert model.invoke(HELLO).content
    assert "".join(str(chunk.content) for chunk in model.stream(HELLO))
    assert (
        model.bind_tools([TOOL], tool_choice="weather").invoke("The weather in Rome?").tool_calls[0]["name"]
        == "weather"
    )
    assert isinstance(model.with_structured_output(City, method="json_schema").invoke(HELLO), City)
