"""What a command prints: messages for a person on stderr, results on stdout."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from batchfree.core.errors import StorageError

if TYPE_CHECKING:
    from batchfree.core.chat import Json

before_saying: Callable[[], None] | None = None
"""Called before every message. It removes the live view, so that the message can be printed in its place."""

COLOURS = {"error": "1;31", "warning": "33", "stopped": "33"}
"""The first words of messages that stand out, with the codes of their colours (ECMA-48, SGR)."""
LEAST_WIDTH = 40
"""Fewest columns that are assumed, also for a narrower terminal."""
_BEYOND_ASCII = r"\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
CONTROL_CHARACTERS = re.compile(rf"[\x00-\x08\x0a-\x1f{_BEYOND_ASCII}]")
"""Characters that control a terminal, end a line or change the direction of writing; tabs are not among them."""
RAW_IN_JSON = re.compile(f"[{_BEYOND_ASCII}]")
"""Control characters that the JSON encoder does not escape."""


@contextmanager
def ignore_closed_terminal() -> Iterator[None]:
    """Inside the block a closed terminal is no error. After one, everything written to stderr is dropped."""
    try:
        yield
    except OSError:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open as long as the process


def say(text: str, *, wrap: bool = True) -> None:
    """Prints a message for a person to stderr, as one line, so that text from outside can't forge a second message.

    A terminal shows the line broken at words, and errors and warnings in colours. `wrap=False` keeps the line whole,
    for a command that a person may copy.
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
    """Opens the streams that were closed before the program began.

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


def with_noun(number: int, noun: str) -> str:
    """A number with its noun: `1 row`, `2,000 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def wrapped(line: str, width: int | None = None) -> list[str]:
    """The line in parts of at most `width` columns, broken at words; default: the terminal's width, else 80."""
    import shutil
    import textwrap

    width = max(LEAST_WIDTH, shutil.get_terminal_size().columns) if width is None else width
    if len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or [""]
