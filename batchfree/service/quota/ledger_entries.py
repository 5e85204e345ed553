"""The entries of a ledger: what a transaction reads and writes. The statements are valid for SQLite and PostgreSQL.

Every function works inside an open transaction. All times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from batchfree.service.quota import limits as rules
from batchfree.service.quota.learned import DayReport, LearnedCap
from batchfree.service.quota.limits import Closure

KEPT_DAYS = 3
PRUNE_EVERY = 64
"""Number of starts after which old entries are deleted."""


class ResultSet(Protocol):
    """What a statement returns: the cursor of SQLite or of psycopg."""

    @property
    def rowcount(self) -> int:
        """Number of rows that the statement changed."""

    def fetchone(self) -> Any:
        """The next row; None after the last one."""

    def fetchall(self) -> Any:
        """All rows that are left."""


class Database(Protocol):
    """A database inside an open transaction."""

    def execute(self, sql: str, values: Sequence[float | str | None] = (), /) -> ResultSet:
        """Runs one statement; each `?` in it stands for a value."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """A start reserved at `at` (epoch seconds). It counts whatever happens to the request."""

    id: int
    at: float
    job: str


def day_of(now: float) -> int:
    """The number of the UTC day."""
    return int(now // rules.DAY)


def starts_of_day(db: Database, now: float) -> int:
    """Starts of this UTC day, by all jobs."""
    return int(db.execute("SELECT coalesce(sum(starts), 0) FROM days WHERE day = ?", (day_of(now),)).fetchone()[0])


def starts_by_job(db: Database, now: float) -> dict[str, int]:
    """Starts of this UTC day by job name."""
    return dict(db.execute("SELECT job, starts FROM days WHERE day = ? AND starts > 0", (day_of(now),)).fetchall())


def add_start(db: Database, now: float, job: str) -> Start:
    """Adds a start, and deletes old entries now and then."""
    id = db.execute("INSERT INTO starts (at, job) VALUES (?, ?) RETURNING id", (now, job)).fetchone()[0]
    more = "INSERT INTO days VALUES (?, ?, 1) ON CONFLICT (day, job) DO UPDATE SET starts = days.starts + 1"
    db.execute(more, (day_of(now), job))
    if id % PRUNE_EVERY == 0:
        _prune(db, now)
    return Start(id=id, at=now, job=job)


def remove_start(db: Database, start: Start) -> None:
    """Deletes a start; does nothing if it is deleted already."""
    gone = db.execute("DELETE FROM starts WHERE id = ? AND at = ?", (start.id, start.at)).rowcount
    less = "UPDATE days SET starts = starts - ? WHERE day = ? AND job = ?"
    db.execute(less, (gone, day_of(start.at), start.job))


def mark_refused(db: Database, start: Start) -> None:
    """Marks a start that the service refused. A start without an id is found by its time."""
    sql = "UPDATE starts SET refused = 1 WHERE id = coalesce(nullif(?, 0), id) AND at = ?"
    db.execute(sql, (start.id, start.at))


def starts_not_refused(db: Database, since: float, until: float) -> int:
    """Number of starts from `since` to `until` that were not refused."""
    sql = "SELECT count(*) FROM starts WHERE at >= ? AND at < ? AND refused = 0"
    return int(db.execute(sql, (since, until)).fetchone()[0])


def closures(db: Database, now: float) -> tuple[Closure, ...]:
    """The closures that are in force."""
    rows = db.execute("SELECT reason, until FROM closures").fetchall()
    found = (Closure(reason=reason, until=until) for reason, until in rows)
    return tuple(each for each in found if rules.is_in_force(each, now))


def put_closure(db: Database, closure: Closure) -> None:
    """Writes a closure in the place of an earlier one with its reason."""
    sql = "INSERT INTO closures VALUES (?, ?) ON CONFLICT (reason) DO UPDATE SET until = excluded.until"
    db.execute(sql, (closure.reason, closure.until))


def learned_cap(db: Database) -> LearnedCap | None:
    """The learned limit per minute."""
    row = db.execute("SELECT per_minute, at, named FROM learned").fetchone()
    return None if row is None else LearnedCap(per_minute=row[0], at=row[1], named=bool(row[2]))


def put_learned_cap(db: Database, cap: LearnedCap) -> None:
    """Writes the learned limit per minute in the place of the earlier one."""
    db.execute("DELETE FROM learned")
    db.execute("INSERT INTO learned VALUES (1, ?, ?, ?)", (cap.per_minute, cap.at, int(cap.named)))


def day_reports(db: Database) -> tuple[DayReport, ...]:
    """The service's reports on the day."""
    rows = db.execute("SELECT at, day_limit, elsewhere FROM words").fetchall()
    return tuple(DayReport(at=at, limit=limit, elsewhere=more) for at, limit, more in rows)


def tickets(db: Database, now: float, grace: float) -> list[tuple[str, float]]:
    """Owner and opening time of each ticket in the order of arrival; deletes those older than `grace` seconds."""
    db.execute("DELETE FROM tickets WHERE opens < ?", (now - grace,))
    return [(owner, opens) for owner, opens in db.execute("SELECT owner, opens FROM tickets ORDER BY id").fetchall()]


def put_ticket(db: Database, owner: str, opens: float) -> None:
    """Gives the owner a ticket; a ticket that the owner has keeps its place."""
    sql = "INSERT INTO tickets (owner, opens) VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET opens = excluded.opens"
    db.execute(sql, (owner, opens))


def remove_ticket(db: Database, owner: str) -> None:
    """Deletes the ticket of the owner."""
    db.execute("DELETE FROM tickets WHERE owner = ?", (owner,))


def _prune(db: Database, now: float) -> None:
    """Deletes entries that no decision needs any more."""
    db.execute("DELETE FROM starts WHERE at < ?", (now - 2 * rules.WINDOW,))
    db.execute("DELETE FROM days WHERE day < ?", (day_of(now) - KEPT_DAYS,))
    db.execute("DELETE FROM words WHERE at < ?", (now - KEPT_DAYS * rules.DAY,))
