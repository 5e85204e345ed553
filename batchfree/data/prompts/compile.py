"""The prompts of a job, compiled once: they turn a row into its request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batchfree.core.chat import ChatRequest, Failure, Json, JsonObject, Kind
from batchfree.core.errors import Mistake, SpecError
from batchfree.core.formats import OPENAI_BATCH
from batchfree.core.parameters import DECIDED_HERE
from batchfree.core.text import KeyPath, dotted
from batchfree.data.openai_batch import BODY
from batchfree.data.prompts.message_compiler import MessageCompiler, Row
from batchfree.data.prompts.row_messages import body_in, check_messages, messages_in, parameters_in
from batchfree.data.prompts.sandbox import sandbox
from batchfree.data.prompts.template import UnrenderableError
from batchfree.jobspec.spec_files import line_of

if TYPE_CHECKING:
    import polars as pl

    from batchfree.jobspec import JobSpec

MESSAGES = "messages"
DEFAULT_PROMPT = "{{ prompt }}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """Compiled prompts; `compile_prompts` makes them."""

    to_request: Callable[[Row], ChatRequest]
    columns: frozenset[str]
    """The columns that the prompts use."""
    from_rows: bool = False
    """Whether the messages stand in the rows; no template makes them."""

    def render(self, row: Mapping[str, Any]) -> ChatRequest | Failure:
        """The request of this row, or why the row can't be rendered."""
        try:
            return self.to_request(row)
        except UnrenderableError as error:
            return Failure(kind=Kind.RENDER, message=str(error))


def compile_prompts(spec: JobSpec, schema: pl.Schema, files: Sequence[str] = ()) -> Prompts:
    """Compiles every template and checks it against the columns. Raises SpecError with every mistake.

    An empty schema means that there are no rows; then any column may be named. `files` are the paths of the input.
    """
    mistakes: list[Mistake] = []

    def blame(path: KeyPath, message: str) -> None:
        mistakes.append(Mistake(message=message, file=str(spec.file), line=line_of(spec.file, path), key=dotted(path)))

    compiler = MessageCompiler(
        environment=sandbox(),
        schema=schema,
        folder=spec.folder,
        allowed=spec.input.files or (),
        blame=blame,
        files=files,
    )
    if spec.input.format == OPENAI_BATCH:
        if spec.prompt is not None or spec.messages is not None:
            key = "prompt" if spec.prompt is not None else MESSAGES
            blame((key,), "an openai-batch input brings its own messages; leave this key out")
        prompts = _from_bodies(spec, compiler)
    else:
        prompts = _from_templates(spec, compiler)
    if mistakes:
        raise SpecError(mistakes)
    return prompts


def _from_templates(spec: JobSpec, compiler: MessageCompiler) -> Prompts:
    system = _system(spec, compiler)
    messages = _messages(spec, compiler)
    parameters = {key: value for key, value in spec.request.items() if key not in DECIDED_HERE}

    def to_request(row: Row) -> ChatRequest:
        rendered = messages(row) if system is None else [*system(row), *messages(row)]
        return ChatRequest(messages=_require_prompt(rendered), parameters=parameters)

    from_rows = spec.messages is None and spec.prompt is None and MESSAGES in compiler.schema
    return Prompts(to_request=to_request, columns=frozenset(compiler.used), from_rows=from_rows)


def _messages(spec: JobSpec, compiler: MessageCompiler) -> Callable[[Row], list[JsonObject]]:
    if spec.messages is not None:
        return compiler.compile_value(list(spec.messages), (MESSAGES,))
    if spec.prompt is None and MESSAGES in compiler.schema:
        compiler.used.add(MESSAGES)
        return lambda row: messages_in(row, MESSAGES)
    prompt = compiler.compile_text(DEFAULT_PROMPT if spec.prompt is None else spec.prompt, ("prompt",))
    return lambda row: [{"role": "user", "content": prompt(row)}]


def _from_bodies(spec: JobSpec, compiler: MessageCompiler) -> Prompts:
    compiler.used.add(BODY)
    system = _system(spec, compiler)

    def to_request(row: Row) -> ChatRequest:
        body = body_in(row)
        messages = check_messages(body.get(MESSAGES), "`body.messages`")
        rendered = messages if system is None else [*system(row), *messages]
        return ChatRequest(messages=_require_prompt(rendered), parameters={**spec.request, **parameters_in(body)})

    return Prompts(to_request=to_request, columns=frozenset(compiler.used), from_rows=True)


def _system(spec: JobSpec, compiler: MessageCompiler) -> Callable[[Row], list[JsonObject]] | None:
    """The system message from `system`; none if it renders to blanks. None without `system`."""
    if spec.system is None:
        return None
    text = compiler.compile_text(spec.system, ("system",))

    def render(row: Row) -> list[JsonObject]:
        content = text(row)
        return [{"role": "system", "content": content}] if content.strip() else []

    return render


def _require_prompt(messages: list[JsonObject]) -> tuple[JsonObject, ...]:
    """The messages, if the user's last one is not empty. Raises UnrenderableError."""
    for message in reversed(messages):
        if message["role"] == "user":
            if _is_blank(message.get("content")):
                raise UnrenderableError("the prompt is empty")
            break
    return tuple(messages)


def _is_blank(content: Json) -> bool:
    if isinstance(content, str):
        return not content or content.isspace()
    if not isinstance(content, list):
        return True
    return all(
        isinstance(part, dict) and part.get("type") == "text" and not str(part.get("text") or "").strip()
        for part in content
    )
