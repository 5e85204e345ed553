"""Whose quota is it, what is used of it, and where its ledger lies: under a fingerprint that reveals nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from batchfree.core.urls import normalize_base_url
from batchfree.service.quota.limits import Closure, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaUsage:
    """What the account has used; a limit of None is none. `minute_used` counts the sliding window.

    What is left can be less than limit minus use: nothing, while a closure holds.
    """

    day_limit: int | None
    day_used: int
    day_resets_at: float
    minute_limit: int | None
    minute_used: int
    minute_resets_at: float
    closures: tuple[Closure, ...]
    jobs: Mapping[str, int]
    """Starts of this UTC day by job."""

    def left(self, reason: Reason) -> int | None:
        """Requests left of the day or minute; None where there is no limit."""
        limit, used = (self.day_limit, self.day_used) if reason == "day" else (self.minute_limit, self.minute_used)
        closed = any(each.reason == reason for each in self.closures)
        return 0 if closed else None if limit is None else max(0, limit - used)


def fingerprint(key: str | None, base_url: str, account: str | None = None) -> str:
    """32 hex digits that are equal for equal accounts: the one named `account`, else the one that the key opens."""
    owner = ["key", key or ""] if account is None else ["account", account]
    text = "\0".join([*owner, normalize_base_url(base_url)])
    return hashlib.blake2b(text.encode(), digest_size=16, key=b"batchfree ledger").hexdigest()


def state_dir(environment: Mapping[str, str]) -> Path:
    """The folder of all ledgers: `$BATCHFREE_STATE_DIR`, else the user's state directory."""
    given = environment.get("BATCHFREE_STATE_DIR")
    return Path(given).expanduser() if given else Path(platformdirs.user_state_dir("batchfree", appauthor=False))


def ledger_path(folder: Path, fingerprint: str) -> Path:
    """Where the ledger of an account lies."""
    return folder / f"{fingerprint}.sqlite3"
