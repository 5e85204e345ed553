"""The account: its fingerprint, the place of its ledger, and what is used of its quota."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from batchfree.core.chat import JsonObject
from batchfree.core.errors import Mistake, SpecError, StorageError
from batchfree.core.text import iso
from batchfree.core.urls import normalize_base_url
from batchfree.jobspec.variables import LEDGER_VARIABLE
from batchfree.service.quota.limits import Closure, Reason

LEDGER_SCHEMES = ("postgresql://", "postgres://")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerUrl:
    """The ledger of one account in a PostgreSQL database. The URL may hold a password, so it is never shown."""

    url: str = field(repr=False)
    fingerprint: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The `PG*` variables (PostgreSQL manual, "Environment Variables" of libpq). The URL overrides them."""
    own_clock: bool = True
    """Whether the clock of the database counts, so that machines agree. Otherwise the clock of the process counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaUsage:
    """What the account has used; a limit of None means no limit. `minute_used` counts the sliding window.

    Times are epoch seconds.
    """

    day_limit: int | None
    day_used: int
    day_resets_at: float
    minute_limit: int | None
    minute_used: int
    minute_resets_at: float
    closures: tuple[Closure, ...]
    jobs: Mapping[str, int]
    """Starts of this UTC day by job name."""

    def left(self, reason: Reason) -> int | None:
        """Requests left of the day or minute, 0 during a closure; None without a limit."""
        limit, used = (self.day_limit, self.day_used) if reason == "day" else (self.minute_limit, self.minute_used)
        closed = any(each.reason == reason for each in self.closures)
        return 0 if closed else None if limit is None else max(0, limit - used)

    def to_json(self) -> JsonObject:
        """As `quota --json` prints it."""
        return {
            "day": {
                "limit": self.day_limit,
                "used": self.day_used,
                "left": self.left("day"),
                "resets_at": iso(self.day_resets_at),
            },
            "minute": {
                "limit": self.minute_limit,
                "used": self.minute_used,
                "left": self.left("minute"),
                "resets_at": iso(self.minute_resets_at),
            },
            "jobs": [{"job": job, "today": starts} for job, starts in sorted(self.jobs.items())],
        }


def fingerprint(key: str | None, base_url: str, account: str | None = None) -> str:
    """32 hex digits that identify an account and its base URL without revealing the key.

    The account is the one with the name `account`, else the account of the key.
    """
    owner = ["key", key or ""] if account is None else ["account", account]
    text = "\0".join([*owner, normalize_base_url(base_url)])
    return hashlib.blake2b(text.encode(), digest_size=16, key=b"batchfree ledger").hexdigest()


def state_dir(environment: Mapping[str, str]) -> Path:
    """The folder of all ledgers: `$BATCHFREE_STATE_DIR`, or the user's state directory. Raises StorageError."""
    given = environment.get("BATCHFREE_STATE_DIR")
    if given and "\0" not in given:
        try:
            return Path(given).expanduser()
        except RuntimeError as error:
            raise StorageError("BATCHFREE_STATE_DIR names the home folder of a user who does not exist") from error
    return Path(platformdirs.user_state_dir("batchfree", appauthor=False))


def ledger_path(folder: Path, fingerprint: str) -> Path:
    """The path of the ledger of one account."""
    return folder / f"{fingerprint}.sqlite3"


def ledger_place(environment: Mapping[str, str], fingerprint: str) -> Path | LedgerUrl:
    """The ledger of one account: the one that `$BATCHFREE_LEDGER` names, else the file of this machine.

    Raises SpecError if the variable holds anything but a URL of PostgreSQL, and StorageError like `state_dir`.
    """
    url = environment.get(LEDGER_VARIABLE, "").strip()
    if not url:
        return ledger_path(state_dir(environment), fingerprint)
    if not url.startswith(LEDGER_SCHEMES):
        raise SpecError([Mistake(file=LEDGER_VARIABLE, message="expected postgresql://user:password@host/database")])
    variables = {name: value for name, value in environment.items() if name.startswith("PG") and value}
    return LedgerUrl(url=url, fingerprint=fingerprint, environment=variables)
