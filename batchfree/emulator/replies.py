"""A chat reply as the service sends it: `chat.completion`, its usage, and the steps in which the bytes are sent."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from batchfree.emulator.emulated_model import EmulatedModel, JsonObject
from batchfree.emulator.incoming_request import CHARACTERS_A_TOKEN, IncomingRequest

LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOutput:
    """The answer of a model: text or tool calls, and its reasoning.

    `rows` maps each prompt to its answer; the answers of a pack are JSON text. `codes` maps a pack's codes to prompts.
    """

    content: str = ""
    tool_calls: tuple[JsonObject, ...] = ()
    reasoning: str | None = None
    rows: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is sent for some seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Repeat:
    """The same bytes `times` times (None: until the client leaves), each followed by a pause of `seconds`."""

    data: bytes
    seconds: float = 0.0
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is cut here."""


Step: TypeAlias = bytes | Pause | Repeat | Cut


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """A reply that is sent after `delay` seconds: status, headers, and the body in steps."""

    status: int
    headers: Mapping[str, str]
    steps: tuple[Step, ...]
    delay: float = 0.0

    @property
    def body(self) -> bytes:
        """The bytes of all steps that are plain bytes."""
        return b"".join(step for step in self.steps if isinstance(step, bytes))


def generation_id(now: float, rng: random.Random) -> str:
    """`gen-<unix seconds>-<20 characters>`."""
    return f"gen-{int(now)}-{''.join(rng.choices(LETTERS, k=20))}"


def tokens(text: str | None) -> int:
    """A rough count of tokens; at least one for any text."""
    return -(-len(text) // CHARACTERS_A_TOKEN) if text else 0


def completion(
    model: EmulatedModel, request: IncomingRequest, output: ModelOutput, *, id: str, now: float
) -> JsonObject:
    """The `chat.completion` object. The token limits of request and model cut the answer."""
    limits = [limit for limit in (request.max_tokens, model.max_output) if limit is not None]
    content, reasoning, finish = _cut(output, min(limits, default=None))
    thought = tokens(reasoning)
    message: JsonObject = {"role": "assistant", "content": content, "refusal": None}
    if finish == "tool_calls":
        message |= {"content": content or None, "tool_calls": list(output.tool_calls)}
    if reasoning is not None and not request.reasoning.get("exclude"):
        detail = {"type": "reasoning.text", "text": reasoning, "format": None, "index": 0}
        message |= {"reasoning": reasoning, "reasoning_details": [detail]}
    choice = {"index": 0, "logprobs": None, "finish_reason": finish, "native_finish_reason": finish, "message": message}
    written = tokens(content) + (tokens(json.dumps(output.tool_calls)) if output.tool_calls else 0)
    return {
        "id": id,
        "object": "chat.completion",
        "created": int(now),
        "model": model.id,
        "provider": model.provider,
        "system_fingerprint": None,
        "choices": [choice],
        "usage": usage(model, request.prompt_tokens, written + thought, thought),
    }


def _cut(output: ModelOutput, limit: int | None) -> tuple[str, str | None, str]:
    """Content, reasoning and finish reason of an answer of at most `limit` tokens; reasoning comes first."""
    thought = tokens(output.reasoning)
    if limit is not None and thought >= limit:
        return "", (output.reasoning or "")[: limit * CHARACTERS_A_TOKEN], "length"
    if limit is not None and thought + tokens(output.content) > limit:
        return output.content[: (limit - thought) * CHARACTERS_A_TOKEN], output.reasoning, "length"
    return output.content, output.reasoning, "tool_calls" if output.tool_calls else "stop"


def usage(model: EmulatedModel, prompt: int, written: int, thought: int) -> JsonObject:
    """Token counts, and the price in USD: 0 for a free model."""
    cost: float = 0 if model.free or model.nature in ("chat", "classifier") else model.price(prompt, written)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "cost": cost,
        "is_byok": False,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, "audio_tokens": 0, "video_tokens": 0},
        "cost_details": {
            "upstream_inference_cost": 0,
            "upstream_inference_prompt_cost": 0,
            "upstream_inference_completions_cost": 0,
        },
        "completion_tokens_details": {"reasoning_tokens": thought, "image_tokens": 0, "audio_tokens": 0},
    }


def encode(body: JsonObject) -> bytes:
    """Compact JSON; lone surrogates stay as they are."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
