"""What may stand under `request`: parameters under OpenAI's names, and none that costs money or breaks a run.

Names and ranges are those of OpenRouter's API reference, page "Parameters". Parameters that are not known here are
passed on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from batchfree.core.chat import Json, JsonObject
from batchfree.core.parameters import FREE_PDF_ENGINE, FREE_PLUGINS, NEVER_SENT
from batchfree.core.text import nearest
from batchfree.jobspec.draft import shown
from batchfree.jobspec.rules.type_marks import Says, mistaken

SLIP = 0.88
"""An unknown parameter this similar to a known one must be a typing error; see `core.text.nearest`."""

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Penalty: TypeAlias = Annotated[float, Field(ge=-2, le=2)]
Count: TypeAlias = Annotated[int, Field(ge=1)]


def _never(name: str) -> str:
    return f"`{name}` can't stand under `request`: {NEVER_SENT[name]}"


class Parameters(BaseModel):
    """A mapping that may hold further keys."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


class ToolFunction(Parameters):
    """A function that a model may call."""

    name: str
    """Name of the function."""


class Tool(Parameters):
    """A tool of type function. The service's own tools cost money."""

    type: Annotated[
        Literal["function"], Says("only tools of type function may be sent; the service's own tools cost money")
    ]
    """function"""
    function: ToolFunction
    """Name, description and parameters of the function."""


class Plugin(Parameters):
    """A plugin of OpenRouter."""

    id: str
    """Name of the plugin."""
    enabled: bool | None = None
    """False switches off a plugin that the account has switched on."""


def _without_price(plugin: Plugin) -> Plugin:
    """The plugin, if it costs nothing and chooses no model."""
    if plugin.enabled is False:
        return plugin
    if plugin.id == "file-parser":
        pdf = (plugin.model_extra or {}).get("pdf")
        if not isinstance(pdf, dict) or pdf.get("engine") != FREE_PDF_ENGINE:
            raise mistaken(
                f"the file parser costs money unless its engine is named; write pdf: {{engine: {FREE_PDF_ENGINE}}}"
            )
    elif plugin.id not in FREE_PLUGINS:
        raise mistaken(
            f"the plugin {shown(plugin.id)} is not known to be free of charge, or chooses other models; leave it out"
        )
    return plugin


class RequestParameters(Parameters):
    """Parameters of a request under OpenAI's names. Null means the same as leaving a parameter out."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """Randomness of the answer."""
    top_p: Share | None = None
    """Draws only from the most likely tokens that make up this share."""
    min_p: Share | None = None
    """Smallest probability of a token, relative to the most likely one."""
    top_a: Share | None = None
    """Like min_p, relative to the square of the largest probability."""
    top_k: int | None = None
    """Draws only from this many most likely tokens."""
    frequency_penalty: Penalty | None = None
    """Makes tokens less likely the more often they have come."""
    presence_penalty: Penalty | None = None
    """Makes tokens less likely once they have come."""
    repetition_penalty: float | None = None
    """Makes tokens of the prompt and the answer less likely."""
    max_tokens: Count | None = None
    """Most tokens of an answer."""
    max_completion_tokens: Count | None = None
    """Most tokens of an answer, under OpenAI's newer name."""
    seed: int | None = None
    """Makes answers repeatable where a model can do that."""
    stop: Annotated[
        str | Annotated[list[str], Field(max_length=4)] | None, Says("expected text, or a list of at most four texts")
    ] = None
    """The answer ends before any of these texts."""
    logit_bias: JsonObject | None = None
    """Token number → how much likelier it becomes, from -100 to 100."""
    logprobs: bool | None = None
    """Returns the log probability of every token."""
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    """Alternatives whose log probability is returned, for every token."""
    tools: list[Tool] | None = None
    """Functions that the model may call; a reply of tool calls is an answer too."""
    tool_choice: str | JsonObject | None = None
    """none, auto, required, or the function to call."""
    parallel_tool_calls: bool | None = None
    """Whether one reply may hold several tool calls."""
    response_format: JsonObject | None = None
    """Form of the answer; answer.labels and answer.schema set it by themselves."""
    reasoning: JsonObject | None = None
    """How much a model reasons: {effort: low}, {max_tokens: 500}, {enabled: false}."""
    reasoning_effort: str | None = None
    """How much a model reasons, under OpenAI's name."""
    include_reasoning: bool | None = None
    """Whether the reasoning is returned."""
    verbosity: str | None = None
    """low, medium or high."""
    provider: JsonObject | None = None
    """Which providers OpenRouter may use."""
    plugins: list[Annotated[Plugin, AfterValidator(_without_price)]] | None = None
    """Plugins of OpenRouter that cost nothing."""
    transforms: list[Json] | None = None
    """Changes that OpenRouter makes to a prompt that is too long."""
    modalities: Annotated[list[Literal["text"]] | None, Says("answers are read as text; only [text] is possible")] = (
        None
    )
    """Kinds of output."""
    metadata: JsonObject | None = None
    """Labels for the service's own records."""
    user: str | None = None
    """Name of the person on whose behalf the request is made."""
    session_id: str | None = None
    """Groups requests in the service's own records."""
    n: Annotated[Literal[1] | None, Says("one request brings one answer; leave `n` out")] = None
    """Answers per request."""
    stream: Annotated[Literal[False] | None, Says(_never("stream"))] = None
    """Answers are read whole."""


def near_parameter(name: str) -> str | None:
    """The known parameter that is so similar to an unknown name that the name must be a typing error."""
    known = RequestParameters.model_fields
    return None if name in known or name in NEVER_SENT else nearest(name, known, cutoff=SLIP)


def refusals(parameters: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Names that are never sent, each with a sentence that says what to do instead."""
    for name in parameters:
        if name in NEVER_SENT and name not in RequestParameters.model_fields:
            yield name, _never(name)
