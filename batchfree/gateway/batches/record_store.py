"""Files and batches on disk: a folder for each, with a record that is replaced as a whole."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from batchfree.core.errors import unwritable
from batchfree.gateway.batches.batch_record import BatchRecord, FileRecord
from batchfree.journal.atomic_file import atomic_write

RecordT = TypeVar("RecordT", BatchRecord, FileRecord)
RECORD, CONTENT, UNFINISHED = "record.json", "content", ".unfinished"


class RecordStore(Generic[RecordT]):
    """The records of one kind, by id. A folder without a record was left by a killed process, and is removed."""

    def __init__(self, folder: Path, kind: type[RecordT], prefix: str) -> None:
        """Reads all records. Raises StorageError."""
        self._folder, self._prefix = folder, prefix
        self._records: dict[str, RecordT] = {}
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in sorted(folder.iterdir()):
                self._load(path, kind)
        except OSError as error:
            raise unwritable(f"{folder}: the files of `serve` can't be used", error) from error

    def _load(self, path: Path, kind: type[RecordT]) -> None:
        if re.fullmatch(rf"{self._prefix}[0-9a-f]{{24}}({UNFINISHED})?", path.name) is None:
            return
        if not (path / RECORD).exists():
            shutil.rmtree(path, ignore_errors=True)
            return
        try:
            record = msgspec.json.decode((path / RECORD).read_bytes(), type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        self._records[record.id] = record

    def new_id(self) -> str:
        """An id that no record has."""
        return self._prefix + os.urandom(12).hex()

    def folder(self, id: str) -> Path:
        """The folder of a record."""
        return self._folder / id

    def get(self, id: str) -> RecordT | None:
        """The record with this id; None if there is none."""
        return self._records.get(id)

    def all(self) -> list[RecordT]:
        """All records, the newest first."""
        return sorted(self._records.values(), key=lambda record: (record.created_at, record.id), reverse=True)

    @contextmanager
    def making(self, id: str) -> Iterator[Path]:
        """A new folder, to be filled inside the block. It is removed at the end unless `put` made it a record."""
        folder = self.folder(id)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            if id not in self._records:
                shutil.rmtree(folder, ignore_errors=True)

    def put(self, record: RecordT) -> None:
        """Writes a record durably into its folder. Raises OSError."""
        with atomic_write(self.folder(record.id) / RECORD) as unfinished:
            unfinished.write_bytes(msgspec.json.encode(record))
        self._records[record.id] = record

    def change(self, id: str, change: Callable[[RecordT], RecordT]) -> RecordT:
        """Changes a record and writes it. Raises OSError."""
        record = change(self._records[id])
        self.put(record)
        return record

    def remove(self, id: str) -> None:
        """Removes a record and its folder."""
        del self._records[id]
        shutil.rmtree(self.folder(id), ignore_errors=True)
