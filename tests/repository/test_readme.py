"""The README and its pages list exactly the commands, options, keys, columns, kinds of errors and codes that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from support.pages import DOCS, PAGES, README, ROOT, code_blocks, marked_part, section

from batchfree.cli.commands import command_line
from batchfree.core.chat import Kind
from batchfree.core.consequences import CONSEQUENCES, Consequence
from batchfree.core.stops import BUG, EXIT_CODES, OK, ROWS_FAILED, USAGE
from batchfree.core.version import __version__
from batchfree.data.output.columns import COLUMNS, SCORE_COLUMNS, VOTE_COLUMNS
from batchfree.jobspec import load_spec
from batchfree.jobspec.editor_schema import json_schema


def first_code_block(text: str) -> str:
    """The content of the first code block in a text."""
    found = re.search(r"```\w*\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1]


def first_cells(table: str) -> list[str]:
    """The first column of a Markdown table without its heading."""
    return [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")][2:]


def options_of(command: click.Command) -> set[str]:
    return {option for each in command.params if isinstance(each, click.Option) for option in each.opts}


def test_every_command_is_in_the_table_and_no_other() -> None:
    listed = {cell.strip("`").split()[0] for cell in first_cells(section("Commands").split("Options of")[0])}
    assert listed == set(command_line.commands)


def test_every_option_is_named_and_no_other() -> None:
    listed = set(re.findall(r"(?<![\w-])(-[a-zA-Z]|--[a-z][a-z-]*)(?![\w-])", section("Commands")))
    existing = {option for name, each in command_line.commands.items() for option in options_of(each)}
    assert listed - {"-m", "--help"} == existing  # an option of Python, and one that every command has


def test_the_table_of_options_is_that_of_run() -> None:
    table = section("Commands").split("Options of `run`:")[1]
    listed = {option for cell in first_cells(table) for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", cell)}
    assert listed == options_of(command_line.commands["run"])


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


def dotted_values(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every dotted key of a YAML mapping, with its value."""
    for key, inner in value.items():
        yield f"{prefix}{key}", inner
        if isinstance(inner, dict):
            yield from dotted_values(inner, f"{prefix}{key}.")


def values_of_reference() -> dict[str, Any]:
    return dict(dotted_values(yaml.safe_load(first_code_block(marked_part("spec")))))


def test_the_reference_has_every_key_of_the_spec_and_no_other() -> None:
    whole = json_schema()
    ours = {key for key in keys_of_schema(whole, whole) if not key.startswith("request.")}  # below it: OpenAI's names
    in_comments = {key for key in ours if key.startswith(("pilot.", "evaluate."))}
    assert set(values_of_reference()) == ours - in_comments
    lines = {line.split(":")[0]: line for line in first_code_block(marked_part("spec")).splitlines()}
    for key in in_comments:
        section_name, _, name = key.partition(".")
        assert f"{name}:" in lines[section_name], key


def test_the_reference_shows_the_defaults(tmp_path: Path) -> None:
    """A job file with every key of the reference means the same as one with only name, input, prompt and output."""
    full, short = tmp_path / "jobs" / "full.yaml", tmp_path / "jobs" / "short.yaml"
    full.parent.mkdir()
    full.write_text(first_code_block(marked_part("spec")), encoding="utf-8")
    shown = values_of_reference()
    short.write_text(
        f"name: full\ninput: {shown['input.path']}\nprompt: '{shown['prompt']}'\noutput: {shown['output.path']}\n",
        encoding="utf-8",
    )
    assert load_spec(full, environment={}).resolved() == load_spec(short, environment={}).resolved()


def test_the_first_screens_job_is_the_quickstart() -> None:
    shipped = (ROOT / "jobs" / "quickstart.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(first_code_block(README)) == yaml.safe_load(shipped)


def test_every_job_is_named() -> None:
    jobs = {path.stem for path in (ROOT / "jobs").glob("*.yaml")}
    listed = re.search(r"The jobs in `jobs/` show one thing each:(.*?)\n\n", README, re.DOTALL)
    assert listed
    assert set(re.findall(r"`([\w-]+)`", listed[1])) == jobs


def test_every_exit_code_is_explained_and_no_other() -> None:
    codes = {OK, ROWS_FAILED, USAGE, BUG, *EXIT_CODES.values()}
    assert {int(cell) for cell in first_cells(marked_part("codes"))} == codes
    told_by_help = re.findall(r"\b\d+\b", (command_line.epilog or "").replace(",", " "))
    assert set(map(int, told_by_help)) == codes


def test_the_two_commands_are_one_line_each() -> None:
    for name in ("run", "tests"):
        assert len(first_code_block(marked_part(name)).splitlines()) == 1


def test_every_column_is_explained_and_no_other() -> None:
    assert [cell.strip("`") for cell in first_cells(marked_part("columns"))] == [
        column.name for column in (*COLUMNS, *VOTE_COLUMNS, *SCORE_COLUMNS)
    ]


def test_every_kind_of_error_is_explained_and_no_other() -> None:
    nobodys = {Consequence.ACCOUNT, Consequence.PERSON}
    rows = {str(kind) for kind in Kind if kind in CONSEQUENCES and CONSEQUENCES[kind] not in nobodys}
    assert {cell.strip("`") for cell in first_cells(marked_part("kinds"))} == rows


def test_what_follows_an_error_is_told_as_it_is() -> None:
    told = {
        Consequence.REJECT: ("the row fails at once",),
        Consequence.ANOTHER_ANSWER: ("as `bad_answer`", "another model; the row fails after"),
        Consequence.ANOTHER_MODEL: ("as `model_unavailable`", "another model; the row stays pending"),
    }
    for line in marked_part("kinds").splitlines()[2:]:
        _, kind, _, then, _ = (cell.strip() for cell in line.split("|"))
        assert then.startswith(told[CONSEQUENCES[Kind(kind.strip("`"))]]), kind


def test_the_changelog_begins_with_the_version_of_the_package() -> None:
    versions = re.findall(r"^### (\S+) — (\S+)$", section("Changelog"), re.MULTILINE)
    dates = [date.fromisoformat(each) for _, each in versions]
    assert versions[0][0] == __version__
    assert dates == sorted(dates, reverse=True)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_the_pages_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", PAGES[page]):
        file, _, anchor = target.partition("#")
        if file.startswith("https://"):
            continue
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(PAGES[there]), target


def test_the_readme_leads_to_every_page() -> None:
    for page in DOCS:
        assert f"({page.relative_to(ROOT)})" in README


def test_the_lines_for_every_server_make_a_job_on_an_endpoint_of_ones_own(tmp_path: Path) -> None:
    job, *servers = code_blocks("yaml", section("Your own endpoint"))
    assert len(servers) >= 5
    for server in servers:
        file = tmp_path / "mine.yaml"
        file.write_text(job + server, encoding="utf-8")
        assert load_spec(file, environment={}).endpoint.is_own, server


def test_the_licences_are_linked_and_not_quoted() -> None:
    *_, licence = re.split(r"^## ", README, flags=re.MULTILINE)
    assert licence.startswith("Licence\n")
    assert len(licence.splitlines()) < 8
