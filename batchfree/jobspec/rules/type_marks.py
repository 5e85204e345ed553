"""Marks on the types of the job spec, for pydantic and for the JSON Schema of editors."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from batchfree.core.chat import Json, JsonObject

SENTENCE = "batchfree_sentence"
"""Pydantic's type of an error whose message is a whole sentence of ours."""


class Says:
    """Marks a type. Every error of the type gets the same sentence."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(
            handler(source), custom_error_type=SENTENCE, custom_error_message=self.sentence
        )


class AsWritten:
    """Marks plain JSON. A model checks it, but the value stays as it was written: `1` does not become `1.0`."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(
            _checked,
            handler.generate_schema(self.model),
            serialization=core_schema.plain_serializer_function_ser_schema(_same),
        )


class AlsoAccepts:
    """Marks a key that a job file may also write in other forms. They are changed into the one form before checking."""

    def __init__(self, *forms: JsonObject) -> None:
        self.forms = forms

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        inner = handler(schema)
        alternatives = inner["anyOf"] if set(inner) == {"anyOf"} else [inner]
        return {"anyOf": [*alternatives, *self.forms]}


NOTHING: JsonObject = {"type": "null"}
ONE_TEXT: JsonObject = {"type": "string", "pattern": r"\S"}
Filled: TypeAlias = Annotated[str, Field(pattern=r"\S")]
"""Text that is not blank."""


def mistaken(sentence: str) -> PydanticCustomError:
    """The error of a validator, with a whole sentence."""
    return PydanticCustomError(SENTENCE, "{sentence}", {"sentence": sentence})


def _checked(value: Json, check: Any) -> Json:
    check(value)
    return value


def _same(value: Json) -> Json:
    return value
