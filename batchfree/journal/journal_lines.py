"""The lines of a journal: its header, and the attempts as they are read.

The first line is a `Header`, every other line an `Attempt`. Readers ignore an unfinished last line. Every line ends in
its checksum (`batchfree/journal/checked_lines.py`), so a damaged line is skipped with a warning and never believed. If
a line break was lost and lines ran together, the first and the last one are still read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec

from batchfree.core.errors import StorageError
from batchfree.journal.attempts import Attempt, is_digest
from batchfree.journal.checked_lines import holds_several_lines, whole_lines_within, why_damaged
from batchfree.journal.regular_file import open_regular

FORMAT = 1
LONGEST_LINE = 128 << 20
"""Bytes of a line that are read at a time. No attempt is longer, because a response is at most 8 MB long. A longer line
was damaged; the first and the last attempt in it are still read."""
LONGEST_HEADER = 1 << 20
"""Bytes that are read of a header. It holds one path and a few names."""
READ_BYTES = 1 << 20
"""Size in bytes of the buffer from which lines are read."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: the job that owns this journal. `file` is the path of the job file relative to the run folder."""

    batchfree: int
    version: str
    job: str
    file: str
    spec: str
    input: str


class AnyHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that a header has in every format: the format number, and the version of batchfree that wrote it."""

    batchfree: int
    version: str = "unknown"


class JournalLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An attempt and the byte positions of its line. A struct, because millions of them are made."""

    attempt: Attempt
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedLine:
    """A line that can't be read; `line` counts from one."""

    line: int
    why: str
    path: Path | None = None


_attempts = msgspec.json.Decoder(Attempt)
_headers = msgspec.json.Decoder(Header)
_formats = msgspec.json.Decoder(AnyHeader)


def read_header(path: Path, *, any_format: bool = False) -> Header | None:
    """The header; None if missing or damaged. Raises StorageError, also for another format without `any_format`."""
    try:
        with open(path, "rb", opener=open_regular) as file:
            first = file.readline(LONGEST_HEADER)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error) from error
    if why_damaged(first):
        return None
    try:
        written = _formats.decode(first)
        if written.batchfree == FORMAT or any_format:
            header = _headers.decode(first)
            return None if "\0" in header.file else header
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    raise StorageError(
        f"{path}: this journal has format {written.batchfree}, written by batchfree {written.version}; "
        f"this version reads format {FORMAT}. Use that version, or start again with --fresh."
    )


def unreadable(path: Path, error: OSError) -> StorageError:
    """The error for a journal that exists but can't be read."""
    return StorageError(f"{path}: the journal can't be read: {error.strerror}. Check the file and its permissions.")


def read_attempts(path: Path, damaged: Callable[[DamagedLine], None] = lambda damage: None) -> Iterator[JournalLine]:
    """All attempts of the journal in the order of writing, also during a run. Raises StorageError."""
    try:
        with open(path, "rb", READ_BYTES, opener=open_regular) as file:
            yield from attempts_in(file, damaged)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unreadable(path, error) from error


def attempts_in(file: BinaryIO, damaged: Callable[[DamagedLine], None]) -> Iterator[JournalLine]:
    """The attempts in the lines of an open journal; calls `damaged` for every line that can't be read."""
    start, number, is_new = 0, 0, True
    for raw in iter(partial(file.readline, LONGEST_LINE), b""):
        end, is_complete = start + len(raw), raw.endswith(b"\n")
        number += is_new
        if is_new and is_complete and (attempt := _whole(raw)) is not None:
            yield JournalLine(attempt=attempt, start=start, end=end)
        elif not is_new:  # the next bytes of a line that is too long
            if is_complete:
                yield from (line for line in _attempts_within(raw, start) if line.end >= end - len(b"\n"))
        elif len(raw) == LONGEST_LINE and not is_complete:
            damaged(DamagedLine(line=number, why=f"it is longer than {LONGEST_LINE >> 20} MB"))
            yield from _attempts_within(raw, start)
        elif is_complete or holds_several_lines(raw):
            yield from _attempts_of(raw, start, number, damaged)
        start, is_new = end, is_complete


def _whole(raw: bytes) -> Attempt | None:
    """The attempt in a line that is not damaged; None for any other line."""
    if why_damaged(raw) is not None:
        return None
    try:
        return _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _attempts_of(raw: bytes, start: int, number: int, damaged: Callable[[DamagedLine], None]) -> Iterator[JournalLine]:
    """The attempt of one line, or those that can be read in a damaged one."""
    why = why_damaged(raw)
    try:
        if why is None:
            yield JournalLine(attempt=_decode(raw), start=start, end=start + len(raw))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        why = str(error)
    if why is not None and raw.strip() and not (number == 1 and _is_header(raw)):
        damaged(DamagedLine(line=number, why=f"it is the header of the journal: {why}" if number == 1 else why))
        yield from _attempts_within(raw, start)


def _is_header(raw: bytes) -> bool:
    """Whether the line is the whole header of a journal, of whatever format."""
    try:
        return why_damaged(raw) is None and bool(_formats.decode(raw)) and b"\\u0000" not in raw
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _attempts_within(raw: bytes, start: int) -> Iterator[JournalLine]:
    """The first and the last whole attempt in a damaged line."""
    for part in whole_lines_within(raw):
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            attempt = _decode(raw[part.start : part.stop])
            yield JournalLine(attempt=attempt, start=start + part.start, end=start + part.stop)


def _decode(raw: bytes) -> Attempt:
    """The attempt in a line. Raises msgspec.DecodeError, and UnicodeDecodeError."""
    attempt = _attempts.decode(raw)
    for outcome in attempt.outcomes:
        if not is_digest(outcome.question):
            raise msgspec.ValidationError(f"`question` is no digest: {outcome.question!r}")
    return attempt


def read_at(fd: int, start: int, length: int) -> Attempt:
    """The attempt at these bytes of an open journal. Raises OSError, and ValueError if the bytes are no attempt."""
    raw = os.pread(fd, length, start)
    if why := why_damaged(raw):
        raise ValueError(why)
    return _attempts.decode(raw)
