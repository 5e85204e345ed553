"""The README names every command, option, spec key, column, kind of error and exit code, and none that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from batchfree.cli.commands import command_line
from batchfree.core.chat import Kind
from batchfree.core.consequences import CONSEQUENCES, Consequence
from batchfree.core.errors import SpecError
from batchfree.core.stops import BUG, EXIT_CODES, OK, ROWS_FAILED, USAGE
from batchfree.data.output.columns import COLUMNS
from batchfree.jobspec import json_schema, load_spec

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def marked(name: str) -> str:
    """The text between `<!-- name -->` and `<!-- /name -->`."""
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", README, re.DOTALL)
    assert found, f"the README has no part marked {name}"
    return found[1]


def fenced(text: str) -> str:
    """The content of the first code block in a text."""
    found = re.search(r"```\w*\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1]


def first_cells(table: str) -> list[str]:
    """The first column of a Markdown table without its heading."""
    return [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")][2:]


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## )", README, re.DOTALL | re.MULTILINE)
    assert found, f"the README has no section {title}"
    return found[1]


def not_built() -> set[str]:
    """The keys and commands that the README lists as not built yet."""
    found = re.search(r"\*\*Not built yet:\*\*(.*?)\n\n", README, re.DOTALL)
    assert found
    return set(re.findall(r"`(\w+)`", found[1]))


def options(command: click.Command) -> set[str]:
    return {option for each in command.params if isinstance(each, click.Option) for option in each.opts}


def test_every_command_is_in_the_table_and_no_other() -> None:
    named = {cell.strip("`").split()[0] for cell in first_cells(section("Commands").split("Options of")[0])}
    assert named == set(command_line.commands) - not_built()


def test_every_option_is_named_and_no_other() -> None:
    named = set(re.findall(r"(?<![\w-])(-[a-zA-Z]|--[a-z][a-z-]*)(?![\w-])", section("Commands")))
    there = {
        option for name, each in command_line.commands.items() if name not in not_built() for option in options(each)
    }
    assert named - {"-m", "--help"} == there  # Python's own, and the one that every command has


def test_the_table_of_options_is_that_of_run() -> None:
    table = section("Commands").split("Options of `run`:")[1]
    named = {option for cell in first_cells(table) for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", cell)}
    assert named == options(command_line.commands["run"])


def keys_of_schema(schema: Any, whole: Any, prefix: str = "") -> Iterator[str]:
    """The dotted keys that a JSON Schema lists by name."""
    if "$ref" in schema:
        *_, name = schema["$ref"].split("/")
        yield from keys_of_schema(whole["$defs"][name], whole, prefix)
    for each in [*schema.get("anyOf", []), *schema.get("oneOf", [])]:
        yield from keys_of_schema(each, whole, prefix)
    for key, value in schema.get("properties", {}).items():
        yield f"{prefix}{key}"
        yield from keys_of_schema(value, whole, f"{prefix}{key}.")


def leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of a YAML mapping, dotted, with its value."""
    for key, inner in value.items():
        yield f"{prefix}{key}", inner
        if isinstance(inner, dict):
            yield from leaves(inner, f"{prefix}{key}.")


def reference() -> dict[str, Any]:
    return dict(leaves(yaml.safe_load(fenced(marked("spec")))))


def test_the_reference_has_every_key_of_the_spec_and_no_other() -> None:
    whole = json_schema()
    ours = {key for key in keys_of_schema(whole, whole) if not key.startswith("request.")}  # below it: OpenAI's names
    assert set(reference()) == ours - not_built()


def test_the_reference_shows_the_defaults(tmp_path: Path) -> None:
    """A job with every key as the reference shows it is the job with `input` and `output` alone."""
    full, short = tmp_path / "jobs" / "full.yaml", tmp_path / "jobs" / "short.yaml"
    full.parent.mkdir()
    full.write_text(fenced(marked("spec")), encoding="utf-8")
    shown = reference()
    short.write_text(
        f"name: full\ninput: {shown['input.path']}\nprompt: '{shown['prompt']}'\noutput: {shown['output.path']}\n",
        encoding="utf-8",
    )
    assert load_spec(full, environment={}).resolved() == load_spec(short, environment={}).resolved()


@pytest.mark.parametrize("key", sorted(not_built() - set(command_line.commands) - {"plan", "report"}))
def test_a_key_that_is_still_to_come_is_refused_with_a_sentence(tmp_path: Path, key: str) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(f"input: rows.jsonl\n{key}: 3\n", encoding="utf-8")
    with pytest.raises(SpecError, match="does not have"):
        load_spec(job, environment={})


def test_the_first_screens_job_is_the_quickstart() -> None:
    shipped = (ROOT / "jobs" / "quickstart.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(fenced(README)) == yaml.safe_load(shipped)


def test_every_job_is_named() -> None:
    jobs = {path.stem for path in (ROOT / "jobs").glob("*.yaml")}
    named = re.search(r"The jobs in `jobs/` show one thing each:(.*?)\n\n", README, re.DOTALL)
    assert named
    assert set(re.findall(r"`([\w-]+)`", named[1])) == jobs


def test_every_exit_code_is_explained_and_no_other() -> None:
    codes = {OK, ROWS_FAILED, USAGE, BUG, *EXIT_CODES.values()}
    assert {int(cell) for cell in first_cells(marked("codes"))} == codes
    told_by_help = re.findall(r"\b\d+\b", (command_line.epilog or "").replace(",", " "))
    assert set(map(int, told_by_help)) == codes


def test_the_two_commands_are_one_line_each() -> None:
    assert len(fenced(marked("run")).splitlines()) == len(fenced(marked("tests")).splitlines()) == 1


def test_every_column_is_explained_and_no_other() -> None:
    assert [cell.strip("`") for cell in first_cells(marked("columns"))] == [column.name for column in COLUMNS]


def test_every_kind_of_error_is_explained_and_no_other() -> None:
    nobodys = {Consequence.ACCOUNT, Consequence.PERSON}
    rows = {str(kind) for kind in Kind if kind in CONSEQUENCES and CONSEQUENCES[kind] not in nobodys}
    assert {cell.strip("`") for cell in first_cells(marked("kinds"))} == rows - {str(Kind.TIED)}


def test_what_follows_an_error_is_told_as_it_is() -> None:
    told = {
        Consequence.REJECT: ("the row fails at once",),
        Consequence.ANOTHER_ANSWER: ("as `bad_answer`", "another model; the row fails after"),
        Consequence.ANOTHER_MODEL: ("as `model_unavailable`", "another model; the row stays pending"),
    }
    for line in marked("kinds").splitlines()[2:]:
        _, kind, _, then, _ = (cell.strip() for cell in line.split("|"))
        assert then.startswith(told[CONSEQUENCES[Kind(kind.strip("`"))]]), kind


def test_the_links_within_the_page_lead_somewhere() -> None:
    heads = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
    assert set(re.findall(r"\]\(#([\w-]+)\)", README)) - anchors == set()
