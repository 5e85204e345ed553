"""The ledger of an account: all starts of the last days, shared by all processes on the machine.

There is one SQLite file per account and base URL. A start is reserved before the request is sent, in one transaction
that also checks the limits. So two processes never decide on the same numbers, and a crash leaves at most one start
too many. All methods are synchronous, because a transaction takes less than a millisecond.

A process that has to wait gets a ticket with the time of its start, and sleeps until then. Other processes let an
earlier ticket go first when its time has come. After one more second they ignore it, because its process may be dead.
All methods raise StorageError with the path of the file.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeAlias

from batchfree.service.quota import learned
from batchfree.service.quota import limits as rules
from batchfree.service.quota.account import QuotaUsage
from batchfree.service.quota.learned import DayReport, LearnedCap
from batchfree.service.quota.ledger_db import LedgerFile
from batchfree.service.quota.limits import Closure, Limits, Opening, Reason

GRACE = 1.0
"""Seconds after the time of a ticket until it is ignored."""
POLL = 0.2
"""Seconds until a process that only waits for an earlier ticket asks again."""
KEPT_DAYS = 3
PRUNE_EVERY = 64
"""Number of starts after which old entries are deleted."""
TICKS_AHEAD = 2.0
"""Seconds by which a start may be ahead of this clock; beyond that the clock has been set back."""

Database: TypeAlias = sqlite3.Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A start reserved at `at` (epoch seconds). It counts whatever happens to the request."""

    id: int
    at: float
    job: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _AccountState:
    """What a decision depends on: the limits now, the requests of the day, and the closures."""

    limits: Limits
    used: int
    closures: tuple[Closure, ...]


class Ledger:
    """An open ledger. As a context manager it closes the file at the end."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """Opens the file or creates it. `clock` gives epoch seconds."""
        self._clock = clock
        self._owner = f"{os.getpid()}-{os.urandom(8).hex()}"
        self._file = LedgerFile(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Withdraws the ticket of this process and closes the file."""
        try:
            self.withdraw()
        finally:
            self._file.close()

    def reserve(self, limits: Limits, job: str) -> Start | Opening:
        """Reserves a start for all processes to see, or returns when to ask again."""
        with self._file.transaction() as db:
            now = self._clock()
            account = _account(db, limits, now)
            if account.limits.per_minute is None and account.limits.per_day is None and not account.closures:
                return _grant(db, now, job)
            opening = _decide(db, account, now)
            db.execute("DELETE FROM tickets WHERE opens < ?", (now - GRACE,))
            front: list[tuple[str, float]] = db.execute("SELECT owner, opens FROM tickets ORDER BY id").fetchall()
            mine = next((place for place, (owner, _) in enumerate(front) if owner == self._owner), None)
            front = front[:mine]
            if opening.at > now:
                ahead = sum(opens <= opening.at + rules.WINDOW for _, opens in front)
                opening = _decide(db, account, now, ahead) if ahead else opening
            elif not any(opens <= now for _, opens in front):
                if mine is not None:
                    _withdraw(db, self._owner)
                return _grant(db, now, job)
            _queue(db, self._owner, opening)
            return opening if opening.at > now else Opening(at=now + POLL, reason="minute")

    def is_limited(self, limits: Limits) -> bool:
        """Whether any limit holds now: of the job, learned from a refusal, or a closure."""
        with self._file.transaction() as db:
            account = _account(db, limits, self._clock())
            return account.limits.per_minute is not None or account.limits.per_day is not None or bool(account.closures)

    def add_starts(self, times: Iterable[float], job: str) -> None:
        """Adds starts that were made at these times (epoch seconds) without a reservation."""
        with self._file.transaction() as db:
            for at in times:
                _grant(db, at, job)

    def give_back(self, start: Start) -> None:
        """Deletes a start whose request was never sent."""
        with self._file.transaction() as db:
            gone = db.execute("DELETE FROM starts WHERE id = ? AND at = ?", (start.id, start.at)).rowcount
            less = "UPDATE days SET starts = starts - ? WHERE day = ? AND job = ?"
            db.execute(less, (gone, _day(start.at), start.job))

    def withdraw(self) -> None:
        """Withdraws the ticket of this process."""
        with self._file.transaction() as db:
            _withdraw(db, self._owner)

    def close_account(self, until: float, reason: Reason) -> None:
        """Closes the account: no process starts before `until` (epoch seconds). A longer closure stays."""
        with self._file.transaction() as db:
            now = self._clock()
            old = next((each for each in _closures(db, now) if each.reason == reason), None)
            until = max(until, old.until) if old else until
            db.execute("INSERT OR REPLACE INTO closures VALUES (?, ?)", (reason, until))

    def learn_cap(self, limits: Limits, refused: Start, *, named: int | None, resets_at: float | None) -> None:
        """Learns from a minute 429 that refused this start; `named` is the limit per minute that the 429 named."""
        with self._file.transaction() as db:
            now = self._clock()
            known = _learned(db)
            sql = "UPDATE starts SET refused = 1 WHERE id = coalesce(nullif(?, 0), id) AND at = ?"
            db.execute(sql, (refused.id, refused.at))
            since = learned.minute_start(refused.at, resets_at)
            sql = "SELECT count(*) FROM starts WHERE at >= ? AND at < ? AND NOT refused"
            through = db.execute(sql, (since, since + rules.MINUTE)).fetchone()[0]
            cap = learned.effective_limits(limits, known, (), now).per_minute
            new = learned.learn_cap(now, refused_at=refused.at, named=named, through=through, cap=cap, known=known)
            if new != known:
                fields = (new.per_minute, new.at, new.named)
                db.execute("INSERT OR REPLACE INTO learned VALUES (1, ?, ?, ?)", fields)

    def record_day_report(self, *, day_limit: int | None, day_used: int | None) -> None:
        """Records the service's report on the day: from `GET /key`, or the limit that a day 429 named."""
        with self._file.transaction() as db:
            now = self._clock()
            if learned.ends_day_closure(_reports(db), day_limit, day_used, now):
                db.execute("DELETE FROM closures WHERE reason = 'day'")
            more = max(0, (day_used or 0) - _own(db, now))
            db.execute("INSERT INTO words VALUES (?, ?, ?)", (now, day_limit, more))

    def usage(self, limits: Limits = rules.FREE) -> QuotaUsage:
        """What is used and left now under these limits."""
        with self._file.transaction() as db:
            now = self._clock()
            account = _account(db, limits, now)
            window = db.execute("SELECT at FROM starts WHERE at > ? ORDER BY at", (now - rules.WINDOW,)).fetchall()
            ends = {each.reason: each.until for each in account.closures}
            minute_ends = (ends.get("minute", now), *(at + rules.WINDOW for (at,) in window[-1:]))
            return QuotaUsage(
                day_limit=account.limits.per_day,
                day_used=_own(db, now) + learned.used_elsewhere(_reports(db), now),
                day_resets_at=ends.get("day", rules.next_day(now)),
                minute_limit=account.limits.per_minute,
                minute_used=len(window),
                minute_resets_at=max(now, *minute_ends),
                closures=account.closures,
                jobs=dict(db.execute("SELECT job, starts FROM days WHERE day = ? AND starts > 0", (_day(now),))),
            )


