"""The job spec as typed, frozen values, with a sentence on every key for editors.

Values come in resolved: paths absolute, a schema loaded, defaults that depend on other keys filled in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, PrivateAttr
from pydantic_core import CoreSchema

from batchfree.core.chat import JsonObject
from batchfree.core.formats import Format
from batchfree.core.routes import FREE_ROUTER, MOST_MODELS
from batchfree.core.urls import EMBEDDED, is_openrouter
from batchfree.jobspec.rules.chat_messages import Message
from batchfree.jobspec.rules.request_parameters import RequestParameters
from batchfree.jobspec.rules.sentences import AsWritten

DEFAULT_BASE_URL = "https://openrouter.ai/api/v1"
MAX_CONCURRENCY = 10_000


class AlsoAccepts:
    """Marks a key that a job file may write in further forms, which are brought into the one form before checking."""

    def __init__(self, *forms: JsonObject) -> None:
        self.forms = forms

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        inner = handler(schema)
        alternatives = inner["anyOf"] if set(inner) == {"anyOf"} else [inner]
        return {"anyOf": [*alternatives, *self.forms]}


NOTHING: JsonObject = {"type": "null"}
ONE_TEXT: JsonObject = {"type": "string", "pattern": r"\S"}

Filled: TypeAlias = Annotated[str, Field(pattern=r"\S")]
Texts: TypeAlias = tuple[Filled, ...]


class Section(BaseModel):
    """A mapping of the job spec."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)


class InputSpec(Section):
    """Where the rows come from."""

    path: Annotated[Texts, Field(min_length=1), AlsoAccepts(ONE_TEXT)]
    """Path, glob or URL of the rows, or a list of them; relative paths start at the job file."""
    format: Literal["auto", Format] = "auto"
    """Format of the input; auto goes by the suffix."""
    id: Filled | None = None
    """Column that names a row in messages, logs and OpenAI batch results; unique and never null."""
    where: Filled | None = None
    """SQL condition over the columns, such as lang = 'en'; rows it leaves out are not part of the job."""


class AnswerSpec(Section):
    """How an answer is read and checked; by default any text that is not empty is one."""

    labels: tuple[str, ...] | None = Field(default=None, min_length=2)
    """The answer is exactly one of these labels."""
    schema_: Annotated[JsonObject | None, AlsoAccepts(ONE_TEXT)] = Field(default=None, alias="schema")
    """JSON Schema that the answer, as JSON, must satisfy; or the path of a file that holds one."""
    mode: Literal["native", "prompt", "auto"] = "auto"
    """native: response_format is sent; prompt: only words; auto: native for schemas and packs where models list it."""
    repair: bool = True
    """Mend JSON syntax locally before another request is spent."""
    reask: int = Field(default=1, ge=0)
    """Times to ask again, with the error shown, when an answer does not fit."""


class RouterSpec(Section):
    """Which models are asked."""

    route: Annotated[tuple[str, ...], AlsoAccepts(ONE_TEXT)] = (FREE_ROUTER,)
    """openrouter/free, local, an id that ends in :free, or a list of such ids; any id on an endpoint of your own."""
    only: Texts = ()
    """Glob patterns on model ids that a draw may take."""
    exclude: Texts = ()
    """Glob patterns on model ids that a draw may not take."""
    min_context: int | None = Field(default=None, ge=1)
    """Smallest context of a model, in tokens."""
    seed: int | None = None
    """Makes the draws repeatable."""
    fallbacks: int = Field(default=2, ge=0, le=MOST_MODELS - 1)
    """Further models sent along on draws made here."""


class LimitsSpec(Section):
    """How much is asked, and how fast."""

    requests_per_minute: int | None = Field(default=None, ge=1)
    """Requests started in any 60 seconds; 20 on free routes where nothing is given, no limit on your own models."""
    requests_per_day: Annotated[int, Field(ge=1)] | Literal["auto"] | None = None
    """Requests of a UTC day; auto asks the service; no limit on your own models."""
    reserve: int = Field(default=0, ge=0)
    """Requests of the day that are left for others."""
    concurrency: int = Field(default=8, ge=1, le=MAX_CONCURRENCY)
    """Requests in flight at once."""
    on_quota: Literal["stop", "wait"] = "stop"
    """When the day's requests are spent: stop with exit code 75, or wait until they come back."""


