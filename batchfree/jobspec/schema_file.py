"""The file that `answer.schema` names."""

from __future__ import annotations

import json
from pathlib import Path

from batchfree.core.chat import Json, JsonObject
from batchfree.core.errors import Mistake
from batchfree.core.text import KeyPath
from batchfree.jobspec.defaults import absolute
from batchfree.jobspec.draft import Draft, shape
from batchfree.jobspec.spec_files import home, read_text
from batchfree.jobspec.yaml.parse import ParsedYaml, parse_yaml

PATH: KeyPath = ("answer", "schema")


def load_answer_schema(draft: Draft, folder: Path) -> None:
    """Replaces the path of a schema file by its schema, and checks the schema. Relative paths start at `folder`."""
    named = draft.get(*PATH)
    if named is None:
        return
    from batchfree.jobspec.rules.answer_schema import schema_findings  # jsonschema is loaded only for a schema

    if isinstance(named, str):
        file = Path(absolute(named, folder, home()))
        draft.sources.append(file)
        schema = _read(draft, file)
        draft.put(PATH, schema)
        for finding in [] if schema is None else schema_findings(schema):
            place = ".".join(map(str, finding.path)) or "its top"
            draft.blame(PATH, f"in {file.name}, at {place}: {finding.message}")
    elif isinstance(named, dict):
        for finding in schema_findings(named):
            draft.blame((*PATH, *finding.path), finding.message)
    else:
        draft.blame(PATH, f"expected a JSON Schema (a mapping) or the path of one, got {draft.shown(PATH, named)}")
        draft.put(PATH, None)


def _read(draft: Draft, file: Path) -> JsonObject | None:
    """The schema in a JSON or YAML file; None if a mistake was found."""
    text = read_text(file, str(file))
    if isinstance(text, Mistake):
        draft.blame(PATH, f"the schema file {file}: {text.message}")
        return None
    parser = parse_yaml if file.suffix in (".yaml", ".yml") else _parse_json
    parsed = parser(text, str(file))
    for mistake in parsed.mistakes:
        draft.accept(mistake, PATH)
    if not parsed.mistakes and not isinstance(parsed.data, dict):
        draft.blame(PATH, f"{file.name} holds {shape(parsed.data)}, not a JSON Schema (a mapping)")
    return parsed.data if isinstance(parsed.data, dict) and not parsed.mistakes else None


def _parse_json(text: str, file: str) -> ParsedYaml:
    try:
        return ParsedYaml(data=json.loads(text, parse_constant=_refuse_constant))
    except json.JSONDecodeError as error:
        mistake = Mistake(file=file, line=error.lineno, message=f"this is not valid JSON: {error.msg}")
    except (ValueError, RecursionError):
        message = "this JSON is nested too deeply, or holds NaN, Infinity or a number that is too long"
        mistake = Mistake(file=file, message=message)
    return ParsedYaml(mistakes=(mistake,))


def _refuse_constant(name: str) -> Json:
    raise ValueError(name)
