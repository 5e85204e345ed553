"""What may stand under `messages`: OpenAI's messages, and batchfree's shorter parts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from batchfree.core.chat import Json
from batchfree.core.text import did_you_mean
from batchfree.jobspec.draft import shown
from batchfree.jobspec.rules.type_marks import Filled, Says, mistaken

Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]
FIRST_ROLES = ("system", "developer")
"""Roles of a first message that `system` would contradict."""


class OwnPart(BaseModel):
    """A part of a message in batchfree's own short form."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    cache_control: Json = None
    """Passed on: how a provider caches the prompt up to here."""


class TextPart(OwnPart):
    """Text."""

    type: Literal["text"]
    """text"""
    text: str
    """The text, a Jinja template."""


class ImagePart(OwnPart):
    """An image: a URL, a file, or the bytes in a column."""

    type: Literal["image"]
    """image"""
    image: Filled = ""
    """URL of the image, or its path relative to the job file; a Jinja template."""
    column: Filled = ""
    """Column that holds the bytes of the image."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = self.model_fields_set & {"image", "column"}
        if not sources:
            raise mistaken("a part of type image is written {type: image, image: …} or {type: image, column: NAME}")
        if len(sources) == 2:
            raise mistaken("an image comes from `image` or from `column`, not from both; leave one of them out")
        return self


class FilePart(OwnPart):
    """A file such as a PDF."""

    type: Literal["file"]
    """file"""
    file: Filled
    """URL of the file, or its path relative to the job file; a Jinja template."""


class AudioPart(OwnPart):
    """A sound."""

    type: Literal["audio"]
    """audio"""
    audio: Filled
    """URL of the sound, or its path relative to the job file; a Jinja template."""


class OpenAIPart(BaseModel):
    """A part in OpenAI's form, which is passed on as it is."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    type: Literal["file", "image_url", "input_audio", "video_url", "refusal"]
    """Type of the part. A key of the same name holds its content."""

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        if self.type not in (self.model_extra or {}):
            raise mistaken(f"a part of type {self.type} needs a key `{self.type}`")
        return self


_OWN: Mapping[str, type[BaseModel]] = MappingProxyType(
    {"text": TextPart, "image": ImagePart, "file": FilePart, "audio": AudioPart}
)
_TYPES = (*_OWN, *get_args(OpenAIPart.model_fields["type"].annotation)[1:])


def _tag(model: type[BaseModel]) -> str:
    return f"|{model.__name__}"


PART_MODELS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {_tag(model): model for model in _OWN.values()} | {_tag(OpenAIPart): OpenAIPart}
)
TAGS = frozenset({"|text", "|parts", *PART_MODELS})
"""Words that pydantic puts into the path of an error if a value may have several forms."""


def _with_known_type(part: Json) -> Json:
    """The part, if its type is known."""
    if not isinstance(part, dict):
        raise mistaken(f"a part is a mapping such as {{type: text, text: …}}, got {shown(part)}")
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        got = "no `type`" if "type" not in part else f"the type {shown(kind)}"
        raise mistaken(f"this part has {got}; expected one of {', '.join(_TYPES)}{did_you_mean(kind, _TYPES)}")
    return part


def _part_tag(part: Any) -> str:
    """The form of a part; `file` with a mapping is OpenAI's."""
    own = _OWN.get(part["type"])
    if own is None or (own is FilePart and isinstance(part.get("file"), dict)):
        return _tag(OpenAIPart)
    return _tag(own)


def _content_tag(content: Any) -> str:
    return "|parts" if isinstance(content, list) else "|text"


MessagePart: TypeAlias = Annotated[
    Annotated[TextPart, Tag(_tag(TextPart))]
    | Annotated[ImagePart, Tag(_tag(ImagePart))]
    | Annotated[FilePart, Tag(_tag(FilePart))]
    | Annotated[AudioPart, Tag(_tag(AudioPart))]
    | Annotated[OpenAIPart, Tag(_tag(OpenAIPart))],
    Discriminator(_part_tag),
    BeforeValidator(_with_known_type),
]

Content: TypeAlias = Annotated[
    Annotated[Annotated[str | None, Says("expected text or a list of parts")], Tag("|text")]
    | Annotated[list[MessagePart], Tag("|parts")],
    Discriminator(_content_tag),
]


class Message(BaseModel):
    """One message. Every text in it is a Jinja template."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    role: Role
    """Who speaks."""
    name: Json = None
    """Name of the speaker."""
    tool_calls: Json = None
    """Tool calls of the assistant, in OpenAI's form."""
    tool_call_id: Json = None
    """The tool call that a message of the role tool answers."""
    reasoning: Json = None
    """Reasoning of the assistant."""
    reasoning_details: Json = None
    """Reasoning of the assistant in the service's own form."""
    refusal: Json = None
    """Refusal of the assistant."""
    content: Content = Field(default=None, validate_default=True)
    """Text, or a list of parts; only a message with tool calls needs none."""

    @field_validator("content", mode="after")
    @classmethod
    def _says_something(cls, content: Json, info: ValidationInfo) -> Json:
        if content is None and not info.data.get("tool_calls"):
            raise mistaken("a message needs a `content`: text or a list of parts")
        if content == []:
            raise mistaken("an empty list says nothing; write text or at least one part")
        return content
