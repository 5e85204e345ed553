"""Ties pydantic's checks to the sentences of mistakes and to values that stay as they were written."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from batchfree.core.chat import Json

SENTENCE = "batchfree_sentence"
"""Pydantic's type of an error whose message is a whole sentence of ours."""


class Says:
    """Marks a type whose every error is said with one sentence."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(
            handler(source), custom_error_type=SENTENCE, custom_error_message=self.sentence
        )


class AsWritten:
    """Marks plain JSON that a model checks and that stays as it was written: `1` does not become `1.0`."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(
            _checked,
            handler.generate_schema(self.model),
            serialization=core_schema.plain_serializer_function_ser_schema(_same),
        )


def mistaken(sentence: str) -> PydanticCustomError:
    """The error of a validator that says a whole sentence."""
    return PydanticCustomError(SENTENCE, "{sentence}", {"sentence": sentence})


def _checked(value: Json, check: Any) -> Json:
    check(value)
    return value


def _same(value: Json) -> Json:
    return value
