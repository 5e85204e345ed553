"""Puzzles: small questions whose answer can be computed, such as sums, spelling and sorting."""

from __future__ import annotations

import re
from collections.abc import Callable

LONGEST = 200
"""Most characters of a puzzle. A longer text is taken for another kind of question."""
WORD = r"(?: the word)? [\"'“‘]?([\w-]+)[\"'”’]?"
NUMBER = r"(-?\d{1,9}(?:\.\d+)?)"


def _calculate(left: str, sign: str, right: str) -> str:
    a, b = float(left), float(right)
    if sign in "/÷":
        return f"{a / b:g}" if b else "undefined"
    return f"{a + b if sign == '+' else a - b if sign == '-' else a * b:.12g}"


def _is_prime(text: str) -> str:
    number = int(text)
    return "yes" if number > 1 and all(number % each for each in range(2, int(number**0.5) + 1)) else "no"


def _sort(words: str) -> str:
    return ", ".join(sorted(re.split(r"\s*,\s*", words), key=str.casefold))


SOLUTIONS: tuple[tuple[str, Callable[..., str]], ...] = (
    (rf"(?<![\d-]){NUMBER} ?([+\-*x×/÷]) ?{NUMBER}(?![\d-])", _calculate),
    (rf"spell{WORD} backwards", lambda word: word[::-1]),
    (rf"how many letters are in{WORD}", lambda word: str(len(word))),
    (rf"last letter of{WORD}", lambda word: word[-1]),
    (rf"write{WORD} in capital letters", str.upper),
    (r"is (\d{1,7}) a prime", _is_prime),
    (r"sort\b[^:]*: ([\w-]+(?:\s*,\s*[\w-]+)+)", _sort),
    (rf"which number is larger, {NUMBER} or {NUMBER}", lambda left, right: max(left, right, key=float)),
)


def solve_puzzle(text: str) -> str | None:
    """The answer to a puzzle; None for any other text."""
    for pattern, solve in SOLUTIONS if len(text) <= LONGEST else ():
        found = re.search(pattern, text, re.IGNORECASE)
        if found:
            return solve(*found.groups())
    return None
