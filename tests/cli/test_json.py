"""Every `--json` prints one JSON value to stdout and nothing else, whatever the command has to say."""

from __future__ import annotations

import click
import pytest
from support.command_line import ROWS, JobHere, command

from batchfree.cli.commands import command_line

SERVERS = {"emulate", "serve"}
COMMANDS = {
    name: [each.name for each in command.params if isinstance(each, click.Argument)]
    for name, command in command_line.commands.items()
    if any("--json" in each.opts for each in command.params) and name not in SERVERS
}
WITHOUT_VALUE = {"completion", "help", "init"}
"""What these print is for people or for a shell."""


def test_every_command_with_a_result_has_the_option() -> None:
    assert set(command_line.commands) - set(COMMANDS) == WITHOUT_VALUE | SERVERS


def printed(job: JobHere, name: str, *options: object) -> object:
    """The JSON value that a command prints; stdout holds nothing else."""
    arguments = [job.file] if "job" in COMMANDS[name] else []
    output = command(name, *arguments, "--json", *options)
    assert output.code in (0, 1), output.err
    return output.json  # raises an error if stdout is not one value


@pytest.mark.parametrize("name", COMMANDS)
def test_stdout_is_one_value_before_a_run_and_after_it(job: JobHere, name: str) -> None:
    """The rows bring warnings and failures, and the run shows its progress."""
    job.rows(*ROWS, {"id": "d", "prompt": None}, {"id": "e", "prompt": "\x1b[31mred\x1b[0m ü \u2028 \u202e"})
    (job.path / "empty.jsonl").write_text("")
    job.spec(input={"path": ["rows.jsonl", "empty.jsonl"]}, evaluate={"expected": "lang"}, votes=2)
    assert isinstance(printed(job, name), dict | list)
    job("run", "-q")
    assert isinstance(printed(job, name), dict | list)
    if name == "run":
        assert isinstance(printed(job, name, "-v", "--progress", "bar", "--fresh"), dict)


def test_mistakes_are_a_value_too(job: JobHere) -> None:
    job.file.write_text("input: [rows.jsonl\n")
    output = job("validate", "--json")
    assert (output.code, output.json["ok"], output.err) == (2, False, "")
