"""Mistakes on the command line, help and completion."""

from __future__ import annotations

import re
import shlex

import pytest
from support.command_line import JobHere, command

from batchfree.cli.command_group import COMPLETION_VARIABLE, SHELLS
from batchfree.cli.commands import command_line

ARGUMENTS = {
    "rum job.yaml": "no such command 'rum'; did you mean 'run'? See `batchfree --help`",
    "--verson": "no such option '--verson'; did you mean '--version'? See `batchfree --help`",
    "run": "missing argument 'JOB'; see `batchfree run --help`",
    "run a.yaml b.yaml": "got unexpected extra argument (b.yaml)",
    "run a.yaml --limit": "option '--limit' requires an argument; see `batchfree run --help`",
    "run a.yaml --retry-faild": "no such option '--retry-faild'; did you mean '--retry-failed'?",
    "run a.yaml --lim 3": "no such option '--lim'; did you mean '--limit'?",  # an abbreviation is no promise
    "run a.yaml -n 0": "-n/--limit: must be at least 1, got 0",
    "run a.yaml -n many": "-n/--limit: expected a whole number, got 'many'",
    "run a.yaml --fail-threshold 200%": "--fail-threshold: must be between 0% and 100%, got 200%",
    "run a.yaml --fail-threshold nan%": "--fail-threshold: must be between 0% and 100%, got nan%",
    "run a.yaml --fail-threshold 0.05": "expected a percentage with its sign, such as 5%, got '0.05'; did you mean 5%?",
    "run a.yaml --fail-threshold 5": "expected a percentage with its sign, such as 5%, got '5'; did you mean 5%?",
    "run a.yaml --fail-threshold 1": "expected a percentage with its sign, such as 5%, got '1'; see",
    "run a.yaml --fail-threshold few": "--fail-threshold: expected a percentage such as 5%, got 'few'",
    "help rum": "no such command 'rum'; did you mean 'run'?",
    "run a.yaml --on-quota sleep": "--on-quota: 'sleep' is not one of 'stop', 'wait'",
    "run a.yaml -q -v": "-q and -v can't be used together",
    "run a.yaml": "a.yaml: there is no such file",
    "preview a.yaml -n x": "-n/--rows: expected a whole number, got 'x'",
    "emulate --port 99999": "--port: must be between 0 and 65535, got 99999",
    "models --requires telepathy --endpoint embedded": "--requires: unknown ability 'telepathy'",
    "models --endpoint nowhere": "--endpoint: endpoint.base_url: expected a URL",
    "models --endpoint http://openrouter.ai/api/v1": "--endpoint: endpoint.base_url: write https://: over http://",
    "quota --endpoint https://me:pw@openrouter.ai/api/v1": "a user name or a password",
    "quota --set a=b": "--set: this changes a job: name the job",
    "plan a.yaml --json": "a.yaml: there is no such file",
    "report a.yaml -o a.html": "a.yaml: there is no such file",
}


@pytest.mark.usefixtures("job", "no_network")
@pytest.mark.parametrize("line", ARGUMENTS)
def test_a_wrong_argument_is_explained_in_one_line(line: str) -> None:
    output = command(*line.split())
    assert (output.code, output.out, output.err.count("\n")) == (2, "", 1)
    assert output.err.startswith("error: ")
    assert ARGUMENTS[line] in output.err


OPTIONS = {
    ("--set", "limits.concurrency=0"): "--set: limits.concurrency: must be at least 1, got 0",
    ("--set", "limits.concurency=2"): "--set: limits.concurency: there is no such key",
    ("--set", "limits"): "`limits` is no override; write KEY=VALUE",
    ("--set", "input.id=nowhere"): "--set: input.id: no row has a column `nowhere`",
    ("--until", "25:00"): "--until: expected HH:MM, 90s, 15m, 2h or 1h30m, got '25:00'",
    ("--until", "soon"): "--until: expected HH:MM",
    ("--endpoint", "ftp://here"): "--endpoint: endpoint.base_url: expected a URL",
    ("--endpoint", "http://openrouter.ai/api/v1"): "--endpoint: endpoint.base_url: write https://: over http://",
    ("--env-file", "nowhere.env"): "nowhere.env: --env-file: can't be read: No such file",
    ("-o", "table.xlsx"): "--output: output.path: the suffix of the output names its format",
    ("-o", "rows.jsonl"): "--output: output.path: the table would be written over the input",
    ("-o", "there/../rows.jsonl"): "--output: output.path: the table would be written over the input",
    ("-o", "link.jsonl"): "--output: output.path: the table would be written over the input",
    ("-o", "job.run/journal.jsonl"): "--output: output.path: the table would be written over the job's own records",
    ("-o", "."): "--output: output.path: ",
}


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("option", OPTIONS)
def test_a_wrong_option_is_named_and_nothing_is_sent(
    job: JobHere, option: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (job.path / "there").mkdir()
    (job.path / "link.jsonl").symlink_to("rows.jsonl")
    before = (job.path / "rows.jsonl").read_bytes()
    monkeypatch.chdir(job.path)
    output = job("run", *option)
    assert (output.code, output.out) == (2, "")
    assert OPTIONS[option] in output.err
    assert job.created() == {"there", "link.jsonl"}
    assert (job.path / "rows.jsonl").read_bytes() == before


COMMANDS = list(command_line.commands)


def test_batchfree_alone_prints_the_help_and_ends_with_0() -> None:
    assert command() == command("--help") == command("-h")
    assert command().code == 0
    assert set(re.findall(r"^  (\w+)  ", command().out, re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_help_prints_what_the_option_prints(name: str) -> None:
    assert command("help", name) == command(name, "--help")
    assert command("help") == command("--help")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_ends_with_valid_examples(name: str) -> None:
    output = command(name, "--help")
    assert (output.code, output.err) == (0, "")
    assert output.out.startswith(f"Usage: batchfree {name}")
    shown = re.findall(r'^    (?:eval "\$\()?batchfree (.+)', output.out.partition("Examples:")[2], re.MULTILINE)
    assert shown
    for line in shown:
        first, *words = shlex.split(re.split(r"[>|)#]", line)[0])
        assert first == name
        with command_line.commands[name].make_context(name, words):  # raises click.UsageError if it is wrong
            pass


@pytest.mark.parametrize("shell", SHELLS)
def test_the_completion_script_of_every_shell_is_printed(shell: str) -> None:
    output = command("completion", shell)
    assert (output.code, output.err) == (0, "")
    assert f"{COMPLETION_VARIABLE}={shell}_complete" in output.out


@pytest.mark.parametrize(("words", "offered"), [
    (["batchfree", "st"], {"plain,status"}),
    (["batchfree", "help", "st"], {"plain,status"}),
    (["batchfree", "run", "--fr"], {"plain,--fresh"}),
    (["batchfree", "run", "--on-quota", ""], {"plain,stop", "plain,wait"}),
    (["batchfree", "run", "--endpoint", "e"], {"plain,embedded"}),
    (["batchfree", "run", "jobs/"], {"file,jobs/"}),
])  # fmt: skip
def test_the_shell_is_offered_what_fits(words: list[str], offered: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COMPLETION_VARIABLE, "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(words))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    assert set(command().out.split()) == offered