class RetrySpec(Section):
    """How patient a run is."""

    max_attempts: int = Field(default=5, ge=1)
    """Attempts per row and run."""
    timeout: float = Field(default=120, gt=0)
    """Seconds for one whole call."""
    max_wait: float = Field(default=60, ge=0)
    """Seconds, cap of one backoff."""


class OutputSpec(Section):
    """Where the table goes."""

    path: Path
    """Path of the table; its suffix names the format: .parquet, .jsonl, .csv, .arrow or .openai.jsonl."""
    prefix: str = ""
    """Put before batchfree's columns, where they would collide with the input's."""


class EndpointSpec(Section):
    """Which service is asked."""

    base_url: Filled = DEFAULT_BASE_URL
    """URL of an API like OpenRouter's or OpenAI's, or embedded for the emulated service inside the process."""
    api_key_env: str = Field(default="OPENROUTER_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Name of the environment variable that holds the key; the key itself never stands in a job."""
    account: Filled | None = None
    """Name of the account: several keys of one account then share one quota ledger."""

    @property
    def embedded(self) -> bool:
        """Whether the emulated service is started inside the process."""
        return self.base_url == EMBEDDED

    @property
    def is_openrouter(self) -> bool:
        """Whether the host is OpenRouter's own."""
        return is_openrouter(self.base_url)


class JobSpec(Section):
    """A batchfree job: which rows are asked what, of whom, and where the table goes."""

    name: Filled
    """Name of the job and of its run folder; the job file's stem where none is given."""
    run_dir: Path
    """Folder of the journal; <folder of output.path>/<name>.run where none is given."""
    input: Annotated[InputSpec, AlsoAccepts(ONE_TEXT, {"type": "array", "items": ONE_TEXT, "minItems": 1})]
    """The rows: a path, a list of paths, or a mapping."""
    prompt: Filled | None = None
    """Jinja template over the columns of a row; "{{ prompt }}" where neither this nor messages is given."""
    messages: Annotated[tuple[Annotated[JsonObject, AsWritten(Message)], ...], Field(min_length=1)] | None = None
    """Messages with templates, instead of a prompt; content is text or parts such as {type: image, image: …}."""
    system: str | None = None
    """Shorthand for a first system message."""
    answer: Annotated[AnswerSpec, AlsoAccepts(NOTHING)] = AnswerSpec()
    """How an answer is read and checked."""
    request: Annotated[JsonObject, AsWritten(RequestParameters), AlsoAccepts(NOTHING)] = Field(default_factory=dict)
    """Parameters passed on under OpenAI's names: temperature, max_tokens, stop, tools, reasoning, …"""
    router: Annotated[RouterSpec, AlsoAccepts(NOTHING)] = RouterSpec()
    """Which models are asked."""
    pack: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    """Rows per request, or auto; more than one needs answer.labels or answer.schema."""
    limits: Annotated[LimitsSpec, AlsoAccepts(NOTHING)] = LimitsSpec()
    """How much is asked, and how fast."""
    retry: Annotated[RetrySpec, AlsoAccepts(NOTHING)] = RetrySpec()
    """How patient a run is."""
    output: Annotated[OutputSpec, AlsoAccepts(ONE_TEXT, NOTHING)]
    """The table: a path or a mapping; <name>.parquet beside the job file where none is given."""
    endpoint: Annotated[EndpointSpec, AlsoAccepts(ONE_TEXT, NOTHING)] = EndpointSpec()
    """Which service is asked: a URL, embedded, or a mapping."""

    _file: Path = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        self._file = context

    @property
    def file(self) -> Path:
        """The job file, absolute."""
        return self._file

    @property
    def folder(self) -> Path:
        """The job file's folder: relative paths start here."""
        return self._file.parent

    def resolved(self) -> JsonObject:
        """The whole job as plain JSON data, without secrets: there are none in it."""
        return self.model_dump(mode="json", by_alias=True)
