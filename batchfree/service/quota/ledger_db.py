"""The SQLite file under the ledger: opened or begun, one transaction at a time, its errors told in plain words."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchfree.core.errors import StorageError

FORMAT = 1
BUSY = 10.0
"""Seconds to wait for another process's transaction."""
ELSEWHERE = "It must be a writable file in a writable folder; BATCHFREE_STATE_DIR names another."

SCHEMA = """
CREATE TABLE starts (id INTEGER PRIMARY KEY, at REAL NOT NULL, job TEXT NOT NULL, refused INTEGER NOT NULL DEFAULT 0);
CREATE INDEX starts_at ON starts (at);
CREATE TABLE days (day INTEGER, job TEXT, starts INTEGER NOT NULL, PRIMARY KEY (day, job)) WITHOUT ROWID;
CREATE TABLE closures (reason TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE learned (one INTEGER PRIMARY KEY CHECK (one = 1), per_minute INTEGER, at REAL, named INTEGER);
CREATE TABLE words (at REAL NOT NULL, day_limit INTEGER, elsewhere INTEGER NOT NULL);
CREATE TABLE tickets (id INTEGER PRIMARY KEY, owner TEXT UNIQUE NOT NULL, opens REAL NOT NULL);
"""


class LedgerFile:
    """An open file. Every error of it becomes a StorageError that names it."""

    def __init__(self, path: Path) -> None:
        """Opens or begins it; one of a newer format is refused."""
        self.path = path
        with self._in_plain_words():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = os.open(path.parent, os.O_RDONLY)
        try:
            with self._in_plain_words():
                fcntl.flock(folder, fcntl.LOCK_EX)  # SQLite does not wait for others that switch to WAL as well
                self._db = sqlite3.connect(path, timeout=BUSY, isolation_level=None)
            self._begin()
        finally:
            os.close(folder)

    def close(self) -> None:
        """Closes it."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Alone with the file inside the block; what the block wrote stays unless it raises."""
        with self._in_plain_words():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _begin(self) -> None:
        try:
            with self._in_plain_words():
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = NORMAL")
            with self.transaction() as db:
                self._found(db)
        except BaseException:
            self._db.close()
            raise

    def _found(self, db: sqlite3.Connection) -> None:
        format = db.execute("PRAGMA user_version").fetchone()[0]
        if format > FORMAT:
            raise StorageError(
                f"{self.path}: this quota ledger has format {format}, written by a newer batchfree; this version knows "
                f"format {FORMAT}. Use that version; deleting the file would lose only the memory of past starts."
            )
        if format < FORMAT:
            for statement in SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {FORMAT}")

    @contextmanager
    def _in_plain_words(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"{self.path}: the quota ledger can't be opened: {error.strerror}. {ELSEWHERE}"
            ) from error
        except sqlite3.OperationalError as error:
            raise StorageError(
                f"{self.path}: the quota ledger can't be read and written: {error}. {ELSEWHERE}"
            ) from error
        except sqlite3.Error as error:
            raise StorageError(
                f"{self.path}: the quota ledger is damaged: {error}. "
                "Delete the file: only the memory of past starts is lost."
            ) from error
