"""The command line: what is said to a person goes to stderr, results and `--json` go to stdout.

Imports: core, jobspec, data, service, run, job, emulator.
Pure: none.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence

from batchfree.cli.options import parser
from batchfree.core.stops import BUG, INTERRUPTED

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code is its result."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what the terminal can't show must not end a run
    try:
        arguments = parser().parse_args(argv)
        module, function = arguments.does.split(":")
        command: Command = getattr(importlib.import_module(f"batchfree.cli.{module}"), function)
        from batchfree.cli.terminal import explained

        return explained(command, arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter complains at its end
        return 0
    except Exception:  # noqa: BLE001 - the one place where a bug of ours meets a person
        from batchfree.cli.terminal import report_bug

        report_bug()
        return BUG


__all__ = ["main", "parser"]
