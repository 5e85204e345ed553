"""Errors as a person reads them."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from batchfree.errors import BatchfreeError, MistakesError, OutputError, UnavailableError
from batchfree.stops import NEEDS_A_PERSON, TRY_LATER, USAGE


@contextmanager
def talking() -> Iterator[None]:
    """Inside the block a terminal that was closed is no error: whatever is said goes nowhere from then on."""
    try:
        yield
    except OSError:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open as long as the process


def say(text: str) -> None:
    """To the person, never into a pipe."""
    with talking():
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
