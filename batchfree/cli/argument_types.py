"""Types of option values: each turns the text that was typed into a value, or raises click.BadParameter."""

from __future__ import annotations

import math
from pathlib import Path

import click

from batchfree.cli.times import seconds_in
from batchfree.core.parts import MOST_PARTS, Part, parse_part, table_path

PATH = click.Path(path_type=Path, readable=False)
"""Any path. The command checks whether the file exists. The shell completes the path."""


def output_path(text: str) -> Path:
    """The path of the table, also for an output that is a folder."""
    return Path(table_path(text))


def positive_number(text: str) -> int:
    """A whole number, at least 1."""
    return _number(text, 1, math.inf, "must be at least 1")


def port_number(text: str) -> int:
    """A port, or 0 for any free port."""
    return _number(text, 0, 65_535, "must be between 0 and 65535")


def _number(text: str, least: int, most: float, otherwise: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise click.BadParameter(f"expected a whole number, got {text!r}") from None
    if not least <= number <= most:
        raise click.BadParameter(f"{otherwise}, got {text}")
    return number


def job_part(text: str) -> Part:
    """A part of a job, such as 2/8."""
    found = parse_part(text)
    if found is None:
        raise click.BadParameter(
            f"expected K/N with K from 1 to N and N at most {MOST_PARTS}, such as 2/8 for the second of eight parts, "
            f"got {text!r}"
        )
    return found


def percentage(text: str) -> float:
    """A number from 0 to 100 with the sign `%`. Without it nobody can tell a share such as 0.05 from a percentage."""
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        raise click.BadParameter(f"expected a percentage such as 5%, got {text!r}") from None
    if not text.endswith("%"):
        raise click.BadParameter(f"expected a percentage with its sign, such as 5%, got {text!r}{_meant(number)}")
    if not 0 <= number <= 100:
        raise click.BadParameter(f"must be between 0% and 100%, got {text}")
    return number


def _meant(number: float) -> str:
    """The percentage that a number without the sign may mean, as a question."""
    if 0 < number < 1:
        return f"; did you mean {100 * number:.4g}%?"
    return f"; did you mean {number:.4g}%?" if 1 < number <= 100 else ""


def seconds(text: str) -> float:
    """The seconds of a duration such as `30s` or `2m`."""
    seconds = seconds_in(text)
    if seconds is None:
        raise click.BadParameter(f"expected a duration such as 30s, 2m or 1h30m, got {text!r}")
    return seconds
