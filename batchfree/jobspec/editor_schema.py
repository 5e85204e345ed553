"""The JSON Schema of a job file, for editors: `# yaml-language-server: $schema=…`."""

from __future__ import annotations

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core.core_schema import ModelSchema

from batchfree.core.chat import JsonObject
from batchfree.core.parameters import NEVER_SENT
from batchfree.core.routes import FREE_REQUESTS_PER_MINUTE
from batchfree.jobspec.defaults import SECTIONS
from batchfree.jobspec.key_docstrings import key_docstrings
from batchfree.jobspec.rules.chat_messages import PART_MODELS, Message
from batchfree.jobspec.rules.type_marks import NOTHING
from batchfree.jobspec.schema import AnswerSpec, JobSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
VARIABLE: JsonObject = {"type": "string", "pattern": r"^\$\{"}
OPTIONAL = ("name", "run_dir")
"""Keys that a spec always has, but a job file may leave out or leave empty."""
WITHOUT_VARIABLES = {AnswerSpec.__name__, Message.__name__, *(model.__name__ for model in PART_MODELS.values())}
"""Mappings whose texts may contain `${VAR}` without meaning a variable of the environment."""


class WithSentences(GenerateJsonSchema):
    """Pydantic's generator of JSON Schemas, with the docstring of each field as its description."""

    def model_schema(self, schema: ModelSchema) -> JsonObject:
        """The JSON Schema of one model."""
        generated = super().model_schema(schema)
        for key, sentence in key_docstrings(schema["cls"]).items():
            generated["properties"][key].setdefault("description", sentence)
        return generated


def json_schema() -> JsonObject:
    """A JSON Schema (draft 2020-12) of everything that may stand in a job file, with a sentence on every key."""
    schema = _plain(JobSpec.model_json_schema(by_alias=True, schema_generator=WithSentences))
    properties, parts = schema["properties"], schema["$defs"]
    for key in OPTIONAL:
        properties[key] = _or(properties[key], NOTHING)
    output = parts["OutputSpec"]
    output["properties"]["path"] = _or(output["properties"]["path"], NOTHING)
    del output["required"]
    schema["required"] = ["input"]
    for section in SECTIONS:
        properties[section].pop("default", None)
    properties["prompt"]["default"] = "{{ prompt }}"
    limits = parts["LimitsSpec"]["properties"]
    limits["requests_per_minute"]["default"] = FREE_REQUESTS_PER_MINUTE
    limits["requests_per_day"]["default"] = "auto"
    properties["pack"] = _or(properties["pack"], VARIABLE)
    for name, part in parts.items():
        if name not in WITHOUT_VARIABLES:
            part["properties"] = {key: _with_variable(value) for key, value in part["properties"].items()}
    parameters = parts["RequestParameters"]["properties"]
    parameters |= {name: {"not": {}, "description": f"Never sent: {why}."} for name, why in NEVER_SENT.items()}
    return {"$schema": DIALECT, "title": "batchfree job", **schema}


def _with_variable(schema: JsonObject) -> JsonObject:
    """Numbers and choices may also come from the environment; text may hold a variable anyway."""
    return schema if schema.get("type") == "string" and "enum" not in schema else _or(schema, VARIABLE)


def _or(schema: JsonObject, alternative: JsonObject) -> JsonObject:
    """A schema that allows both. Description and default stay at the top level."""
    about: JsonObject = {key: schema[key] for key in ("description", "default") if key in schema}
    form: JsonObject = {key: value for key, value in schema.items() if key not in about}
    forms = form["anyOf"] if set(form) == {"anyOf"} else [form]
    return {"anyOf": [*forms, alternative], **about}


def _plain(schema: JsonObject) -> JsonObject:
    """The schema without pydantic's titles and formats. Forms of one value may overlap, so `oneOf` becomes `anyOf`."""
    plain: JsonObject = {}
    for key, value in schema.items():
        if key in ("title", "format") and isinstance(value, str):
            continue
        if isinstance(value, dict):
            value = _plain(value)
        elif isinstance(value, list):
            value = [_plain(each) if isinstance(each, dict) else each for each in value]
        plain["anyOf" if key == "oneOf" else key] = value
    return plain
