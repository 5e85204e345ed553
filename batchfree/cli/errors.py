"""Errors as a person reads them."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

from batchfree.errors import BatchfreeError, MistakesError, OutputError, UnavailableError
from batchfree.stops import NEEDS_A_PERSON, TRY_LATER, USAGE


def say(text: str) -> None:
    """To the person, never into a pipe. A terminal that was closed keeps nothing from being done."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def explained(command: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """The command's exit code; what it raises on purpose becomes a sentence and a code."""
    try:
        return command(arguments)
    except MistakesError as error:
        for mistake in error.mistakes:
            say(f"error: {mistake}")
        return USAGE
    except BatchfreeError as error:
        say(f"error: {error}")
        if isinstance(error, OutputError):
            return USAGE
        return TRY_LATER if isinstance(error, UnavailableError) else NEEDS_A_PERSON


def report_bug() -> None:
    """The traceback without the values of variables, and what to do with it."""
    say(traceback.format_exc())
    say("error: this is a bug in batchfree; what was recorded is safe. Please report the lines above.")
