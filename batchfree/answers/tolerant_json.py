"""Reads JSON whose syntax is broken, if its value is clear. It mends syntax and never changes a value.

The parser accepts these deviations from JSON, and no others:
- quotes of any kind around keys and texts, `\\'` in a text, line breaks in a text; keys without quotes;
- `True`, `None`, `TRUE` and the like for true, false and null; `−5` with any minus sign, `+5`, `.5`;
- a comma behind the last value; in objects also two commas, a semicolon, or none between a number, word or text and the
  next key in quotes; in lists none between `}` and `{`; a wide comma or colon; `=` or `=>` for a colon;
- comments that hide nothing; blanks that JSON does not know.
Anything else in the place of a value is refused: a bare word, a call, a date, `nan`, dots, a number with another sign,
a unit, a range or a separator behind it, a text with a quote mark that may end it, joined texts, no value at all.
Nothing is skipped, closed or invented, so each value of the result is a whole token of the text. The parser reads each
character once.

The file is long, because it is one parser.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NoReturn

from batchfree.answers.retractions import takes_back
from batchfree.answers.strict_json import MAX_NESTING, NotJson, Pairs, read_integer, read_number
from batchfree.core.chat import Json

CLOSING_QUOTES: Mapping[str, str] = {
    '"': '"', "'": "'", "`": "`", "´": "´", "＂": "＂", "“": "”“", "”": "”", "„": "“”", "‟": "”", "«": "»", "»": "«»",
    "‘": "’‘", "’": "’", "‚": "‘’", "‹": "›", "›": "‹›", "「": "」", "『": "』", "〝": "〞〟",
}  # fmt: skip
"""The marks that end a text, by the mark that begins it."""
MARKS = re.escape("".join(sorted({*CLOSING_QUOTES, *"".join(CLOSING_QUOTES.values())})))
ENDING_MARKS = frozenset("".join(CLOSING_QUOTES.values()))
TEXT = {
    mark: re.compile(rf"[^\\{re.escape(ends)}]*(?:\\.[^\\{re.escape(ends)}]*)*", re.DOTALL)
    for mark, ends in CLOSING_QUOTES.items()
}
"""What stands between two marks."""
ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\\": "\\", "/": "/", '"': '"', "'": "'"}
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
ESCAPED_TWICE = re.compile(rf"\\\\\\?[{MARKS}]")
STRUCTURE = re.compile(
    rf"[{MARKS}]\s{{0,99}}[:,;=\]}}]|[:,;=\[{{]\s{{0,99}}[{MARKS}]|[:,;\[{{]\s{{0,99}}\n|[}}\]]\s{{0,99}},\s{{0,99}}[{{\[]"
)
"""Signs that a text may really be two texts: a quote mark beside a comma, colon or bracket; a line that ends in one of
these; the break between two objects."""
SINGLE_MARKS = re.compile("['‘’‚‹›`´]")
DOUBLE_MARKS = re.compile(rf"(?!{SINGLE_MARKS.pattern})[{MARKS}]")

BLANKS = re.compile(r"[\s\ufeff\u200b\u2060]*")
NUMBER = re.compile(
    r"([+\-\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d]?)((?:0|[1-9]\d*)?(?:\.\d+)?(?:[eE][+-]?\d+)?)", re.ASCII
)
THOUSANDS = re.compile(r"[1-9]\d{0,2},\d{3}(?!\d)", re.ASCII)
WORD = re.compile(r"[^\W\d][\w$-]*")
CONSTANTS: Mapping[str, Json] = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "null": None, "None": None, "NULL": None,
}  # fmt: skip
ENDS_VALUE = re.compile(r"[\s\ufeff\u200b\u2060,;}\]]|/[/*]|\Z")
COLON = re.compile("[:：]|=>|=")
COMMENT = re.compile(r"//([^\n]*)|#(?=[ \t#])([^\n]*)|/\*(.*?)\*/", re.DOTALL)
HIDES = re.compile(
    r"\.\.|…|\b(?:and so on|etc|more|rest|remaining|others?|same|omitted|truncated|continued?|repeat\w*)\b", re.I
)
"""Words of a comment that stand for values."""


def parse_tolerantly(text: str) -> Json:
    """The one value in a text, with its objects as `Pairs`. Raises NotJson if more than syntax is broken."""
    value, end = value_in_front(text)
    if end != len(text):
        raise NotJson("there is more than one JSON value", mendable=False)
    return value


def value_in_front(text: str) -> tuple[Json, int]:
    """The value at the beginning of a text, and the position behind it. Raises NotJson."""
    parser = _Parser(text)
    parser.skip_blanks()
    value = parser.value(0)
    parser.skip_blanks()
    return value, parser.place


class _Parser:
    """Reads one value after another from `place` on."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.place = 0
        self._comments = 0
        self._remark_end = -1

    def refuse(self, what: str) -> NoReturn:
        """Raises NotJson with the place."""
        raise NotJson(f"it is not valid JSON and can't be mended: {what} (char {self.place})", mendable=False)

    def skip_blanks(self) -> None:
        """Goes on to the next character that is neither blank nor part of a comment."""
        remark = False
        while True:
            self.place = self._end_of(BLANKS)
            if self._next() not in ("/", "#"):
                self._remark_end = self.place if remark else -1
                return
            comment = COMMENT.match(self._text, self.place)
            touches_text = self.place > 0 and self._text[self.place - 1] in CLOSING_QUOTES
            if comment is None or touches_text or _hides_something(comment[1] or comment[2] or comment[3] or ""):
                self.refuse("a comment may hide a value")
            self.place = comment.end()
            self._comments += 1
            remark = remark or comment[3] is not None

    def value(self, depth: int) -> Json:
        """The value that begins here; `depth` is the number of brackets around it."""
        if depth > MAX_NESTING:
            self.refuse("it is nested too deeply")
        first = self._next()
        if first == "{":
            return self._object(depth)
        if first == "[":
            return self._list(depth)
        if first in CLOSING_QUOTES:
            return self._quoted()
        return self._bare()

    def _next(self) -> str:
        return self._text[self.place : self.place + 1]

    def _end_of(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self._text, self.place)
        return match.end() if match else self.place

    def _open(self) -> None:
        """Goes past an opening bracket. Refuses brackets around a comment alone, since it stands for values."""
        self.place += 1
        comments = self._comments
        self.skip_blanks()
        if self._comments > comments and self._next() in ("}", "]"):
            self.refuse("a comment stands where values are expected")

    def _refuse_remark_for_value(self) -> None:
        if self._remark_end == self.place and self._next() in ("}", "]"):
            self.refuse("a comment stands where a value is expected")

    def _object(self, depth: int) -> Pairs:
        """The object that begins here. Its keys keep their order, repeated ones too."""
        pairs = Pairs()
        self._open()
        while self._next() != "}":
            key = self._key()
            self.skip_blanks()
            colon = COLON.match(self._text, self.place)
            if colon is None:
                self.refuse(f"no colon follows the key {key[:40]!r}")
            self.place = colon.end()
            self.skip_blanks()
            pairs.append((key, self.value(depth + 1)))
            self._go_to_next_key()
        self.place += 1
        return pairs

    def _key(self) -> str:
        if self._next() in CLOSING_QUOTES:
            return self._quoted()
        word = WORD.match(self._text, self.place)
        if word is None or word[0] in CONSTANTS or not word[0].strip("_"):
            self.refuse("a key is expected")
        self.place = word.end()
        return word[0]

    def _go_to_next_key(self) -> None:
        """Goes from the end of a value to the next key or to the end of the object."""
        end = self.place
        self.skip_blanks()
        if self._next() == "}":
            return
        commas = 0
        while self._next() and self._next() in ",;，":
            commas += 1
            self.place += 1
            self.skip_blanks()
        if commas > 2 or (commas == 2 and self._next() == "}"):
            self.refuse("values are missing between commas")
        self._refuse_remark_for_value()
        apart = self.place > end and self._text[end - 1] not in "}]"
        if not commas and not (apart and self._next() in CLOSING_QUOTES):
            self.refuse("a comma or a closing bracket is expected")

    def _list(self, depth: int) -> list[Json]:
        """The list that begins here."""
        values = list[Json]()
        self._open()
        if self._remark_end == self.place:
            self.refuse("a comment stands where a value is expected")
        while self._next() != "]":
            before = self.place
            values.append(self.value(depth + 1))
            last = self._text[self.place - 1]
            if THOUSANDS.match(self._text, before):
                self.refuse("a number with a comma may be one number or two")
            self.skip_blanks()
            comma = self._next()
            if comma == "," or (comma and comma in "，、" and last in "}]" + MARKS):
                self.place += 1
                self.skip_blanks()
            elif comma != "]" and last + comma != "}{":
                self.refuse("a comma or a closing bracket is expected")
            self._refuse_remark_for_value()
        self.place += 1
        return values

    def _quoted(self) -> str:
        """The text between the quote mark here and the next one, which must be followed by no other mark."""
        mark = self._next()
        match = TEXT[mark].match(self._text, self.place + 1)
        end = match.end() if match else len(self._text)
        if self._text[end : end + 1] not in tuple(CLOSING_QUOTES[mark]):
            self.refuse("a text is not closed")
        inside = self._text[self.place + 1 : end]
        follows = self._text[end + 1 : end + 2]
        if follows and follows in CLOSING_QUOTES and not inside:
            self.refuse("a text has more than one quote mark in front")
        plain = ESCAPE.sub("", inside)
        if ESCAPED_TWICE.search(inside):
            self.refuse("it is not clear what is escaped in a text")
        if (
            STRUCTURE.search(plain)
            or _has_odd_edge(plain)
            or CONTROL.search(plain)
            or (not mark.isascii() and inside != inside.strip())
        ):
            self.refuse("it is not clear where a text ends")
        self.place = end + 1
        return self._unescaped(inside) if "\\" in inside else inside

    def _unescaped(self, inside: str) -> str:
        def meant(match: re.Match[str]) -> str:
            if len(match[1]) > 1:
                return chr(int(match[1][1:], 16))
            if match[1] not in ESCAPES:
                self.refuse(f"{match[0]} is no escape")
            return ESCAPES[match[1]]

        text = ESCAPE.sub(meant, inside)
        return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")

    def _bare(self) -> Json:
        """The number, true, false or null that begins here."""
        if word := WORD.match(self._text, self.place):
            if word[0] not in CONSTANTS:
                self.refuse(f"{word[0][:40]} is no value")
            value, end = CONSTANTS[word[0]], word.end()
        else:
            value, end = self._number()
        if not ENDS_VALUE.match(self._text, end):
            self.refuse(f"{self._text[self.place : self.place + 40].split()[0]} is no value")
        self.place = end
        return value

    def _number(self) -> tuple[Json, int]:
        """The number that begins here, and the position after it."""
        match = NUMBER.match(self._text, self.place)
        if match is None or not match[2] or match[2][0] in "eE":
            self.refuse("a value is missing")
        sign = "" if match[1] in ("", "+") else "-"
        written = sign + match[2]
        return (read_integer(written) if match[2].isdigit() else read_number(written)), match.end()


def _has_odd_edge(text: str) -> bool:
    """Whether a text begins or ends with an unpaired quote mark, or is wholly enclosed in quote marks."""
    edges = [edge for edge in (text[:1], text[-1:]) if edge in CLOSING_QUOTES or edge in ENDING_MARKS]
    kinds = [SINGLE_MARKS if SINGLE_MARKS.match(edge) else DOUBLE_MARKS for edge in edges]
    return len(edges) == 2 or any(len(kind.findall(text)) % 2 for kind in kinds)


def _hides_something(comment: str) -> bool:
    """Whether a comment may hold a value, stand for one, or take one back."""
    said = comment.strip(" \t*-/#")
    if not any(letter.isalpha() for letter in said) or said[0] in CLOSING_QUOTES or said[0] in "{[0123456789":
        return True
    return bool(STRUCTURE.search(said) or HIDES.search(said)) or takes_back(said)
