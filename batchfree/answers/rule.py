"""What counts as an answer, and the result of reading a reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec.structs import replace

from batchfree.core.chat import Completion, Failure, Json, JsonObject, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRule:
    """What counts as an answer: one of `labels`, JSON that satisfies `schema`, or any text if both are None.

    `tools` says that the request offers tools; a reply of tool calls is then an answer too. `tool_schemas` gives the
    schema of each tool's arguments by name; None leaves them unchecked. `must_call` says that the request demands a
    call, so that words are no answer; `tool_name` is the one tool that it demands.
    """

    labels: tuple[str, ...] | None = None
    schema: JsonObject | None = None
    mode: Literal["native", "prompt", "auto"] = "auto"
    repair: bool = True
    tools: bool = False
    tool_schemas: Mapping[str, JsonObject] | None = None
    must_call: bool = False
    tool_name: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A checked answer: the label, the JSON value, the text, or tool calls as JSON text `[{"name", "arguments"}]`.

    `repaired` says that broken JSON syntax was mended.
    """

    value: Json
    repaired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """The earlier answer and what is wrong with it. A model sees both when a question is asked again."""

    answer: str
    error: str


SAFETY_VERDICT = Failure(kind=Kind.NOT_CHAT, message="the reply is the verdict of a safety classifier")
DECLINED = Failure(kind=Kind.REFUSED, message="the model declined to answer")
FILTERED = Failure(kind=Kind.CONTENT_POLICY, message="a content filter stopped the answer")
EMPTY = Failure(kind=Kind.EMPTY, message="the reply is empty")


def bad_answer(message: str) -> Failure:
    """The failure of an answer that breaks the rule. `message` is a clause that tells the model what to change."""
    return Failure(kind=Kind.BAD_ANSWER, message=message)


def with_origin(completion: Completion, failure: Failure) -> Failure:
    """The failure with model, provider, tokens and text of the completion that it was found in."""
    return replace(
        failure,
        status=200,
        model=completion.model,
        provider=completion.provider,
        finish_reason=completion.finish_reason,
        native_finish_reason=completion.native_finish_reason,
        request_id=completion.request_id,
        usage=completion.usage,
        content=completion.content,
        router=completion.router,
    )
