"""Lines of the journal with a checksum: `{"at":"…", …,"crc":"1a2b3c4d"}`.

The checksum is the CRC-32 of all bytes before `,"crc"`, as eight hex digits. A line of an older version has none: an
attempt ends in the list of its outcomes (`]}`), a header in a text. A line with a damaged checksum ends in neither way.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

LINE_START = b'{"at":"'
"""How every line of an attempt begins."""
HEADER_START = b'{"batchfree":'
MARK = b',"crc":"'
TAIL = b',"crc":"%08x"}'
"""The end of a line, for its CRC-32."""
ENDING = re.compile(rb',"crc":"[0-9a-f]{8}"\}')
TAIL_BYTES = len(TAIL % 0)
WHOLE_TAIL, WHOLE_TAIL_BYTES = TAIL + b"\n", TAIL_BYTES + 1
"""The same with the line break."""


def with_checksum(line: bytes) -> bytes:
    """The encoded object as a whole line, with its checksum as last key."""
    checked = line[:-1]
    return b"%b%b\n" % (checked, TAIL % zlib.crc32(checked))


def why_damaged(raw: bytes) -> str | None:
    """Why a line is damaged; None if its checksum is right, and for a line of an older version."""
    if raw.endswith(WHOLE_TAIL % zlib.crc32(raw[:-WHOLE_TAIL_BYTES])):  # nearly all lines
        return None
    body = raw.removesuffix(b"\n")
    if body.endswith(TAIL % zlib.crc32(body[:-TAIL_BYTES])):
        return None
    tail = body[-TAIL_BYTES:]
    if ENDING.fullmatch(tail):
        return "its checksum is wrong"
    if body.endswith(b"]}") or (body.startswith(HEADER_START) and MARK[:5] not in tail):
        return None
    return "it has no checksum"


def holds_several_lines(raw: bytes) -> bool:
    """Whether something follows a whole line in these bytes: the line break between them was lost."""
    return any(found.end() < len(raw) for found in ENDING.finditer(raw))


def whole_lines_within(raw: bytes) -> Iterator[range]:
    """The places of the first and the last whole attempt in a damaged line, in time linear to its length.

    If line breaks were lost, several attempts stand in one line.
    """
    first = raw.find(LINE_START)
    endings = [found.end() for found in ENDING.finditer(raw)]
    if first < 0:
        return
    end = next((each for each in endings if each > first), None)
    if end is not None and why_damaged(raw[first:end]) is None:
        yield range(first, end)
        first = end
    last = _start_of_last(raw)
    if last >= first and why_damaged(raw[last:]) is None:
        yield range(last, len(raw))


def _start_of_last(raw: bytes) -> int:
    """Where the last attempt of a line begins; -1 if there is none.

    An answer may hold the same bytes as an inner object, so an attempt that follows a `}` is preferred.
    """
    behind = raw.rfind(b"}" + LINE_START)
    return behind + 1 if behind >= 0 else raw.rfind(LINE_START)
