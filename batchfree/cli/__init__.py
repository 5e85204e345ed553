"""The command line. Messages for a person go to stderr; results and `--json` go to stdout.

Imports: core, jobspec, data, service, run, job, report, executors, gateway, emulator.
Pure: none.
"""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from batchfree.cli.command_group import COMPLETION_VARIABLE, PROGRAM
from batchfree.cli.commands import command_line
from batchfree.cli.error_messages import report_bug, usage_message
from batchfree.cli.terminal import drop_stdout, open_missing_streams, say
from batchfree.core.stops import BUG, INTERRUPTED, NEEDS_A_PERSON, OK, OUT_OF_MEMORY, USAGE


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code. `argv` holds the words after `batchfree`; default: `sys.argv`."""
    gc.disable()  # a search for garbage while the modules are loaded takes time and finds nothing
    open_missing_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a character that the terminal can't show must not end a run
    try:
        code = _run_command(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        drop_stdout()  # else the interpreter complains when it exits
        return OK
    except MemoryError:
        say(f"error: {OUT_OF_MEMORY.message}")
        return NEEDS_A_PERSON
    except Exception as error:  # noqa: BLE001 - the one place where a person sees a bug in batchfree
        if isinstance(error, FileNotFoundError) and not _has_current_folder():
            say("error: the current folder no longer exists; change to another one")
            return USAGE
        if isinstance(error, OSError) and not _is_stdout_writable():
            drop_stdout()
            say(f"error: standard output can't be written: {error.strerror}")
            return NEEDS_A_PERSON
        report_bug()
        return BUG
    finally:
        gc.enable()


def _is_stdout_writable() -> bool:
    try:
        os.write(sys.stdout.fileno(), b"\n")
    except OSError:
        return False
    return True


def _has_current_folder() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


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