def _account(db: Database, limits: Limits, now: float) -> _AccountState:
    closures = _closures(db, now)
    reports = () if limits.per_day is None else _reports(db)
    limits = learned.effective_limits(limits, _learned(db), reports, now)
    own = 0 if limits.per_day is None else _own(db, now)
    provisional = learned.provisional_closure(reports, own, limits, now)
    if provisional:
        return _AccountState(limits=limits, used=own, closures=(*closures, provisional))
    return _AccountState(limits=limits, used=own + learned.used_elsewhere(reports, now), closures=closures)


def _decide(db: Database, account: _AccountState, now: float, ahead: int = 0) -> Opening:
    """The earliest time of a start that comes after `ahead` others. Reads only as many past starts as needed.

    If the clock was set back, starts in the future are changed to starts of this moment.
    """
    cap = account.limits.per_minute or 1
    sql = "SELECT at FROM starts WHERE at > ? ORDER BY at DESC LIMIT ? OFFSET ?"
    whole = ahead or db.execute(sql, (now - rules.WINDOW, 1, cap - 1)).fetchone()
    starts = [at for (at,) in db.execute(sql, (now - rules.WINDOW, cap if whole else 1, 0))][::-1]
    if starts and starts[-1] > now + TICKS_AHEAD:
        db.execute("UPDATE starts SET at = ? WHERE at > ?", (now, now + TICKS_AHEAD))
    return rules.opens_at(now, starts, account.used, account.limits, account.closures, ahead)


def _day(now: float) -> int:
    return int(now // rules.DAY)


def _own(db: Database, now: float) -> int:
    return int(db.execute("SELECT total(starts) FROM days WHERE day = ?", (_day(now),)).fetchone()[0])


def _closures(db: Database, now: float) -> tuple[Closure, ...]:
    rows = db.execute("SELECT reason, until FROM closures").fetchall()
    found = (Closure(reason=reason, until=until) for reason, until in rows)
    return tuple(each for each in found if rules.is_in_force(each, now))


def _learned(db: Database) -> LearnedCap | None:
    row = db.execute("SELECT per_minute, at, named FROM learned").fetchone()
    return None if row is None else LearnedCap(per_minute=row[0], at=row[1], named=bool(row[2]))


def _reports(db: Database) -> tuple[DayReport, ...]:
    rows = db.execute("SELECT at, day_limit, elsewhere FROM words").fetchall()
    return tuple(DayReport(at=at, limit=limit, elsewhere=more) for at, limit, more in rows)


def _grant(db: Database, now: float, job: str) -> Start:
    id = db.execute("INSERT INTO starts (at, job) VALUES (?, ?)", (now, job)).lastrowid or 0
    more = "INSERT INTO days VALUES (?, ?, 1) ON CONFLICT (day, job) DO UPDATE SET starts = starts + 1"
    db.execute(more, (_day(now), job))
    if id % PRUNE_EVERY == 0:
        _prune(db, now)
    return Start(id=id, at=now, job=job)


def _queue(db: Database, owner: str, opening: Opening) -> None:
    sql = "INSERT INTO tickets (owner, opens) VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET opens = excluded.opens"
    db.execute(sql, (owner, opening.at))


def _withdraw(db: Database, owner: str) -> None:
    db.execute("DELETE FROM tickets WHERE owner = ?", (owner,))


def _prune(db: Database, now: float) -> None:
    """Deletes entries that no decision needs any more."""
    db.execute("DELETE FROM starts WHERE at < ?", (now - 2 * rules.WINDOW,))
    db.execute("DELETE FROM days WHERE day < ?", (_day(now) - KEPT_DAYS,))
    db.execute("DELETE FROM words WHERE at < ?", (now - KEPT_DAYS * rules.DAY,))
