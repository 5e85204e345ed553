"""The reply to a pack → what it says under each code.

A value belongs to a row only where the row's code stands before it as a key; never by position. Objects that are valid
JSON are read as such. Where one is broken or cut off, its keys are looked for one by one: what is complete is kept, and
a broken value is kept as the text between its own key and the next one, so that mending can't move it to another row.
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
"""Prose after a value; it holds no quotes, so that it can't be the rest of a broken one."""
MAX_BROKEN_VALUES = 64
"""Broken objects and strange values after which no more are tried as a whole: the time for a reply has a bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedValue:
    """What a reply says under one code: a value, with the prose `after` it; or where that is broken, its text.

    `error`: the value is JSON that says two things, or none. `whole`: it stood in an object that is valid JSON.
    """

    code: str
    value: Json = None
    after: str = ""
    text: str | None = None
    error: str | None = None
    whole: bool = True


@dataclass(slots=True, kw_only=True)
class ScannedReply:
    """Everything that a reply says under codes. `unknown` counts keys that are none; `open`: it ends in an object."""

    said: list[CodedValue] = field(default_factory=list)
    unknown: int = 0
    open: bool = False


def scan_reply(text: str, codes: Collection[str], *, finished: bool) -> ScannedReply:
    """Reads a reply that was cleared of thinking. `finished`: the model stopped of itself."""
    return _Scanner(text, codes, finished=finished).read()


class _Scanner:
    """Walks once through a text that holds the object of a pack somewhere, in whatever state."""

    def __init__(self, text: str, codes: Collection[str], *, finished: bool) -> None:
        self._text, self._finished = text, finished
        self._codes = {code.casefold(): code for code in codes}
        self._reply, self._loose = ScannedReply(), list[CodedValue]()
        self._depth = 0
        self._broken = 0
        self._lost = False

    def read(self) -> ScannedReply:
        """Objects first: what stands under codes in prose counts for codes alone that no object has."""
        place = 0
        while token := TOKEN.search(self._text, place):
            place = self._step(token)
        self._reply.open = self._depth > 0
        had = {each.code for each in self._reply.said}
        if not self._reply.open:
            self._reply.said += [each for each in self._loose if each.code not in had]
        return self._reply

    def _step(self, token: re.Match[str]) -> int:
        """Takes one token; the place to go on from."""
        if token["open"]:
            return self._opened(token.start())
        if token["close"]:
            self._depth = max(0, self._depth - 1)
            self._lost = self._lost and self._depth > 0
            return token.end()
        code = self._codes.get((token["key"] or token["bare"]).strip().casefold())
        if code is None:
            return self._stranger(token)
        if (self._lost or token["bare"]) and not _is_key_place(self._text, token.start()):
            return token.end()
        return self._value(code, token)

    def _opened(self, place: int) -> int:
        """An object or list: read whole if it is valid, else entered."""
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
        """What a valid value says, through wrappers and lists of objects that name their codes."""
        if isinstance(value, Pairs):
            element = self._element(value)
            for key, each in [element] if element else value:
                code = self._codes.get(key.strip().casefold())
                if code is not None:
                    self._reply.said.append(_settled(code, each, whole=True))
                elif isinstance(each, list) and key.casefold() in WRAPPERS:
                    self._take(each)
                else:
                    self._reply.unknown += 1
        elif isinstance(value, list):
            for each in value:
                if isinstance(each, Pairs):
                    self._take(each)

    def _element(self, pairs: Pairs) -> tuple[str, Json] | None:
        """An object such as `{"id": "k3x9", "label": …}` as code and value."""
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

    def _stranger(self, token: re.Match[str]) -> int:
        """A key that is no code: its value is passed over, unless it wraps the answers."""
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
        """The value under a code, whole or broken; the place after it."""
        start = self._skip_blanks(token.end())
        try:
            value, end = pairs_at(self._text, start)
        except NotJson:
            return self._broken_value(code, start)
        after = ""
        if not isinstance(value, list | str) and end == len(self._text):
            return end  # a number or a bare word may go on where the text was cut
        if not isinstance(value, list) and not AFTER_VALUE.match(self._text, end):
            remark = REMARK.match(self._text, end)
            if remark is None:
                return self._broken_value(code, start)
            after = remark[0]
        self._lost = False
        self._keep(_settled(code, value, whole=False, after=after))
        return end

    def _broken_value(self, code: str, start: int) -> int:
        """Keeps the text up to the next key or the end of the object; nothing where the reply ends before."""
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
        """Where the next code stands as a key."""
        for token in TOKEN.finditer(self._text, start):
            name = token["key"] or token["bare"]
            known = name is not None and name.strip().casefold() in self._codes
            if known and _is_key_place(self._text, token.start()):
                return token.start()
        return None

    def _keep(self, said: CodedValue) -> None:
        """Keeps what was found one by one: within an object, or in prose."""
        (self._reply.said if self._depth else self._loose).append(said)

    def _skip_blanks(self, place: int) -> int:
        while place < len(self._text) and self._text[place] in " \t\r\n":
            place += 1
        return place


def _after_value(text: str) -> str | None:
    """What follows a broken value at the end of a reply; None where its brackets or quotes are not closed."""
    if text[:1] in ("{", "["):
        spans = brackets(text).spans
        return text[spans[0].stop :] if spans else None
    if text[:1] in ("'", '"'):
        return text[text.rfind(text[0]) + 1 :] if text.count(text[0]) > 1 else None
    return text or None


def _is_key_place(text: str, place: int) -> bool:
    return KEY_PLACE.search(text, max(0, place - 40), place) is not None


def _settled(code: str, value: Json, *, whole: bool, after: str = "") -> CodedValue:
    try:
        return CodedValue(code=code, value=settle(value), whole=whole, after=after)
    except NotJson as error:
        return CodedValue(code=code, error=str(error), whole=whole)
