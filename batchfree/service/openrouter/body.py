"""A response's body as text: decompressed in bounded steps, in the charset that it declares, without padding.

Each step stops at a bound, so that a small compressed body can't fill the memory.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Mapping

from batchfree.service.openrouter.lenient import find_header

LONGEST_BODY = 8 * 1024 * 1024
"""Largest size of a decompressed response in bytes. Real answers are far smaller."""
MOST_VALUES = 200_000
"""Largest number of values in the JSON of a response. Even a short value takes up to 300 bytes of memory."""
TOO_LONG = f"the response is longer than {LONGEST_BODY >> 20} MB"
ACCEPTED = "gzip, deflate"
"""The value of the request header `Accept-Encoding`."""
CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
GZIP_OR_ZLIB = 47
"""zlib's argument for data in the format of gzip or of zlib."""
RAW_DEFLATE = -15
"""zlib's argument for `deflate` without the header of zlib, which some servers send."""

BLANKS = " \t\r\n\ufeff\x00"
PADDING = re.compile(r"(?:[ \t\r\n\ufeff\x00]++|:[^\n]*+\n?)*+")
CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([^\"';\s]+)", re.IGNORECASE)
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""The mark of UTF-32 begins with that of UTF-16, so it comes first."""
ANY_MARK = tuple(mark for mark, _ in BYTE_ORDER_MARKS)
CHARSETS = re.compile(
    r"utf-(8|16|32)(-le|-be)?|ascii|iso8859-\d+|cp\d+|mac-\w+|koi8-[ru]|gb2312|gbk|gb18030|big5(hkscs)?|euc_\w+|"
    r"shift_\w+|johab|iso2022_(jp|kr)|tis-620"
)
"""Python's names of the charsets that are read. Python also has codecs that are no charsets (`idna`, …)."""


class UnreadableBodyError(ValueError):
    """The body can't be read; the text says why."""


class BodyReader:
    """Collects the body of one response, and decompresses it on the way."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        """`headers` have names in lower case. Raises UnreadableBodyError for a body that is compressed twice or in an
        unknown way."""
        self._body = bytearray()
        coding = headers.get("content-encoding")
        self._inflater = None if coding is None else _inflater(coding)

    def feed(self, chunk: bytes | memoryview) -> None:
        """Adds the next bytes, as they arrived. Raises UnreadableBodyError."""
        room = LONGEST_BODY - len(self._body) + 1
        if self._inflater is not None:
            try:
                chunk = self._inflater.decompress(chunk, room)
            except zlib.error as error:
                chunk = self._without_header(chunk, room, error)
        self._body += chunk[:room]
        if len(self._body) > LONGEST_BODY:
            raise UnreadableBodyError(TOO_LONG)

    def end(self) -> bytes:
        """The whole body. Raises UnreadableBodyError if the compressed data ends in the middle."""
        if self._inflater is not None and self._body and not self._inflater.eof:
            raise UnreadableBodyError("the compressed response ends in the middle")
        return bytes(self._body)

    def _without_header(self, chunk: bytes | memoryview, room: int, error: zlib.error) -> bytes:
        """The first chunk, read as deflate without a header."""
        if self._body:
            raise UnreadableBodyError("the response can't be decompressed") from error
        self._inflater = zlib.decompressobj(RAW_DEFLATE)
        try:
            return self._inflater.decompress(chunk, room)
        except zlib.error as again:
            raise UnreadableBodyError("the response can't be decompressed") from again


def _inflater(coding: str) -> zlib._Decompress | None:
    codings = [each.strip().lower() for each in coding.split(",")]
    codings = [each for each in codings if each not in ("", "identity")]
    if len(codings) > 1:
        raise UnreadableBodyError(f"the response is compressed {len(codings)} times ({', '.join(codings[:3])})")
    if not codings:
        return None
    if codings[0] not in CODINGS:
        raise UnreadableBodyError(f"the response is compressed in a way that was not asked for: {codings[0][:40]}")
    return zlib.decompressobj(GZIP_OR_ZLIB)


def body_text(headers: Mapping[str, str], body: bytes) -> str:
    """The body as text, without the blanks and comments (`: OPENROUTER PROCESSING`) that keep the connection open.

    The charset comes from a byte order mark, else from the content type, else it is UTF-8. Raises UnreadableBodyError
    if the body is not valid in that charset.
    """
    charset = _charset(headers, body)
    try:
        text = body.decode(charset).rstrip(BLANKS)
    except (UnicodeError, LookupError) as error:
        raise UnreadableBodyError(f"the response is not valid {charset.upper()}") from error
    if text.startswith("{"):
        return text
    padding = PADDING.match(text)
    return text[padding.end() :] if padding and padding.end() else text


def readable_text(headers: Mapping[str, str], body: bytes) -> str:
    """The text of an error. An invalid text is read as Latin-1, because its ASCII still says what is wrong."""
    try:
        return body_text(headers, body)
    except UnreadableBodyError:
        return body.decode("latin-1").strip(BLANKS)


def _charset(headers: Mapping[str, str], body: bytes) -> str:
    if body.startswith(ANY_MARK):
        return next(name for mark, name in BYTE_ORDER_MARKS if body.startswith(mark))
    declared = CHARSET.search(find_header(headers, "content-type") or "")
    if declared is None:
        return "utf-8"
    try:
        name = codecs.lookup(declared[1]).name
    except (LookupError, ValueError):
        return "utf-8"
    return name if CHARSETS.fullmatch(name) else "utf-8"


def count_values(text: str) -> int:
    """An upper bound of the number of values in a JSON text."""
    return 1 + text.count(",") + text.count("{") + text.count("[")
