"""The journal of a job, open for writing: one JSON line per attempt, appended before the answer is used."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import anyio
import msgspec

from batchfree.core.errors import StorageError, unwritable
from batchfree.journal.attempts import Attempt
from batchfree.journal.checked_lines import holds_several_lines, with_checksum
from batchfree.journal.journal_lines import LONGEST_LINE, Header, JournalLine

SYNC_EVERY = 1.0
"""Longest time in seconds between writing an answer and its fsync."""
LOOK_EVERY = 60.0
"""Seconds between two checks that the file is still in its place, while no request is sent."""
CHECK_EVERY, CHECK_BYTES = 0.05, 1 << 16
"""For so many seconds and so many bytes of new lines the disk is not asked again for its free space."""
MIB = 1 << 20
DISK_FULL = "the disk of the run folder is full; make room, then run again"


class Journal:
    """The journal, open for writing. `append` is synchronous, so that no cancellation can lose an answer."""

    def __init__(self, path: Path, header: Header) -> None:
        """Opens the journal or starts a new one, and cuts off an unfinished last line. Raises StorageError."""
        self._path, self._name = path, str(path)
        self._encoder = msgspec.json.Encoder()
        self._appended, self._torn = anyio.Event(), False  # torn: part of a line could not be cut off again
        self._roomy_until, self._roomy_end = float("-inf"), 0  # until when there is room by the last look
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            self._end = self._cut_torn_line()
            if not self._end:
                self._write(with_checksum(self._encoder.encode(header)))
            os.fsync(self._fd)
            self._opened = os.fstat(self._fd)
        except OSError as error:
            os.close(self._fd)
            raise self._unwritable(error) from error

    def append(self, attempt: Attempt) -> JournalLine:
        """Writes one line, which then survives a killed process. Raises StorageError; then no part of it is written."""
        start = self._end
        try:
            self._write(with_checksum(self._encoder.encode(attempt)))
        except OSError as error:
            raise StorageError(
                f"{self._path}: an answer can't be written: {error.strerror}. All answers before it are safe. "
                "Free some disk space and run the same command again."
            ) from error
        self._appended.set()
        return JournalLine(attempt=attempt, start=start, end=self._end)

    async def keep_synced(self) -> None:
        """Calls `sync` one second after an append, until it is cancelled. Raises StorageError."""
        while True:
            await self._appended.wait()
            await anyio.sleep(SYNC_EVERY)
            self.sync()

    @property
    def is_dirty(self) -> bool:
        """Whether some appended lines are not yet on disk and would be lost in a power cut."""
        return self._appended.is_set()

    def sync(self) -> None:
        """Makes all appended lines survive a power cut (fsync). Raises StorageError."""
        if not self.is_dirty:
            return
        self._appended = anyio.Event()
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise StorageError(
                f"{self._path}: the disk reports an error: {error.strerror}. Answers of the last seconds may be lost; "
                "all others are safe. Check the disk, then run the same command again."
            ) from error

    def check(self) -> None:
        """Raises StorageError if answers could be lost: a full disk, or a journal that was moved or deleted.

        Called before every request. 1 MiB must be free for the answers in flight; the disk is asked again after
        `CHECK_EVERY` seconds or `CHECK_BYTES` of new lines.
        """
        self._check_place()
        now = time.monotonic()
        if now < self._roomy_until and self._end < self._roomy_end:
            return
        try:
            disk = os.fstatvfs(self._fd)
        except OSError as error:
            raise self._unwritable(error) from error
        most = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        left = most - MIB - self._end if most != resource.RLIM_INFINITY else CHECK_BYTES
        if left < 0 or disk.f_bavail * disk.f_frsize < MIB:
            raise StorageError(DISK_FULL)
        self._roomy_until, self._roomy_end = now + CHECK_EVERY, self._end + min(left, CHECK_BYTES)

    async def watch_place(self) -> None:
        """Checks once a minute that the file was not moved or deleted, until it is cancelled. Raises StorageError."""
        while True:
            await anyio.sleep(LOOK_EVERY)
            self._check_place()

    def close(self) -> None:
        """Syncs and closes the file. Raises StorageError if the last lines could not be synced, or are gone."""
        try:
            self.sync()
            self._check_place()
        finally:
            os.close(self._fd)

    def _check_place(self) -> None:
        try:
            found: os.stat_result | None = os.stat(self._name)  # noqa: PTH116 - pathlib takes thrice as long
        except OSError:
            found = None
        if found is None or not os.path.samestat(found, self._opened):
            raise StorageError(
                f"{self._path}: the journal was moved or deleted during the run. Put the run folder back, so that "
                "no row is asked twice, then run the same command again."
            )

    def _unwritable(self, error: OSError) -> StorageError:
        return unwritable(f"{self._path}: the journal can't be written", error)

    def _write(self, line: bytes) -> None:
        """Appends the whole line or nothing."""
        if self._torn:
            self._cut_to_end()
        try:
            written = os.write(self._fd, line)
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
        """Cuts the file after its last line break. Returns the new length in bytes.

        If several lines follow the last line break, they lost theirs. Then they get one, as a damaged line.
        """
        size = end = os.fstat(self._fd).st_size
        while end:
            block = os.pread(self._fd, min(end, 1 << 16), max(0, end - (1 << 16)))
            cut = block.rfind(b"\n")
            if cut >= 0:
                end = end - len(block) + cut + 1
                break
            end -= len(block)
        if end < size:
            if holds_several_lines(os.pread(self._fd, min(size - end, LONGEST_LINE), end)):
                return size + os.write(self._fd, b"\n")
            os.ftruncate(self._fd, end)
        return end
