"""The job spec as typed, frozen values, with a sentence about every key for editors.

The values are resolved: paths are absolute, a schema is loaded, defaults that depend on other keys are filled in. The
file is long, because it is the list of all keys.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from batchfree.core.chat import JsonObject
from batchfree.core.formats import Format
from batchfree.core.parts import MOST_PARTS, WHOLE
from batchfree.core.routes import FREE_ROUTER, MOST_MODELS
from batchfree.core.urls import EMBEDDED, LLAMA, WORDS, is_openrouter
from batchfree.jobspec.rules.chat_messages import Message
from batchfree.jobspec.rules.request_parameters import RequestParameters
from batchfree.jobspec.rules.type_marks import NOTHING, ONE_TEXT, AlsoAccepts, AsWritten, Filled
from batchfree.jobspec.variables import KEY_VARIABLE

DEFAULT_BASE_URL = "https://openrouter.ai/api/v1"
MOST_VOTES = 100
MAX_CONCURRENCY = 10_000
SEPARATOR = r'^[^"\r\n\x00]$'
Texts: TypeAlias = tuple[Filled, ...]


class Section(BaseModel):
    """A mapping of the job spec with fixed keys."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class InputSpec(Section):
    """Where the rows come from."""

    path: Annotated[Texts, Field(min_length=1), AlsoAccepts(ONE_TEXT)]
    """Path, glob or URL of the rows, or a list of these; relative paths start at the job file."""
    format: Literal["auto", Format] = "auto"
    """Format of the input; auto takes the format that the suffix names."""
    separator: Annotated[str, Field(pattern=SEPARATOR)] | None = None
    """The one character between the cells of CSV; by default a comma, and a tab for .tsv."""
    id: Filled | None = None
    """Column that names a row in messages, logs and OpenAI batch results; unique and never null."""
    where: Filled | None = None
    """SQL condition over the columns, such as lang = 'en'; only the rows that satisfy it belong to the job."""
    files: Annotated[Texts | None, AlsoAccepts(ONE_TEXT)] = None
    """Folders outside the job file's own from which rows may name images and other files; links are resolved."""


class AnswerSpec(Section):
    """How an answer is read and checked; by default any text that is not empty is an answer."""

    labels: tuple[str, ...] | None = Field(default=None, min_length=2)
    """The answer is exactly one of these labels."""
    schema_: Annotated[JsonObject | None, AlsoAccepts(ONE_TEXT)] = Field(default=None, alias="schema")
    """JSON Schema that the answer must satisfy, or the path of a file that holds one."""
    mode: Literal["native", "prompt", "auto"] = "auto"
    """native: response_format is sent; prompt: words only; auto: native for schemas and packs if the model lists it."""
    repair: bool = True
    """Repair JSON syntax locally before another request is spent."""
    reask: int = Field(default=1, ge=0)
    """How many times to ask again, with the error in the prompt, if an answer is wrong."""


class RouterSpec(Section):
    """The models to ask."""

    route: Annotated[tuple[str, ...] | None, AlsoAccepts(ONE_TEXT)] = (FREE_ROUTER,)
    """openrouter/free, local, an id that ends in :free, or a list of such ids; on your own endpoint any id, or nothing
    for the one model that the server lists."""
    only: Texts = ()
    """Glob patterns on model ids that a draw may take."""
    exclude: Texts = ()
    """Glob patterns on model ids that a draw may not take."""
    min_context: int | None = Field(default=None, ge=1)
    """Smallest context of a model, in tokens."""
    seed: int | None = None
    """Makes the draws repeatable."""
    fallbacks: int = Field(default=2, ge=0, le=MOST_MODELS - 1)
    """Further models that OpenRouter may fall back to within one request, if batchfree draws the model."""


class VotesSpec(Section):
    """How many answers a row gets, each from another model."""

    min: int = Field(default=1, ge=1)
    """Votes that every row gets before any row gets more."""
    max: int = Field(default=1, ge=1, le=MOST_VOTES)
    """Most votes of a row."""
    agree: int = Field(default=1, ge=1)
    """A row is settled when its leading answer is this many votes ahead."""
    budget: float | None = Field(default=None, gt=0)
    """Most votes per row on average; by default there is no limit."""


