"""The SQLite file of the ledger: opens or creates it, runs transactions, and turns errors into StorageError."""

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
"""Longest wait in seconds for a transaction of another process."""
ADVICE = "It must be a writable file in a writable folder. Set BATCHFREE_STATE_DIR to use another folder."
BUSY_ADVICE = (
    f"another program has held it for more than {BUSY:g} s. A backup or an SQLite shell may do that: "
    "wait for it or end it, then run the same command again."
)

# In `words` are the day reports, in `tickets` the processes that wait; the names are part of the file format.
SCHEMA = """
CREATE TABLE starts (id INTEGER PRIMARY KEY, at REAL NOT NULL, job TEXT NOT NULL, refused INTEGER NOT NULL DEFAULT 0);
CREATE INDEX starts_at ON starts (at);
CREATE TABLE days (day INTEGER, job TEXT, starts INTEGER NOT NULL, PRIMARY KEY (day, job)) WITHOUT ROWID;
CREATE TABLE closures (reason TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE learned (one INTEGER PRIMARY KEY CHECK (one = 1), per_minute INTEGER, at REAL, named INTEGER);
CREATE TABLE words (at REAL NOT NULL, day_limit INTEGER, elsewhere INTEGER NOT NULL);
CREATE TABLE tickets (id INTEGER PRIMARY KEY, owner TEXT UNIQUE NOT NULL, opens REAL NOT NULL);
"""


IN_MEMORY = Path(":memory:")
"""SQLite's name of a database without a file."""


class LedgerFile:
    """An open file. Its methods raise StorageError with the path of the file."""

    clock_offset = 0.0
    """A file has no clock of its own."""
    takes_round_trips = False

    def __init__(self, path: Path) -> None:
        """Opens the file or creates it; `IN_MEMORY` needs no file. Raises StorageError, also for a newer format."""
        self.path = path
        self.name = "in memory" if path == IN_MEMORY else str(path)
        if path == IN_MEMORY:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._prepare()
            return
        with self._storage_errors():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = os.open(path.parent, os.O_RDONLY)
        try:
            with self._storage_errors():
                fcntl.flock(folder, fcntl.LOCK_EX)  # SQLite does not wait while another process switches to WAL
                if not path.exists():
                    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
                self._db = sqlite3.connect(path, timeout=BUSY, isolation_level=None)
            self._prepare()
        finally:
            os.close(folder)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction around the block, with the only write access; rolled back if the block raises."""
        with self._storage_errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _prepare(self) -> None:
        try:
            with self._storage_errors():
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = NORMAL")
            with self.transaction() as db:
                self._create_tables(db)
        except BaseException:
            self._db.close()
            raise

    def _create_tables(self, db: sqlite3.Connection) -> None:
        format = db.execute("PRAGMA user_version").fetchone()[0]
        if format > FORMAT:
            raise StorageError(
                f"{self.path}: this quota ledger has format {format}, written by a newer batchfree; this version reads "
                f"format {FORMAT}. Use the newer version, or delete the file: only the count of past starts is lost."
            )
        if format < FORMAT:
            for statement in SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {FORMAT}")

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"{self.path}: the quota ledger can't be opened: {error.strerror}. {ADVICE}") from error
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise StorageError(f"{self.path}: the quota ledger is locked: {BUSY_ADVICE}") from error
            raise StorageError(f"{self.path}: the quota ledger can't be read and written: {error}. {ADVICE}") from error
        except sqlite3.Error as error:
            raise StorageError(
                f"{self.path}: the quota ledger is damaged: {error}. "
                "Delete the file: only the count of past starts is lost."
            ) from error
