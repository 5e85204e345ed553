"""Reading the command line: mistakes in one line, and values of options."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from batchfree.core.stops import USAGE


class Parser(argparse.ArgumentParser):
    """Says a mistake in one line, with the nearest word that would do."""

    def error(self, message: str) -> NoReturn:
        """Says it, and where to look; ends the process with code 2."""
        self.exit(USAGE, f"error: {message.removeprefix('argument ')}; see `{self.prog} --help`\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = [choice for choice in action.choices if choice not in self.hidden]
            message = f"expected one of {', '.join(choices)}, got {value!r}{nearest(str(value), choices)}"
            raise argparse.ArgumentError(action, message)

    hidden: Sequence[str] = ()
    """Choices that are not offered."""


class Command(Parser):
    """One command."""

    takes_anything = False
    """Whether arguments without a place are passed over."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As its parent does; what is left over is a mistake of this command."""
        found, left = super().parse_known_args(args, namespace)
        if left and not self.takes_anything:
            word = left[0].partition("=")[0]
            if word.startswith("-"):
                self.error(f"there is no option {word}{nearest(word, self._option_string_actions)}")
            self.error(f"more arguments than expected: {' '.join(left)}")
        return found, []


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint at the known word that is nearest; empty where none is near."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def positive(text: str) -> int:
    """A number from one on."""
    return _number(text, 1, math.inf, "must be at least 1")


def port(text: str) -> int:
    """A port, or 0 for any."""
    return _number(text, 0, 65_535, "must be between 0 and 65535")


def _number(text: str, least: int, most: float, otherwise: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{otherwise}, got {text}")
    return number


def per_cent(text: str) -> float:
    """A percentage, with or without its sign."""
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a percentage such as 5%, got {text!r}") from None
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError(f"must be between 0% and 100%, got {text}")
    return number
