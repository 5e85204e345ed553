"""Small questions that can be worked out: sums, letters, words in order."""

from __future__ import annotations

import re
from collections.abc import Callable

QUOTED = r"[\"'“‘]?([\w-]+)[\"'”’]?"
LIST = r"([\w-]+(?:\s*,\s*[\w-]+)+)"


def _sum(left: str, sign: str, right: str) -> str:
    a, b = float(left), float(right)
    if sign in "/÷":
        return "undefined" if b == 0 else f"{a / b:g}"
    value = {"+": a + b, "-": a - b}.get(sign, a * b)
    return f"{value:.12g}"


def _is_prime(text: str) -> str:
    number = int(text)
    return "yes" if number > 1 and all(number % each for each in range(2, int(number**0.5) + 1)) else "no"


def _sorted(words: str) -> str:
    return ", ".join(sorted((word.strip() for word in words.split(",")), key=str.casefold))


def _larger(left: str, right: str) -> str:
    return max((left, right), key=float)


SOLUTIONS: tuple[tuple[str, Callable[..., str]], ...] = (
    (r"(?<![\d-])(-?\d{1,9}(?:\.\d+)?) ?([+\-*x×/÷]) ?(-?\d{1,9}(?:\.\d+)?)(?![\d-])", _sum),
    (rf"spell(?: the word)? {QUOTED} backwards", lambda word: word[::-1]),
    (rf"how many letters (?:are|does)(?: there)?(?: in)?(?: the word)? {QUOTED}", lambda word: str(len(word))),
    (rf"(?:first|1st) letter of(?: the word)? {QUOTED}", lambda word: word[0]),
    (rf"last letter of(?: the word)? {QUOTED}", lambda word: word[-1]),
    (rf"(?:write|put)(?: the word)? {QUOTED} in (?:capital letters|capitals|upper case)", str.upper),
    (r"is (\d{1,7}) a prime", _is_prime),
    (rf"sort\b[^:]*: {LIST}", _sorted),
    (r"which(?: number)? is larger[^\d]*(\d+(?:\.\d+)?) or (\d+(?:\.\d+)?)", _larger),
)
LONGEST = 200
"""Characters of a question that is taken for one of these."""


def worked_out(text: str) -> str | None:
    """The answer to a small question; None where there is nothing to work out."""
    if len(text) > LONGEST:
        return None
    for pattern, solve in SOLUTIONS:
        found = re.search(pattern, text, re.IGNORECASE)
        if found:
            return solve(*found.groups())
    return None
