"""The command line. Messages for a person go to stderr; results and `--json` go to stdout.

Imports: core, jobspec, data, service, run, job, report, emulator.
Pure: none.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

import click

from batchfree.cli.commands import COMPLETION_VARIABLE, PROGRAM, command_line
from batchfree.cli.terminal import report_bug, say, usage_message
from batchfree.core.stops import BUG, INTERRUPTED, OK, USAGE


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code. `argv` holds the words after `batchfree`; default: `sys.argv`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a character that the terminal can't show must not end a run
    try:
        return _run_command(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter complains when it exits
        return OK
    except Exception:  # noqa: BLE001 - the one place where a person sees a bug in batchfree
        report_bug()
        return BUG


def _run_command(words: Sequence[str]) -> int:
    if instruction := os.environ.get(COMPLETION_VARIABLE):
        from click.shell_completion import shell_complete

        return shell_complete(command_line, {}, PROGRAM, COMPLETION_VARIABLE, instruction)
    try:
        with command_line.make_context(PROGRAM, list(words), obj=tuple(words)) as context:
            return int(command_line.invoke(context))
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        is_command = bool(words) and words[0] in command_line.commands
        say(usage_message(error, f"{PROGRAM} {words[0]}" if is_command else PROGRAM))
        return USAGE


__all__ = ["main"]
