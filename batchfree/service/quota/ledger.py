"""The ledger of an account: all starts of the last days, shared by all processes that use the account.

The processes of one machine share a SQLite file. The processes of several machines share a PostgreSQL database. A start
is reserved before the request is sent, in one transaction that also checks the limits. So two processes never decide on
the same numbers, and a crash leaves at most one start too many. All methods are synchronous, because a transaction
takes about a millisecond.

A process that has to wait gets a ticket with the time of its start, and sleeps until then. Other processes let an
earlier ticket start first when its time has come. After one more second they ignore it: its process may be dead.

A database needs a dozen round trips for a start, so `beside_loop` makes it in a thread. Transactions never overlap.

All methods raise StorageError, which names the ledger. `reserve`, `is_limited` and `usage` raise UnavailableError while
a database is out of reach. What the other methods write is then kept in memory until the database is back.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

import anyio.to_thread

from batchfree.core.errors import UnavailableError
from batchfree.service.quota import learned
from batchfree.service.quota import ledger_entries as entries
from batchfree.service.quota import limits as rules
from batchfree.service.quota.account import LedgerUrl, QuotaUsage
from batchfree.service.quota.account_state import next_opening, read_account
from batchfree.service.quota.ledger_entries import Database, Start
from batchfree.service.quota.ledger_store import open_store
from batchfree.service.quota.limits import Closure, Limits, Opening, Reason

T = TypeVar("T")

GRACE = 1.0
"""Seconds after the time of a ticket until it is ignored."""
POLL = 0.02
"""Seconds until a process that only waits for an earlier ticket asks again."""


class Ledger:
    """An open ledger. As a context manager it closes the ledger at the end."""

    def __init__(
        self, place: Path | LedgerUrl, clock: Callable[[], float], say: Callable[[str], None] = lambda sentence: None
    ) -> None:
        """Opens the ledger or creates it. `clock` gives epoch seconds; `say` takes a sentence if a database is away.

        Raises StorageError, and SpecError for a URL that can't be used.
        """
        self._clock = clock
        self._owner = f"{os.getpid()}-{os.urandom(8).hex()}"
        self._postponed = list[Callable[[Database], None]]()
        self._say, self._unsaid = say, list[str]()
        self._alone = threading.Lock()
        self._store = open_store(place, clock, self._unsaid.append)
        self._say_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The path of the file, or the URL of the database without a password."""
        return self._store.name

    def clock(self) -> float:
        """Epoch seconds on the clock of the ledger: the clock of this process, or that of the database."""
        return self._clock() + self._store.clock_offset

    def close(self) -> None:
        """Withdraws the ticket of this process and closes the ledger."""
        try:
            self.withdraw()
        finally:
            self._store.close()

    async def beside_loop(self, act: Callable[[], T]) -> T:
        """The result of `act`, which may call `reserve`, `is_limited` and `usage`.

        It is called in a thread if the ledger takes round trips over a network. A cancellation waits for its end, and
        does not reach the caller before the next `await`: no start is lost.
        """
        try:
            return await anyio.to_thread.run_sync(act) if self._store.takes_round_trips else act()
        finally:
            self._say_all()

    def reserve(self, limits: Limits, job: str) -> Start | Opening:
        """Reserves a start for all processes to see, or returns when to ask again."""
        with self._transaction() as db:
            now = self.clock()
            account = read_account(db, limits, now)
            if account.limits.per_minute is None and account.limits.per_day is None and not account.closures:
                return entries.add_start(db, now, job)
            opening = next_opening(db, account, now)
            front = entries.tickets(db, now, GRACE)
            mine = next((place for place, (owner, _) in enumerate(front) if owner == self._owner), None)
            front = front[:mine]
            if opening.at > now:
                ahead = sum(opens <= opening.at + rules.WINDOW for _, opens in front)
                opening = next_opening(db, account, now, ahead) if ahead else opening
            elif not any(opens <= now for _, opens in front):
                if mine is not None:
                    entries.remove_ticket(db, self._owner)
                return entries.add_start(db, now, job)
            entries.put_ticket(db, self._owner, opening.at)
            return opening if opening.at > now else Opening(at=now + POLL, reason="minute")

    def is_limited(self, limits: Limits) -> bool:
        """Whether any limit holds now: of the job, learned from a refusal, or a closure."""
        with self._transaction() as db:
            account = read_account(db, limits, self.clock())
            return account.limits.per_minute is not None or account.limits.per_day is not None or bool(account.closures)

    def add_starts(self, times: Iterable[float], job: str) -> None:
        """Adds starts that were made at these times (epoch seconds) without a reservation."""
        times = tuple(times)

        def add(db: Database) -> None:
            for at in times:
                entries.add_start(db, at, job)

        self._write(add)

    def give_back(self, start: Start) -> None:
        """Deletes a start whose request was never sent."""
        self._write(lambda db: entries.remove_start(db, start))

    def withdraw(self) -> None:
        """Withdraws the ticket of this process."""
        self._write(lambda db: entries.remove_ticket(db, self._owner))

    def close_account(self, until: float, reason: Reason) -> None:
        """Closes the account: no process starts before `until` (epoch seconds). A longer closure stays."""

        def close(db: Database) -> None:
            old = (each.until for each in entries.closures(db, self.clock()) if each.reason == reason)
            entries.put_closure(db, Closure(reason=reason, until=max([until, *old])))

        self._write(close)

    def learn_cap(
        self,
        limits: Limits,
        refused: Start,
        *,
        named: int | None,
        resets_at: float | None,
        retry_after: float | None = None,
    ) -> None:
        """Learns from a minute 429 that refused this start; `named` is the limit per minute that the 429 named.

        `resets_at` is in epoch seconds, `retry_after` in seconds.
        """
        least = learned.least_guess(retry_after) if limits.per_minute is None else 1

        def learn(db: Database) -> None:
            now = self.clock()
            known = entries.learned_cap(db)
            entries.mark_refused(db, refused)
            since = learned.minute_start(refused.at, resets_at)
            through = entries.starts_not_refused(db, since, since + rules.MINUTE)
            cap = learned.effective_limits(limits, known, (), now).per_minute
            new = learned.learn_cap(
                now, refused_at=refused.at, named=named, through=through, cap=cap, known=known, least=least
            )
            if new != known:
                entries.put_learned_cap(db, new)

        self._write(learn)

    def record_day_report(self, *, day_limit: int | None, day_used: int | None) -> None:
        """Records the service's report on the day: from `GET /key`, or the limit that a day 429 named."""

        def record(db: Database) -> None:
            now = self.clock()
            if learned.ends_day_closure(entries.day_reports(db), day_limit, day_used, now):
                db.execute("DELETE FROM closures WHERE reason = 'day'")
            more = max(0, (day_used or 0) - entries.starts_of_day(db, now))
            db.execute("INSERT INTO words VALUES (?, ?, ?)", (now, day_limit, more))

        self._write(record)

    def usage(self, limits: Limits = rules.FREE) -> QuotaUsage:
        """What is used and left now under these limits."""
        with self._transaction() as db:
            now = self.clock()
            account = read_account(db, limits, now)
            window = db.execute("SELECT at FROM starts WHERE at > ? ORDER BY at", (now - rules.WINDOW,)).fetchall()
            ends = {each.reason: each.until for each in account.closures}
            minute_ends = (ends.get("minute", now), *(at + rules.WINDOW for (at,) in window[-1:]))
            return QuotaUsage(
                day_limit=account.limits.per_day,
                day_used=entries.starts_of_day(db, now) + learned.used_elsewhere(entries.day_reports(db), now),
                day_resets_at=ends.get("day", rules.next_day(now)),
                minute_limit=account.limits.per_minute,
                minute_used=len(window),
                minute_resets_at=max(now, *minute_ends),
                closures=account.closures,
                jobs=entries.starts_by_job(db, now),
            )

    @contextmanager
    def _transaction(self) -> Iterator[Database]:
        """A transaction that first makes up for the writes that were postponed."""
        with self._alone, self._store.transaction() as db:
            postponed = len(self._postponed)
            for act in self._postponed:
                act(db)
            yield db
        del self._postponed[:postponed]

    def _write(self, act: Callable[[Database], None]) -> None:
        """Calls `act` in a transaction. While the database is out of reach, `act` is postponed."""
        try:
            with self._transaction() as db:
                act(db)
        except UnavailableError:
            self._postponed.append(act)
        finally:
            self._say_all()

    def _say_all(self) -> None:
        """Says what the store wants to say. Only the thread of the caller does so, never that of `beside_loop`."""
        while self._unsaid:
            self._say(self._unsaid.pop(0))
