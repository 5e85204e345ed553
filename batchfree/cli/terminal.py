"""Messages on the terminal: what went wrong, in sentences, and results as JSON."""

from __future__ import annotations

import gc
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from batchfree.core.errors import BatchfreeError, Mistake, MistakesError, OutputError, StorageError, UnavailableError
from batchfree.core.stops import NEEDS_A_PERSON, TRY_LATER, USAGE

if TYPE_CHECKING:
    from batchfree.cli.arguments import Arguments
    from batchfree.core.chat import Json

T = TypeVar("T")
before_saying: Callable[[], None] | None = None
"""Called before every message, to remove a live view from the place where the message is printed."""

COLOURS = {"error": "1;31", "warning": "33", "stopped": "33"}
"""The first words of messages that stand out, with the codes of their colours (ECMA-48, SGR)."""
YOUNG_OBJECTS = 20_000
"""New objects after which Python looks for garbage in circles. Its own 700 are the values of 20 rows of a table."""
LEAST_WIDTH = 40
"""A terminal that is narrower than this is taken to have this number of columns."""
_BEYOND_ASCII = r"\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
CONTROL_CHARACTERS = re.compile(rf"[\x00-\x08\x0a-\x1f{_BEYOND_ASCII}]")
"""Characters that control a terminal, end a line or change the direction of writing; tabs are not among them."""
RAW_IN_JSON = re.compile(f"[{_BEYOND_ASCII}]")
"""Those of them that JSON leaves as they are."""


@contextmanager
def ignore_closed_terminal() -> Iterator[None]:
    """Inside the block a closed terminal is no error; from then on everything written to stderr is dropped."""
    try:
        yield
    except OSError:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open as long as the process


def say(text: str, *, wrap: bool = True) -> None:
    """Prints a message for a person to stderr, as one line: what comes from outside can't forge another one.

    On a terminal, the line is broken at words (`wrap=False` for a command to copy), and errors and warnings have
    colours.
    """
    if before_saying is not None:
        before_saying()
    with ignore_closed_terminal():
        text = escape_control_characters(text)
        if sys.stderr.isatty():
            text = _coloured("\n".join(wrapped(text, columns())) if wrap else text)
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def columns() -> int:
    """Columns of the terminal on stderr; 80 without one."""
    try:
        return max(LEAST_WIDTH, os.get_terminal_size(sys.stderr.fileno()).columns)
    except (OSError, ValueError):
        return 80


def wants_colours() -> bool:
    """Whether colours may be written to the terminal: not with NO_COLOR (no-color.org), nor on a dumb terminal."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def _coloured(text: str) -> str:
    """The text with its first word in colour, if it is `error:` or `warning:` and colours are wanted."""
    first, colon, rest = text.partition(":")
    if first not in COLOURS or not colon or not wants_colours():
        return text
    return f"\x1b[{COLOURS[first]}m{first}:\x1b[0m{rest}"


def escape_control_characters(text: str) -> str:
    """The text with every control character replaced by its code. Answers and files may contain any character."""
    return CONTROL_CHARACTERS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def print_json(value: Json, indent: int | None = 2) -> None:
    """Prints one JSON value to stdout; in ASCII if stdout is not UTF-8."""
    is_unicode = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    text = json.dumps(value, ensure_ascii=not is_unicode, indent=indent)
    _print_to_stdout(RAW_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def print_result(text: str) -> None:
    """Prints one line of a result to stdout. A reader that went away is no error. Raises StorageError."""
    _print_to_stdout(escape_control_characters(text))


def _print_to_stdout(text: str) -> None:
    try:
        print(text, flush=True)  # noqa: T201
    except BrokenPipeError:
        drop_stdout()
    except OSError as error:
        drop_stdout()
        raise StorageError(f"the result can't be written to standard output: {error.strerror}") from error


def drop_stdout() -> None:
    """Drops everything that is written to stdout from now on, also what is still in its buffer."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def open_missing_streams() -> None:
    """Puts something in the place of streams that were closed before the program began.

    Messages to a closed stderr are dropped, so that none lands in a file that is opened later. Writing to a closed
    stdout stays an error, as it was.
    """
    for stream, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(stream)
        except OSError:
            os.open(os.devnull, flags)  # takes the lowest free number, which is this stream's
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 row`, `2 rows`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def wrapped(line: str, width: int | None = None) -> list[str]:
    """The line in parts of at most `width` columns, broken at words; default: the terminal's width, else 80."""
    import shutil
    import textwrap

    width = max(LEAST_WIDTH, shutil.get_terminal_size().columns) if width is None else width
    if len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or [""]


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
    """Prints the traceback, without keys and the values of variables, and what to do with it."""
    import traceback

    from batchfree.service.openrouter.masking import mask

    for line in traceback.format_exc().splitlines():
        say(mask(line), wrap=False)
    say("error: this is a bug in batchfree. Recorded answers are safe. Please report the lines above.")
