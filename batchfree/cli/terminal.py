"""Errors as a person reads them."""

from __future__ import annotations

import argparse
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from batchfree.core.errors import BatchfreeError, Mistake, MistakesError, OutputError, UnavailableError
from batchfree.core.stops import NEEDS_A_PERSON, TRY_LATER, USAGE

STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but for tabs and line breaks, and those that turn the direction of writing."""


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
        print(plain(text), file=sys.stderr, flush=True)  # noqa: T201


def plain(text: str) -> str:
    """The text with characters that would steer a terminal shown by their codes: models and files may hold any."""
    return STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def explained(command: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """The command's exit code; what it raises on purpose becomes a sentence and a code."""
    try:
        return command(arguments)
    except MistakesError as error:
        for mistake in error.mistakes:
            say(f"error: {placed(mistake, arguments)}")
        return USAGE
    except BatchfreeError as error:
        say(f"error: {error}")
        if isinstance(error, OutputError):
            return USAGE
        return TRY_LATER if isinstance(error, UnavailableError) else NEEDS_A_PERSON


def placed(mistake: Mistake, arguments: argparse.Namespace) -> Mistake:
    """The mistake with the line of its key in the job file; with `--set`, where the key was set there."""
    from batchfree.jobspec.spec_files import located

    job: Path | None = getattr(arguments, "job", None)
    if mistake.key == "output.path" and getattr(arguments, "output", None):
        return replace(mistake, file="--output")
    if job is None or mistake.file is not None or mistake.key is None or mistake.key.startswith("-"):
        return mistake
    if any(each.split("=")[0].strip() in (mistake.key, mistake.key.partition(".")[0]) for each in arguments.set):
        return replace(mistake, file="--set")
    return located(mistake, job)


def report_bug() -> None:
    """The traceback without the values of variables, and what to do with it."""
    say(traceback.format_exc())
    say("error: this is a bug in batchfree; what was recorded is safe. Please report the lines above.")
