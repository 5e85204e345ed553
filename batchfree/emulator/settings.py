"""The base class of all mappings in a scenario file: strict types, no unknown keys, mistakes in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Self, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ModelWrapValidatorHandler, Strict, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

Item = TypeVar("Item")
MistakePath: TypeAlias = tuple[str | int, ...]
EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "int_type": "a whole number",
    "model_type": "a mapping",
    "string_type": "text",
    "tuple_type": "a list",
}


class Settings(BaseModel):
    """One mapping of a scenario file; null stands for an empty mapping.

    A wrong mapping raises pydantic's ValidationError, whose messages can be shown as they are.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, arbitrary_types_allowed=True)

    @model_validator(mode="wrap")
    @classmethod
    def _in_plain_words(cls, value: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return validate({} if value is None else value)
        except ValidationError as error:
            keys = [field.alias or name for name, field in cls.model_fields.items()]
            found = [(line["loc"], _message(line, keys)) for line in error.errors(include_url=False)]
            raise mistakes(*found) from None


def mistakes(*found: tuple[MistakePath, str]) -> ValidationError:
    """The error to raise in a validator for mistakes at these keys below the validated mapping."""
    lines = [
        InitErrorDetails(type=PydanticCustomError("mistake", "{text}", {"text": text}), loc=path, input=None)
        for path, text in found
    ]
    return ValidationError.from_exception_data("scenario", lines)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: "; did you mean 'limits'?". Empty if no known word is similar."""
    close = get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _message(line: Mapping[str, Any], keys: list[str]) -> str:
    """What is wrong, for one line of a ValidationError; `keys` are the known keys of the mapping."""
    kind, context = line["type"], line.get("ctx") or {}
    match kind:
        case "extra_forbidden":
            return f"is unknown{did_you_mean(str(line['loc'][-1]), keys)}"
        case "missing":
            return "is missing"
        case "literal_error":
            options = str(context["expected"]).replace("'", "").replace(" or ", ", ")
            return f"expected one of {options}; got {line['input']!r}"
        case "value_error":
            return str(context["error"])
        case "greater_than_equal":
            return f"expected at least {context['ge']:g}, got {line['input']!r}"
        case "less_than_equal":
            return f"expected at most {context['le']:g}, got {line['input']!r}"
    return f"expected {EXPECTED[kind]}, got {line['input']!r}" if kind in EXPECTED else str(line["msg"])


def _nothing_is_empty(value: Any) -> Any:
    return () if value is None else value


def _one_is_a_list(value: Any) -> Any:
    listed = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(listed, list | tuple) or not all(isinstance(part, str) for part in listed):
        raise ValueError(f"expected text or a list of texts, got {value!r}")
    return listed


def _pattern(value: Any) -> Any:
    try:
        return re.compile(value, re.S) if isinstance(value, str) else value
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None


Listed = Annotated[tuple[Item, ...], Strict(False), BeforeValidator(_nothing_is_empty)]
"""A list; null stands for an empty one."""
TextList = Annotated[tuple[str, ...], Strict(False), BeforeValidator(_one_is_a_list)]
"""One text or a list of texts."""
Members = Annotated[dict[str, Any], BeforeValidator(lambda value: {} if value is None else value)]
"""A mapping that may hold anything."""
Pattern = Annotated[re.Pattern[str], BeforeValidator(_pattern)]
"""A regular expression, in which a dot also matches line ends."""
