"""Where a ledger is kept: in a SQLite file of this machine, or in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from batchfree.core.errors import Mistake, SpecError
from batchfree.jobspec.variables import LEDGER_VARIABLE
from batchfree.service.quota.account import LedgerUrl
from batchfree.service.quota.ledger_db import LedgerFile
from batchfree.service.quota.ledger_entries import Database


class Store(Protocol):
    """Where a ledger is kept: `ledger_db.LedgerFile` or `ledger_server.LedgerServer`."""

    name: str
    """The ledger as people write it, without a password."""
    clock_offset: float
    """Seconds by which the clock of the ledger is ahead of the clock of this process."""
    takes_round_trips: bool
    """Whether a transaction waits for a network. False if the process keeps the clock, which would stand still."""

    def transaction(self) -> AbstractContextManager[Database]:
        """A transaction around the block. No other process reads or writes meanwhile."""

    def close(self) -> None:
        """Closes the ledger."""


def open_store(place: Path | LedgerUrl, clock: Callable[[], float], say: Callable[[str], None]) -> Store:
    """Opens a ledger or creates it. Raises StorageError, and SpecError for a URL that can't be used."""
    if isinstance(place, Path):
        return LedgerFile(place)
    try:
        from batchfree.service.quota.ledger_server import LedgerServer
    except ImportError as error:
        message = f"psycopg can't be used ({error}); install it with: pip install 'batchfree[postgres]'"
        raise SpecError([Mistake(file=LEDGER_VARIABLE, message=message)]) from error
    return LedgerServer(place, clock, say)
