"""Every command and option, and nothing that is slow to import."""

from __future__ import annotations

import argparse
from pathlib import Path

from batchfree.cli.argument_types import Command, Parser, per_cent, port, positive
from batchfree.core.version import __version__

EPILOG = """exit codes:
  0   every row is answered (or as many as --limit asked for)
  1   finished, and some rows failed for good
  2   usage, spec or input is wrong; nothing was sent
  3   cannot go on without a person: key, credits, a charge, privacy setting, no model, full disk
  70  a bug in batchfree
  75  rows are pending and nothing is lost: run again later
  130, 143  interrupted, after the answers in flight were recorded
"""


NOT_BUILT = ("plan", "report")
"""Commands that this version refuses with a sentence."""


def parser() -> Parser:
    """The parser of the whole command line."""
    top = Parser(
        prog="batchfree",
        description="Run whole datasets through free language models.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.hidden = NOT_BUILT
    top.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Command)
    _run(_command(commands, "run", "run_command:run", "answer what is not answered yet, then write the table"))
    _preview(_command(commands, "preview", "job_commands:preview", "print the request bodies of the first rows"))
    _job(_command(commands, "validate", "job_commands:validate", "check spec, input and templates; send nothing"))
    _job(_command(commands, "status", "job_commands:status", "how far the job is, also while a run is going"))
    _export(_command(commands, "export", "job_commands:export", "write the table as it stands"))
    _models(
        _command(commands, "models", "service_commands:models", "the free models now on offer, and why not the others")
    )
    _service(_command(commands, "quota", "service_commands:quota", "requests left this minute and this UTC day"))
    init = _command(commands, "init", "setup_commands:init", "write a commented starter job with sample data")
    init.add_argument("directory", nargs="?", default=".", type=Path, metavar="DIR")
    schema = _command(commands, "schema", "setup_commands:schema", "print the JSON Schema of the job spec, for editors")
    schema.add_argument("--json", action="store_true", help="the same: it is JSON in any case")
    _emulate(
        _command(
            commands, "emulate", "setup_commands:emulate", "serve the emulated OpenRouter on loopback", add_help=False
        )
    )
    for name in NOT_BUILT:
        late = commands.add_parser(name, description="Not built yet in this version.")
        late.takes_anything = True
        late.set_defaults(does="setup_commands:not_built", name=name)
    return top


class _Handbook(argparse.Action):
    """The help of `emulate`, with everything that a scenario can say; too much to load for every command."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from batchfree.emulator.scenario.handbook import handbook

        print(f"{parser.format_help()}\n{handbook()}")  # noqa: T201
        parser.exit()


class _Version(argparse.Action):
    """Prints the version on stdout."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"batchfree {__version__}")  # noqa: T201
        parser.exit()


def _command(
    commands: argparse._SubParsersAction[Command],
    name: str,
    does: str,
    help: str,
    *,
    add_help: bool = True,
) -> Command:
    description = help[0].upper() + help[1:] + "."
    command = commands.add_parser(name, help=help, description=description, add_help=add_help, allow_abbrev=False)
    command.set_defaults(does=does)
    return command


def _spec(command: argparse.ArgumentParser) -> None:
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a spec key, dotted")
    command.add_argument("--env-file", type=Path, metavar="PATH", help="take variables from this file, too")
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def _job(command: argparse.ArgumentParser) -> None:
    command.add_argument("job", type=Path, metavar="JOB", help="the job spec, a YAML file")
    _spec(command)


def _service(command: argparse.ArgumentParser) -> None:
    command.add_argument("job", type=Path, nargs="?", metavar="JOB", help="take endpoint and account from this job")
    command.add_argument("--endpoint", metavar="URL|embedded", help="the service to ask")
    _spec(command)


def _run(command: argparse.ArgumentParser) -> None:
    _job(command)
    add = command.add_argument
    add("-n", "--limit", type=positive, metavar="N", help="answer at most N rows in this run")
    add("-o", "--output", type=Path, metavar="PATH", help="write the table here instead")
    add("--retry-failed", action="store_true", help="ask failed rows again, too")
    add("--fail-threshold", type=per_cent, default=0.0, metavar="N%", help="rows that may fail without exit code 1")
    add("--fresh", action="store_true", help="set earlier progress aside, under another name")
    add("--until", metavar="HH:MM|DURATION", help="stop at this local time, or after 90s, 15m, 2h, 1h30m")
    add("--on-quota", choices=["stop", "wait"], help="when the day's requests are gone")
    add("--endpoint", metavar="URL|embedded", help="send the requests there")
    add(
        "--progress",
        choices=["auto", "bar", "plain", "none"],
        default="auto",
        help="auto: a bar on a terminal, plain lines elsewhere",
    )
    how_much = command.add_mutually_exclusive_group()
    how_much.add_argument("-q", "--quiet", action="store_true", help="say errors and the reason of an early stop only")
    how_much.add_argument("-v", "--verbose", action="store_true", help="say what happens to every request")


def _preview(command: argparse.ArgumentParser) -> None:
    _job(command)
    command.add_argument("-n", "--rows", type=positive, default=3, metavar="N", help="rows to show (default 3)")


def _export(command: argparse.ArgumentParser) -> None:
    _job(command)
    command.add_argument("-o", "--output", type=Path, metavar="PATH", help="the suffix names the format")


def _models(command: argparse.ArgumentParser) -> None:
    _service(command)
    command.add_argument(
        "--requires", default="", metavar="ABILITY,…", help="vision, audio, tools, structured_outputs, json, reasoning"
    )


def _emulate(command: argparse.ArgumentParser) -> None:
    command.add_argument("-h", "--help", action=_Handbook, nargs=0, help="say this, and what a scenario can say")
    command.add_argument("--port", type=port, default=8765, metavar="N", help="0 takes any free port")
    command.add_argument("--scenario", metavar="FILE", help="a scenario file, or the name of one that is built in")
    command.add_argument("--book", type=Path, metavar="FILE", help="append one JSON line per request to this file")