class PilotSpec(Section):
    """The first rows go to every eligible model; later draws come from the better models."""

    rows: int = Field(default=40, ge=1)
    """Number of rows in the pilot."""
    keep: float = Field(default=0.5, gt=0)
    """Share of the models that stay, if below 1; else their number."""


class EvaluateSpec(Section):
    """How answers are scored against expected values, and how many answers of packs are checked."""

    expected: Filled | None = None
    """Column that holds the expected value; rows where it is null are not scored."""
    metric: Literal["exact", "numeric", "contains", "json-subset"] = "exact"
    """exact: equal texts, apart from case and punctuation; numeric: equal numbers; contains: the answer contains the
    expected text; json-subset: the answer has every expected key with its value."""
    field: Filled | None = None
    """Dotted path of the value within the answer, such as items[0].name."""
    tolerance: float = Field(default=0.0, ge=0)
    """For the metric numeric: the largest difference at which two numbers count as equal."""
    pack_check: int = Field(default=0, ge=0)
    """Number of rows that the same model answers in a pack and alone, to see what packs do to the answers."""


class LimitsSpec(Section):
    """How many requests are sent, and how fast."""

    requests_per_minute: int | None = Field(default=None, ge=1)
    """Most requests in any 60 seconds; by default 20 on free routes and no limit on your own models."""
    requests_per_day: Annotated[int, Field(ge=1)] | Literal["auto"] | None = None
    """Most requests of a UTC day; auto takes what the service says; by default no limit on your own models."""
    reserve: int = Field(default=0, ge=0)
    """Requests of the day that this job leaves for other jobs."""
    concurrency: int = Field(default=8, ge=1, le=MAX_CONCURRENCY)
    """Requests in flight at once."""
    on_quota: Literal["stop", "wait"] = "stop"
    """What to do when the day's requests are spent: stop with exit code 75, or wait until the next day."""


class RetrySpec(Section):
    """How often and how long a run tries."""

    max_attempts: int = Field(default=5, ge=1)
    """Most attempts for a row in one run."""
    timeout: float = Field(default=120, gt=0)
    """Most seconds for one whole request."""
    max_wait: float = Field(default=60, ge=0)
    """Most seconds of waiting between two attempts."""


class OutputSpec(Section):
    """Where the table is written."""

    path: Path
    """Path of the table; its suffix names the format: .parquet, .jsonl, .csv, .arrow or .openai.jsonl. A path that ends
    in / is a folder with a Parquet file for each part of the job."""
    prefix: str = ""
    """Put before the names of batchfree's columns, if the input has columns of the same names."""

    @property
    def folder(self) -> Path | None:
        """The folder of an output in parts; None for a single file. `path` is then a whole run's file in it."""
        return self.path.parent if self.path.name == WHOLE.file else None


