"""The state of an account in its ledger, and the time of its next start. Both are read in one transaction."""

from __future__ import annotations

from dataclasses import dataclass

from batchfree.service.quota import learned
from batchfree.service.quota import ledger_entries as entries
from batchfree.service.quota import limits as rules
from batchfree.service.quota.ledger_entries import Database
from batchfree.service.quota.limits import Closure, Limits, Opening

TICKS_AHEAD = 2.0
"""Seconds by which a start may be ahead of this clock; beyond that the clock has been set back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """What a decision depends on: the limits now, the requests of the day, and the closures."""

    limits: Limits
    used: int
    closures: tuple[Closure, ...]


def read_account(db: Database, limits: Limits, now: float) -> AccountState:
    """The state of the account under these limits; `now` is in epoch seconds."""
    closures = entries.closures(db, now)
    reports = () if limits.per_day is None else entries.day_reports(db)
    limits = learned.effective_limits(limits, entries.learned_cap(db), reports, now)
    own = 0 if limits.per_day is None else entries.starts_of_day(db, now)
    provisional = learned.provisional_closure(reports, own, limits, now)
    if provisional:
        return AccountState(limits=limits, used=own, closures=(*closures, provisional))
    return AccountState(limits=limits, used=own + learned.used_elsewhere(reports, now), closures=closures)


def next_opening(db: Database, account: AccountState, now: float, ahead: int = 0) -> Opening:
    """The earliest time of a start that comes after `ahead` others. Reads only as many past starts as needed.

    If the clock was set back, starts in the future are changed to starts of this moment.
    """
    cap = account.limits.per_minute or 1
    sql = "SELECT at FROM starts WHERE at > ? ORDER BY at DESC LIMIT ? OFFSET ?"
    whole = ahead or db.execute(sql, (now - rules.WINDOW, 1, cap - 1)).fetchone()
    starts = [at for (at,) in db.execute(sql, (now - rules.WINDOW, cap if whole else 1, 0)).fetchall()][::-1]
    if starts and starts[-1] > now + TICKS_AHEAD:
        db.execute("UPDATE starts SET at = ? WHERE at > ?", (now, now + TICKS_AHEAD))
    return rules.opens_at(now, starts, account.used, account.limits, account.closures, ahead)
