"""The journal of a job: one line per attempt, appended before anything else happens to the answer.

JSON Lines. The first line is a `Header`, every other an `Attempt`. A torn last line never happened: readers pass it
over, the next run cuts it off. A damaged line in the middle is set aside with a warning; where two lines ran together
because their line break was lost, the second is still found.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import msgspec

from batchfree.core.errors import StorageError, unwritable
from batchfree.journal.attempts import Attempt

FORMAT = 1
SYNC_EVERY = 1.0
"""Seconds that an answer waits for its fsync at most."""
LINE_START = b'{"at":"'
MIB = 1 << 20


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: whose journal this is. `file` is the job file as seen from the run folder."""

    batchfree: int
    version: str
    job: str
    file: str
    spec: str
    input: str


class AnyHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What every format of header has: the format's number, and the version that wrote it."""

    batchfree: int
    version: str = "unknown"


class JournalLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An attempt and where its line starts and ends, in bytes. A struct, for millions of them are made."""

    attempt: Attempt
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedLine:
    """A line that can't be read, counted from one."""

    line: int
    why: str


_attempts = msgspec.json.Decoder(Attempt)
_headers = msgspec.json.Decoder(Header)
_formats = msgspec.json.Decoder(AnyHeader)


def read_header(path: Path, *, any_format: bool = False) -> Header | None:
    """The header; None where the file is missing or its first line damaged. Another format raises StorageError."""
    try:
        with path.open("rb") as file:
            first = file.readline()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        written = _formats.decode(first)
        if written.batchfree == FORMAT or any_format:
            return _headers.decode(first)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    raise StorageError(
        f"{path}: this journal has format {written.batchfree}, written by batchfree {written.version}; "
        f"this version reads format {FORMAT}. Use that version, or start anew with --fresh."
    )


def unreadable(path: Path, error: OSError) -> StorageError:
    """The error of a journal that is there but can't be read."""
    return StorageError(f"{path}: the journal can't be read: {error.strerror}.")


def read(path: Path, damaged: Callable[[DamagedLine], None] = lambda damage: None) -> Iterator[JournalLine]:
    """Every attempt of the journal in the order of writing, also while a run is going. Raises StorageError."""
    try:
        with path.open("rb") as file:
            yield from scan(file, damaged)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unreadable(path, error) from error


def scan(file: Iterable[bytes], damaged: Callable[[DamagedLine], None]) -> Iterator[JournalLine]:
    """The attempts in the lines of an open journal."""
    start, decode = 0, _attempts.decode
    for number, raw in enumerate(file, start=1):
        end = start + len(raw)
        try:
            if raw.endswith(b"\n"):
                yield JournalLine(attempt=decode(raw), start=start, end=end)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if raw.strip() and not (number == 1 and _is_header(raw)):
                damaged(DamagedLine(line=number, why=str(error)))
            yield from _last_in(raw, start)
        start = end


def _is_header(raw: bytes) -> bool:
    return raw.startswith(b'{"batchfree":') and LINE_START not in raw


def _last_in(raw: bytes, start: int) -> Iterator[JournalLine]:
    """The readable attempt that ends a damaged line, if there is one."""
    inner = raw.find(LINE_START, 1)
    while inner > 0:
        try:
            yield JournalLine(attempt=_attempts.decode(raw[inner:]), start=start + inner, end=start + len(raw))
            return
        except (msgspec.DecodeError, UnicodeDecodeError):
            inner = raw.find(LINE_START, inner + 1)


def read_at(fd: int, start: int, length: int) -> Attempt:
    """The attempt in so many bytes of an open journal. Raises OSError, and ValueError where it is not there."""
    return _attempts.decode(os.pread(fd, length, start))


class Journal:
    """An open journal, for the one run that holds the lock. Every method but one is synchronous on purpose."""

    def __init__(self, path: Path, header: Header) -> None:
        """Opens or begins it, and cuts a torn last line off. Raises StorageError."""
        self._path = path
        self._encoder = msgspec.json.Encoder()
        self._appended, self._torn = anyio.Event(), False
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            self._end = self._cut_torn_line()
            if not self._end:
                self._write(self._encoder.encode(header) + b"\n")
            os.fsync(self._fd)
        except OSError as error:
            os.close(self._fd)
            raise self._unwritable(error) from error

    def append(self, attempt: Attempt) -> JournalLine:
        """Writes one line; on return it survives a killed process. Raises StorageError; then nothing of it stays."""
        start = self._end
        try:
            self._write(self._encoder.encode(attempt) + b"\n")
        except OSError as error:
            raise StorageError(
                f"{self._path}: an answer can't be written: {error.strerror}. What was recorded before is safe. "
                "Make room and run the same command again."
            ) from error
        self._appended.set()
        return JournalLine(attempt=attempt, start=start, end=self._end)

    async def keep_synced(self) -> None:
        """Makes what was appended survive a power cut, a second later at most, until it is cancelled; then `close`
        does. Raises StorageError."""
        while True:
            await self._appended.wait()
            await anyio.sleep(SYNC_EVERY)
            self.sync()

    @property
    def is_dirty(self) -> bool:
        """Whether a power cut could still take something that was appended."""
        return self._appended.is_set()

    def sync(self) -> None:
        """After this, what was appended survives a power cut. Raises StorageError."""
        if not self.is_dirty:
            return
        self._appended = anyio.Event()
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise StorageError(
                f"{self._path}: the disk fails: {error.strerror}. The answers of the last seconds may be lost; "
                "all others are safe."
            ) from error

    def has_room(self) -> bool:
        """Whether the disk can take the answers of the requests in flight; asked before a request is sent."""
        try:
            disk, own = os.fstatvfs(self._fd), os.fstat(self._fd)
        except OSError:
            return False
        most = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        may_grow = most == resource.RLIM_INFINITY or own.st_size + MIB <= most
        return may_grow and own.st_nlink > 0 and disk.f_bavail * disk.f_frsize >= MIB

    def close(self) -> None:
        """Syncs and closes. Raises StorageError where the last second could not be made durable."""
        try:
            self.sync()
        finally:
            os.close(self._fd)

    def _unwritable(self, error: OSError) -> StorageError:
        return unwritable(f"{self._path}: the journal can't be written", error)

    def _write(self, line: bytes) -> None:
        """Appends the whole line, or nothing."""
        if self._torn:
            self._cut_to_end()
        written = 0
        try:
            while written < len(line):
                written += os.write(self._fd, line[written:])
        except OSError:
            self._torn = True
            self._cut_to_end()
            raise
        self._end += len(line)

    def _cut_to_end(self) -> None:
        os.ftruncate(self._fd, self._end)
        self._torn = False

    def _cut_torn_line(self) -> int:
        """Ends the file after its last line break; its new length in bytes."""
        size = end = os.fstat(self._fd).st_size
        while end:
            block = os.pread(self._fd, min(end, 1 << 16), max(0, end - (1 << 16)))
            cut = block.rfind(b"\n")
            if cut >= 0:
                end = end - len(block) + cut + 1
                break
            end -= len(block)
        if end < size:
            os.ftruncate(self._fd, end)
        return end