class EndpointSpec(Section):
    """The service to ask."""

    base_url: Filled = DEFAULT_BASE_URL
    """URL of an API like OpenRouter's or OpenAI's; embedded: the emulated service; llama: a model on this machine."""
    api_key_env: str = Field(default=KEY_VARIABLE, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Name of the environment variable that holds the API key; the key itself is never written into a job."""
    account: Filled | None = None
    """Name of the account, so that several keys of one account share one quota ledger."""
    llama: Filled | None = None
    """Path of a .gguf file that llama.cpp runs on this machine, instead of a base_url."""
    context: int | None = Field(default=None, ge=256)
    """Context of the model that llama.cpp runs, in tokens; by default 8192, or less if the model has less."""
    threads: int | None = Field(default=None, ge=1)
    """Threads of llama.cpp; by default half of the processor's cores."""

    @property
    def embedded(self) -> bool:
        """Whether the service is the emulated one inside this process."""
        return self.base_url == EMBEDDED

    @property
    def is_llama(self) -> bool:
        """Whether llama.cpp runs the model on this machine, beside batchfree."""
        return self.base_url == LLAMA

    @property
    def is_own(self) -> bool:
        """Whether the service is a server of the user's own."""
        return self.base_url not in WORDS and not self.is_openrouter

    @property
    def is_openrouter(self) -> bool:
        """Whether the host is OpenRouter's own."""
        return is_openrouter(self.base_url)


class ExecutorSpec(Section):
    """Where the job runs: in this process, or in parts on Ray."""

    name: Literal["local", "ray"] = "local"
    """local: in one process on this machine; ray: in parts, as tasks of a Ray cluster."""
    parts: Annotated[int, Field(ge=1, le=MOST_PARTS)] | None = None
    """With ray: number of parts; by default as many as the cluster runs at a time."""
    cpus: float = Field(default=1, gt=0)
    """With ray: cores that Ray counts for one part."""


class JobSpec(Section):
    """A batchfree job: the rows, the question for each of them, the models to ask, and the table."""

    name: Filled
    """Name of the job and of its run folder; by default the job file's name without its suffix."""
    run_dir: Path
    """Folder of the journal; by default <folder of output.path>/<name>.run."""
    input: Annotated[InputSpec, AlsoAccepts(ONE_TEXT, {"type": "array", "items": ONE_TEXT, "minItems": 1})]
    """The rows: a path, a list of paths, or a mapping."""
    prompt: Filled | None = None
    """Jinja template over the columns of a row; by default "{{ prompt }}" if there are no messages either."""
    messages: Annotated[tuple[Annotated[JsonObject, AsWritten(Message)], ...], Field(min_length=1)] | None = None
    """Messages with templates, instead of a prompt; content is text or parts such as {type: image, image: …}."""
    system: str | None = None
    """Short form of a first system message."""
    answer: Annotated[AnswerSpec, AlsoAccepts(NOTHING)] = AnswerSpec()
    """How an answer is read and checked."""
    request: Annotated[JsonObject, AsWritten(RequestParameters), AlsoAccepts(NOTHING)] = Field(default_factory=dict)
    """Parameters that are passed on, under OpenAI's names: temperature, max_tokens, stop, tools, reasoning, …"""
    router: Annotated[RouterSpec, AlsoAccepts(NOTHING)] = RouterSpec()
    """The models to ask."""
    pack: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    """Rows per request, or auto; more than one needs answer.labels or answer.schema."""
    votes: Annotated[VotesSpec, AlsoAccepts({"type": "integer", "minimum": 1, "maximum": MOST_VOTES - 2}, NOTHING)] = (
        VotesSpec()
    )
    """Answers per row, each from another model: a mapping, or a number N for {min: N, max: N + 2, agree: 1}."""
    pilot: PilotSpec | None = None
    """The first rows go to every eligible model, and the better models answer the rest."""
    consensus: Literal["dawid-skene", "majority"] = "dawid-skene"
    """How votes become the answer."""
    evaluate: EvaluateSpec | None = None
    """Scores the answers against a column of expected values."""
    limits: Annotated[LimitsSpec, AlsoAccepts(NOTHING)] = LimitsSpec()
    """How many requests are sent, and how fast."""
    retry: Annotated[RetrySpec, AlsoAccepts(NOTHING)] = RetrySpec()
    """How often and how long a run tries."""
    output: Annotated[OutputSpec, AlsoAccepts(ONE_TEXT, NOTHING)]
    """The table: a path or a mapping; by default <name>.parquet beside the job file."""
    endpoint: Annotated[EndpointSpec, AlsoAccepts(ONE_TEXT, NOTHING)] = EndpointSpec()
    """The service to ask: a URL, embedded, llama, or a mapping."""
    executor: Annotated[ExecutorSpec, AlsoAccepts(ONE_TEXT, NOTHING)] = ExecutorSpec()
    """Where the job runs: local, ray, or a mapping."""

    _sources: tuple[Path, ...] = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        self._sources = context

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files that the spec was read from, as absolute paths: the job file, and the file of `answer.schema`."""
        return self._sources

    @property
    def file(self) -> Path:
        """The job file, absolute."""
        return self._sources[0]

    @property
    def folder(self) -> Path:
        """The job file's folder, at which relative paths start."""
        return self.file.parent

    @property
    def asks_votes(self) -> bool:
        """Whether rows may get more than one answer."""
        return self.votes.max > 1 or self.pilot is not None

    @property
    def expected(self) -> str | None:
        """The column of expected values; None if answers are not scored."""
        return None if self.evaluate is None else self.evaluate.expected

    @property
    def pack_checks(self) -> int:
        """Number of rows answered in packs that are also asked alone."""
        return 0 if self.evaluate is None else self.evaluate.pack_check

    def resolved(self) -> JsonObject:
        """The whole job as plain JSON data. A job holds no secrets."""
        return self.model_dump(mode="json", by_alias=True)
