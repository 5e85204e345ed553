"""What counts as an answer, and what a reply was read as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from batchfree.core.chat import Completion, Failure, Json, JsonObject, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRule:
    """What counts as an answer: one of `labels`, JSON that satisfies `schema`, or else any text.

    `tools`: the request offers tools, so that a reply of tool calls is an answer too; `tool_schemas` are their
    parameters by name, where they are to be checked.
    """

    labels: tuple[str, ...] | None = None
    schema: JsonObject | None = None
    mode: Literal["native", "prompt", "auto"] = "auto"
    repair: bool = True
    tools: bool = False
    tool_schemas: Mapping[str, JsonObject] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A checked answer: the label, the JSON value, the text, or tool calls as JSON text `[{"name", "arguments"}]`.

    `repaired`: JSON syntax was mended on the way.
    """

    value: Json
    repaired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What is shown when a question is asked again: the answer that did not do, and why."""

    answer: str
    error: str


def bad_answer(message: str) -> Failure:
    """An answer that does not fit, with the reason as a sentence that a model can act on."""
    return Failure(kind=Kind.BAD_ANSWER, message=message)


def with_origin(completion: Completion, failure: Failure) -> Failure:
    """A failure with everything that the completion knows of its origin."""
    return replace(
        failure,
        status=200,
        model=completion.model,
        provider=completion.provider,
        finish_reason=completion.finish_reason,
        request_id=completion.request_id,
        usage=completion.usage,
        content=completion.content,
        router=completion.router,
    )
