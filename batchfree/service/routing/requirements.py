"""What a request needs of the model that answers it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import msgspec
from msgspec.structs import replace

from batchfree.core.chat import ChatRequest, Json
from batchfree.core.tokens import estimate_tokens

TRACKED = frozenset(
    {
        *("temperature", "top_p", "top_k", "min_p", "top_a", "frequency_penalty", "presence_penalty"),
        *("repetition_penalty", "logit_bias", "logprobs", "top_logprobs", "prediction", "seed", "stop", "verbosity"),
        *("parallel_tool_calls",),
    }
)
"""Parameters that a model must list in `supported_parameters` if they are sent, because a provider silently drops
unknown parameters. `_needed` handles the other parameters of the catalogue one by one."""

BUDGETS = ("max_completion_tokens", "max_tokens")
"""Two names of one parameter: a model that lists one of them takes both."""

TOKENS_PER_PART = 1000
"""Estimated tokens of an image, a sound or a file."""

STRUCTURED = "structured_outputs"
"""The catalogue's word for a `response_format` with a schema."""

INPUTS = {"image_url": "image", "image": "image", "input_audio": "audio", "video_url": "video", "file": "file"}

NONE = frozenset[str]()


class Requirements(msgspec.Struct, frozen=True, kw_only=True):
    """What a model must be able to do.

    `prompt_tokens` is an estimate. `completion_tokens` is None if the request sets no limit. `context_above`: a context
    of this size, in tokens, was too small for the request.
    """

    inputs: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()
    prompt_tokens: int = 0
    completion_tokens: int | None = None
    forbids_reasoning: bool = False
    context_above: int | None = None

    @property
    def context(self) -> int:
        """Tokens that must fit into the context: prompt and answer."""
        return self.prompt_tokens + (self.completion_tokens or 0)


def analyze(request: ChatRequest, *, native_only: bool = False, context_above: int | None = None) -> Requirements:
    """The needs of a request, from its messages and parameters.

    `native_only`: only models that take a schema may answer. `context_above`: a context of this size, in tokens, was
    too small.
    """
    return RequestAnalyzer(native_only=native_only).needs(request, context_above)


class RequestAnalyzer:
    """Analyzes many requests. Those of one job share their parameters, so the needs of these are computed once."""

    def __init__(self, *, native_only: bool) -> None:
        """`native_only` as in `analyze`."""
        self._native_only = native_only
        self._parameters: Mapping[str, Json] | None = None
        self._of_parameters = Requirements()

    def needs(self, request: ChatRequest, context_above: int | None = None) -> Requirements:
        """The needs of one request; `context_above` as in `analyze`."""
        if request.parameters is not self._parameters:
            self._parameters = request.parameters
            self._of_parameters = _parameter_needs(request.parameters, native_only=self._native_only)
        inputs, tokens = NONE, self._of_parameters.prompt_tokens
        for message in request.messages:
            content = message.get("content")
            if isinstance(content, str):  # most messages are plain text
                tokens += estimate_tokens(content)
            elif content is not None:
                parts = content if isinstance(content, list | tuple) else (content,)
                inputs |= {kind for part in parts if (kind := _input(part)) is not None}
                tokens += sum(map(_part_tokens, parts))
            if message.get("tool_calls"):
                tokens += estimate_tokens(json.dumps(message["tool_calls"]))
        return replace(self._of_parameters, inputs=inputs, prompt_tokens=tokens, context_above=context_above)


def _parameter_needs(parameters: Mapping[str, Json], *, native_only: bool) -> Requirements:
    structured = frozenset({STRUCTURED}) if native_only else NONE
    sent = {name: value for name, value in parameters.items() if value is not None}
    return Requirements(
        parameters=structured | frozenset(_needed(sent)),
        prompt_tokens=_tokens(sent),
        completion_tokens=token_limit(sent),
        forbids_reasoning=_thinking(sent) is False,
    )


def token_limit(parameters: Mapping[str, Json]) -> int | None:
    """The most tokens that an answer may have by these parameters; None if they set no limit."""
    return max((value for name in BUDGETS if isinstance(value := parameters.get(name), int)), default=None)


def _needed(sent: Mapping[str, Json]) -> Iterator[str]:
    yield from TRACKED & sent.keys()
    if any(name in sent for name in BUDGETS):
        yield "max_tokens"
    match sent.get("response_format"):
        case {"type": "json_object"}:
            yield "response_format"
        case {"type": "json_schema" | "grammar" | "python"}:
            yield STRUCTURED
    if sent.get("tools"):
        yield "tools"
        if sent.get("tool_choice", "auto") not in ("auto", "none"):
            yield "tool_choice"
    if _thinking(sent):
        yield "reasoning"
    if sent.get("include_reasoning"):
        yield "include_reasoning"


def _thinking(sent: Mapping[str, Json]) -> bool | None:
    """Whether thinking is asked for (True), forbidden (False) or left to the model (None)."""
    reasoning = sent.get("reasoning")
    settings = reasoning if isinstance(reasoning, Mapping) else {}
    effort = settings.get("effort") or sent.get("reasoning_effort")
    if effort == "none" or settings.get("enabled") is False:
        return False
    return True if effort or settings.get("enabled") or settings.get("max_tokens") else None


def _input(part: Json) -> str | None:
    return INPUTS.get(str(part.get("type"))) if isinstance(part, Mapping) else None


def _part_tokens(part: Json) -> int:
    if _input(part) is not None:
        return TOKENS_PER_PART
    text = part.get("text", "") if isinstance(part, Mapping) else part
    return estimate_tokens(str(text))


def _tokens(sent: Mapping[str, Json]) -> int:
    """Estimated tokens of the parameters that become part of the prompt."""
    return sum(
        estimate_tokens(json.dumps(sent[name], default=str)) for name in ("tools", "response_format") if name in sent
    )
