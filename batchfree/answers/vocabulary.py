"""A job's labels, and the words of a text in the form in which they are compared with labels.

Case, width, markup and punctuation are no part of a word: `card_arrival` and `Card arrival` are the same two words. The
break between two words is kept, because it decides whether a label is stated or only mentioned.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import msgspec

QUOTES = " \t\r\n\"'`*“”‘’„«»‹›「」『』"
TRIM = QUOTES + "()[]{}<>.,;:!?…。、¡¿_~|\\$•·–—→"
TAG = re.compile(r"</?[a-z][\w-]*>|\\[a-z]+\{")
COLON = re.compile(r"(?<=[^\W\d_])([\"'`*_]*)\s*(?:=+>|-+>|→|[:=]+)\s*")
CHUNK = re.compile(r"\n|[^\s]+")
JOINT = re.compile(r"(?<=[^\W\d_])[-_]+(?=[^\W\d_])")
DASH = re.compile(r"[-–—]+\Z")
APART = re.compile(r"(?<!\S)(!=+|<=?|>=|~)[ \t]+(?=\d)|(?<!\S)(!=+)[ \t]+(?=\w)")
"""A sign and a blank before what it changes: `< 4`, `!= positive`."""
GRADE = re.compile(r"(?<![\w-])(\w\w?)-(?=[\s.*`\"']*$)", re.MULTILINE)
"""A minus sign that ends a short word and a line: `B-`."""
REPLACED = (
    ("<\\", TAG, " "),
    (":=>→", COLON, r"\1 : "),
    ("!<>~", APART, r"\1\2"),
    ("-", GRADE, "\\1\N{MINUS SIGN}"),
)
"""What is replaced before a text is split into words: signs, a pattern that needs one of them, and the replacement."""
BREAKS = "?:.()-,"
"""Breaks between two words, the strongest first. The end of a line counts as a full stop."""
DENIALS = "❌✗✘🚫≠¬"

Key = TypeVar("Key", str, tuple[str, ...])


class Word(msgspec.Struct, frozen=True):
    """A word of a text and the strongest break before it: one of `BREAKS`, or an empty text."""

    text: str
    before: str
    starts_line: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The words of a text and the break after the last one."""

    words: tuple[Word, ...]
    after: str = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A label within a text: the words from `start` to before `end`."""

    start: int
    end: int
    label: str


def fold_text(text: str) -> str:
    """The text without differences of case, width and emoji presentation."""
    if text.isascii():
        return text.casefold()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return folded.replace("\ufe0f", "").replace("’", "'")


def words_of(text: str) -> Words:
    """The words of a text and the breaks between them. Emoji count as words."""
    text = fold_text(text)
    for signs, pattern, replacement in REPLACED:
        if any(map(text.__contains__, signs)):
            text = pattern.sub(replacement, text)
    found, pending, line_start = list[Word](), "", True
    for match in CHUNK.finditer(text):
        chunk = match[0]
        if chunk == "\n":
            pending, line_start = _stronger(pending, "."), True
            continue
        if chunk.isalnum():
            found.append(Word(chunk, pending, line_start))
            pending, line_start = "", False
            continue
        prefix, core, suffix = _trim(chunk)
        pending = _stronger(pending, _break_in(prefix if core else chunk, line_start=line_start))
        for part in JOINT.split(core) if core else ():
            found.append(Word(part, pending, line_start))
            pending, line_start = "", False
        pending = _stronger(pending, _break_in(suffix, line_start=False))
        line_start = line_start and not core
    return Words(words=tuple(found), after=pending)


def _trim(chunk: str) -> tuple[str, str, str]:
    """The punctuation in front of a chunk, its core, the punctuation behind it.

    The core keeps a sign that changes what it says: `-1`, `<4`, `!positive`, `C++`, `C#`.
    """
    left = chunk.lstrip(TRIM + "#-")
    core = left.rstrip(TRIM + "-")
    sign = chunk[: len(chunk) - len(left)][-1:]
    is_tag = sign == "<" and left[len(core) :].startswith(">")
    if sign and sign in ("-<>~!" if core[:1].isdigit() else "<!") and not is_tag:
        left, core = sign + left, sign + core
    return chunk[: len(chunk) - len(left)], core, left[len(core) :]


def _break_in(punctuation: str, *, line_start: bool) -> str:
    """The strongest break in some punctuation. The dash of a list at the start of a line is no break."""
    if not punctuation:
        return ""
    if "?" in punctuation or "¿" in punctuation:
        return "?"
    if ":" in punctuation or "→" in punctuation:
        return ":"
    if any(mark in punctuation for mark in ".!;。…"):
        return "."
    if any(mark in punctuation for mark in "([{"):
        return "("
    if any(mark in punctuation for mark in ")]}") and not line_start:
        return ")"
    if DASH.search(punctuation) and not line_start:
        return "-"
    return "," if any(mark in punctuation for mark in ",、|") else ""


def _stronger(one: str, other: str) -> str:
    return min(one, other, key=BREAKS.index) if one and other else one or other


class Vocabulary:
    """The labels of a job, prepared for the search in texts."""

    def __init__(self, labels: Sequence[str]) -> None:
        """Labels that differ only in case or punctuation are found only where they are written exactly."""
        self.labels = tuple(labels)
        self.folded = frozenset(map(fold_text, labels))
        self._exact = {label.strip(): label for label in labels}
        self._folded = _unique((fold_text(label).strip(QUOTES), label) for label in labels)
        self._by_words = _unique((tuple(word.text for word in words_of(label).words), label) for label in labels)
        self._longest = max(map(len, self._by_words), default=0)
        self._first_words = {key[0] for key in self._by_words}

    def exact(self, text: str) -> str | None:
        """The label that equals the whole text, apart from case, quotes and emphasis; None if none does."""
        stripped = text.strip()
        bare = stripped.strip(QUOTES)
        return self._exact.get(stripped) or self._exact.get(bare) or self._folded.get(fold_text(stripped).strip(QUOTES))

    def mentions(self, words: Sequence[Word]) -> list[Mention]:
        """The labels in a text, in order. If labels overlap, the longest counts.

        If several labels have the same words, the mention's label starts with a NUL, so it is none of the job's labels.
        """
        found, place = list[Mention](), 0
        texts = [word.text for word in words]
        while place < len(texts):
            if texts[place] not in self._first_words:
                place += 1
                continue
            for length in range(min(self._longest, len(texts) - place), 0, -1):
                key = tuple(texts[place : place + length])
                if key in self._by_words:
                    label = self._by_words[key]
                    found.append(Mention(start=place, end=place + length, label=label or "\0" + " ".join(key)))
                    place += length
                    break
            else:
                place += 1
        return found


def _unique(entries: Iterable[tuple[Key, str]]) -> dict[Key, str | None]:
    """The label of each key; None if several labels share a key."""
    made: dict[Key, str | None] = {}
    for key, label in entries:
        if key:
            made[key] = None if key in made else label
    return made


@lru_cache(maxsize=64)
def vocabulary(labels: tuple[str, ...]) -> Vocabulary:
    """The vocabulary of these labels, cached."""
    return Vocabulary(labels)
