"""Finds the value under each code in the reply to a pack.

A value belongs to a row only if the row's code is its key. Its position never counts. Objects that are valid JSON are
read whole. In an object that is broken or cut off, the keys are searched one by one. Complete values are kept. A broken
value is kept as the text from its key to the next key, so mending can't move it to another row.

The file is long, because all steps of the scanner share one state.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from batchfree.answers.strict_json import NotJson, Pairs, brackets, pairs_at, settle
from batchfree.core.chat import Json

WRAPPERS = frozenset(
    ["answers", "answer", "results", "result", "labels", "rows", "output", "data", "response", "predictions", "items"]
)
CODE_KEYS = ("id", "row_id", "row", "code", "key", "rowid")
VALUE_KEYS = ("answer", "value", "label", "result", "output", "response", "prediction", "class", "category")
TOKEN = re.compile(
    r"(?P<open>[{\[])|(?P<close>[}\]])|(?P<quote>[\"'])(?P<key>[^\"'\\\n]{1,64})(?P=quote)\s*:"
    r"|(?<![\w\"'])(?P<bare>[0-9A-Za-z]{1,16})[*_`]*\s*:"
)
KEY_PLACE = re.compile(r"(?:^|[{,\[\n;])[ \t*_`-]*\Z")
AFTER_VALUE = re.compile(r"\s*(?:[,}\]]|\Z|//|#|/\*)|[ \t]*\n")
REMARK = re.compile(r"[ \t]+[^\"'{}\[\]\n]*(?=[,}\n\"]|\Z)")
"""Prose after a value. It holds no quotes, so it can't be the rest of a broken value."""
COMMENT = re.compile(r",?[ \t]*((?://|#|/\*)[^\n]*)")
GOES_ON = re.compile(r"\s*[\"'+]|,[ \t]*\d")
"""The text behind a value that is only the first part of a longer one, unless a key begins there."""
MAX_BROKEN_VALUES = 64
"""Most broken objects and unknown keys. After them no object is read whole any more, which bounds the time."""
MAX_BROKEN_ROWS = 1000
"""Most broken values under codes. A reply with more is not read at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedValue:
    """The value under one code, with the prose `after` it. For a broken value only its `text` is set.

    `error` says what is wrong with JSON that is complete, such as a key given twice. `whole` says that the value stood
    in an object that is valid JSON.
    """

    code: str
    value: Json = None
    after: str = ""
    text: str | None = None
    error: str | None = None
    whole: bool = True


@dataclass(slots=True, kw_only=True)
class ScannedReply:
    """The values under codes in a reply. `unknown` counts keys that are no code.

    `open` says that the reply ends before its object is closed.
    """

    values: list[CodedValue] = field(default_factory=list)
    unknown: int = 0
    open: bool = False


def scan_reply(text: str, codes: Collection[str], *, finished: bool) -> ScannedReply:
    """The values in a reply without its thinking. `finished` says that the model stopped by itself, without a limit."""
    return _Scanner(text, codes, finished=finished).read()


class _Scanner:
    """Walks once through a text that holds the object of a pack somewhere, perhaps broken."""

    def __init__(self, text: str, codes: Collection[str], *, finished: bool) -> None:
        self._text, self._finished = text, finished
        self._codes = {code.casefold(): code for code in codes}
        self._reply, self._loose = ScannedReply(), list[CodedValue]()
        self._depth = 0
        self._broken = 0
        self._broken_rows = 0
        self._lost = False

    def read(self) -> ScannedReply:
        """The values in objects; the values in prose only for codes that no object has."""
        place = 0
        while token := TOKEN.search(self._text, place):
            place = self._step(token)
            if self._broken_rows > MAX_BROKEN_ROWS:
                return ScannedReply()
        self._reply.open = self._depth > 0
        in_objects = {each.code for each in self._reply.values}
        if not self._reply.open:
            self._reply.values += [each for each in self._loose if each.code not in in_objects]
        return self._reply

    def _step(self, token: re.Match[str]) -> int:
        """Handles one token and returns the position at which to go on."""
        if token["open"]:
            return self._open(token.start())
        if token["close"]:
            self._depth = max(0, self._depth - 1)
            self._lost = self._lost and self._depth > 0
            return token.end()
        code = self._codes.get((token["key"] or token["bare"]).strip().casefold())
        if code is None:
            return self._skip_unknown(token)
        if (self._lost or token["bare"]) and not _is_key_place(self._text, token.start()):
            return token.end()
        return self._value(code, token)

    def _open(self, place: int) -> int:
        """Reads an object or list whole if it is valid JSON, else goes on inside of it."""
        if self._broken < MAX_BROKEN_VALUES:
            try:
                value, end = pairs_at(self._text, place)
            except NotJson:
                self._broken += 1
            else:
                self._take(value)
                return end
        self._depth += 1
        return place + 1

    def _take(self, value: Json) -> None:
        """Keeps the values of valid JSON, also within wrappers and lists of objects that name their codes."""
        if isinstance(value, Pairs):
            element = self._element(value)
            for key, each in [element] if element else value:
                code = self._codes.get(key.strip().casefold())
                if code is not None:
                    self._reply.values.append(_settled_value(code, each, whole=True))
                elif isinstance(each, list) and key.casefold() in WRAPPERS:
                    self._take(each)
                else:
                    self._reply.unknown += 1
        elif isinstance(value, list):
            for each in value:
                if isinstance(each, Pairs):
                    self._take(each)

    def _element(self, pairs: Pairs) -> tuple[str, Json] | None:
        """The code and the value of an object such as `{"id": "k3x9", "label": …}`; None for any other object."""
        names = {key.casefold(): each for key, each in pairs}
        if len(names) != len(pairs) or len(pairs) < 2 or not self._codes.keys().isdisjoint(names):
            return None
        named = [key for key in CODE_KEYS if isinstance(names.get(key), str)]
        named = [key for key in named if names[key].strip().casefold() in self._codes]
        if len(named) != 1:
            return None
        rest = Pairs((key, each) for key, each in pairs if key.casefold() != named[0])
        known = [each for key, each in rest if key.casefold() in VALUE_KEYS]
        value = rest[0][1] if len(rest) == 1 else known[0] if len(known) == 1 else rest
        return names[named[0]], value

    def _skip_unknown(self, token: re.Match[str]) -> int:
        """Passes over the value of a key that is no code, unless it wraps the answers."""
        if token["bare"]:
            return token.end()
        start = self._skip_blanks(token.end())
        if token["key"].casefold() in WRAPPERS and self._text[start : start + 1] in ("{", "["):
            return start
        self._reply.unknown += 1
        if self._broken >= MAX_BROKEN_VALUES:
            return token.end()
        try:
            return pairs_at(self._text, start)[1]
        except NotJson:
            self._broken += 1
            return token.end()

    def _value(self, code: str, token: re.Match[str]) -> int:
        """Keeps the value under a code, whole or broken; returns the position after it."""
        start = self._skip_blanks(token.end())
        try:
            value, end = pairs_at(self._text, start)
        except NotJson:
            return self._broken_value(code, start)
        if not isinstance(value, list | str) and end == len(self._text):
            return end  # a number or a bare word may be longer than what the cut left of it
        after = self._remark(end)
        if after is None and not isinstance(value, list):
            return self._broken_value(code, start)
        self._lost = False
        self._keep(_settled_value(code, value, whole=False, after=after or ""))
        return end

    def _remark(self, place: int) -> str | None:
        """The comment or prose after a value; None if the value itself goes on."""
        goes_on = GOES_ON.match(self._text, place)
        if goes_on is not None and not TOKEN.match(self._text, goes_on.end() - 1):
            return None
        comment = COMMENT.match(self._text, place)
        if comment is not None:
            return comment[1]
        if AFTER_VALUE.match(self._text, place):
            return ""
        remark = REMARK.match(self._text, place)
        return remark[0] if remark else None

    def _broken_value(self, code: str, start: int) -> int:
        """Keeps the text up to the next key or the end of the object. Keeps nothing if the reply ends before either."""
        self._broken_rows += 1
        end = self._next_key(start)
        if end is not None:
            self._lost = True
            self._keep(CodedValue(code=code, text=self._text[start:end], whole=False))
            return end
        text = self._text[start:]
        after = _after_value(text)
        if after is None:
            return len(self._text)
        closed = "}" in after
        if text[:1] in ("{", "[") or (closed if self._depth else "\n" in after or self._finished):
            self._keep(CodedValue(code=code, text=text, whole=False))
            self._depth = 0 if closed else self._depth
        return len(self._text)

    def _next_key(self, start: int) -> int | None:
        """The position of the next code that is a key; None if there is none."""
        for token in TOKEN.finditer(self._text, start):
            name = token["key"] or token["bare"]
            known = name is not None and name.strip().casefold() in self._codes
            if known and _is_key_place(self._text, token.start()):
                return token.start()
        return None

    def _keep(self, value: CodedValue) -> None:
        """Keeps a value that was found by its key, apart from the others if it stands in prose."""
        (self._reply.values if self._depth else self._loose).append(value)

    def _skip_blanks(self, place: int) -> int:
        while place < len(self._text) and self._text[place] in " \t\r\n":
            place += 1
        return place


def _after_value(text: str) -> str | None:
    """The text after a broken value at the end of a reply; None if its brackets or quotes are not closed."""
    if text[:1] in ("{", "["):
        spans = brackets(text).spans
        return text[spans[0].stop :] if spans else None
    if text[:1] in ("'", '"'):
        return text[text.rfind(text[0]) + 1 :] if text.count(text[0]) > 1 else None
    return text or None


def _is_key_place(text: str, place: int) -> bool:
    return KEY_PLACE.search(text, max(0, place - 40), place) is not None


def _settled_value(code: str, value: Json, *, whole: bool, after: str = "") -> CodedValue:
    try:
        return CodedValue(code=code, value=settle(value), whole=whole, after=after)
    except NotJson as error:
        return CodedValue(code=code, error=str(error), whole=whole)
