"""Errors as messages for a person, each with its exit code: mistakes of the user, what stops a command, and bugs."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import click

from batchfree.cli.terminal import say
from batchfree.core.errors import BatchfreeError, MistakesError, OutputError, UnavailableError
from batchfree.core.stops import NEEDS_A_PERSON, TRY_LATER, USAGE

if TYPE_CHECKING:
    from batchfree.cli.arguments import Arguments
    from batchfree.core.errors import Mistake

T = TypeVar("T")
SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|LEDGER", re.IGNORECASE)
"""What the name of an environment variable with a secret holds."""
YOUNG_OBJECTS = 20_000
"""New objects after which Python looks for unreachable objects. Its default of 700 is reached by 20 rows of a table."""


def explain_errors(command: Callable[[T], int], arguments: T) -> int:
    """Runs the command and returns its exit code. An expected error becomes a sentence on stderr and an exit code."""
    gc.freeze()  # the modules of the command are loaded and stay
    gc.set_threshold(YOUNG_OBJECTS)
    gc.enable()
    try:
        return command(arguments)
    except MistakesError as error:
        for mistake in error.mistakes:
            say(f"error: {with_place(mistake, arguments)}")
        return USAGE
    except BatchfreeError as error:
        say(f"error: {error}")
        if isinstance(error, OutputError):
            return USAGE
        return TRY_LATER if isinstance(error, UnavailableError) else NEEDS_A_PERSON


def with_place(mistake: Mistake, arguments: object) -> Mistake:
    """The mistake with the place of its key: an option of the command line, or file and line in the job file."""
    from batchfree.cli.arguments import Arguments

    if not isinstance(arguments, Arguments):
        return mistake
    if mistake.key == "output.path" and arguments.output:
        return replace(mistake, file="--output")
    if arguments.job is not None and mistake.file is not None and mistake.file == os.path.realpath(arguments.job):
        return replace(mistake, file=str(arguments.job))
    if arguments.job is None or mistake.file is not None or mistake.key is None or mistake.key.startswith("-"):
        return mistake
    if _is_overridden(mistake.key, arguments):
        return replace(mistake, file="--set")
    from batchfree.jobspec.spec_files import located

    return located(mistake, arguments.job)


def _is_overridden(key: str, arguments: Arguments) -> bool:
    """Whether `--set` changes the key or its section."""
    return any(each.split("=")[0].strip() in (key, key.partition(".")[0]) for each in arguments.set)


def usage_message(error: click.UsageError, command: str) -> str:
    """One line that says what is wrong on the command line and where the help is."""
    message = error.message.rstrip(".")
    if isinstance(error, click.MissingParameter):
        message = " ".join(error.format_message().split()).rstrip(".")
    elif isinstance(error, click.BadParameter) and error.param is not None:
        message = f"{'/'.join(error.param.opts)}: {message}"
    elif isinstance(error, click.NoSuchOption | click.NoSuchCommand) and error.possibilities:
        message = f"{message}; did you mean '{error.possibilities[0]}'?"
    end = " See" if message.endswith("?") else "; see"
    return f"error: {message[0].lower()}{message[1:]}{end} `{command} --help`"


def report_bug() -> None:
    """Prints the traceback with every key masked, and what to do with it."""
    import traceback

    from batchfree.service.openrouter.masking import Secret, mask

    secrets = [Secret(value) for name, value in os.environ.items() if SECRET_NAME.search(name)]
    for line in traceback.format_exc().splitlines():
        for secret in secrets:
            line = secret.scrub(line)
        say(mask(line), wrap=False)
    say("error: this is a bug in batchfree. Recorded answers are safe. Please report the lines above.")
