"""The ledger in a PostgreSQL database, for an account that several machines share. Needs psycopg 3 (extra `postgres`).

Each account has a schema of its own, made at first use. Every transaction takes an advisory lock of the account first,
so decisions are made one after the other, and reads the clock of the database. Nothing is set for the whole connection,
so a pooler such as PgBouncer may stand in between.

A transaction that takes longer than `BUSY` seconds counts as a database out of reach. The server ends the transaction
of a process that froze or lost its network after the same time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from batchfree.core.errors import BatchfreeError, Mistake, SpecError, StorageError, UnavailableError
from batchfree.core.text import single_line
from batchfree.jobspec.variables import LEDGER_VARIABLE
from batchfree.service.quota.account import LedgerUrl
from batchfree.service.quota.ledger_entries import Database, ResultSet

FORMAT = 1
BUSY = 10
"""Longest time in seconds of one statement, of a wait for other processes, and of a pause within a transaction."""
RETRY_EVERY = 4.0
"""Seconds after a failed connection without another try, because a try stops this process for a moment."""
SETTINGS = {"connect_timeout": "3", "application_name": "batchfree", "tcp_user_timeout": "10000"}
"""Settings of the connection, if neither the URL nor a `PG*` variable sets them. The last one is in milliseconds."""
SECRETS = ("password", "sslpassword")
"""Settings that are never shown (PostgreSQL manual, "Parameter Key Words" of libpq)."""
CODES_FOR_A_PERSON = ("0A", "22", "23", "28", "3D", "3F", "42")
"""First digits of error codes that time alone does not mend (PostgreSQL manual, appendix A)."""
WORDS_FOR_A_PERSON = re.compile(
    r"authentication failed|no password supplied|does not exist|no pg_hba\.conf entry|permission denied|certificate"
    r"|does not support SSL|invalid|requires"
)
"""The same in words, since a refused connection has no code."""
ADVICE = (
    ("certificate|SSL|TLS", f"Compare `sslmode` and `sslrootcert` in {LEDGER_VARIABLE} with the server's certificate."),
    ("authentication|no password|not exist|pg_hba", f"Check the user, password and database in {LEDGER_VARIABLE}."),
    ("", "The user of the database needs the right to connect, to create the schema {} and to use it."),
)
"""What a person can do about the words of a refused connection; the first that fits counts."""

# The tables of the file in `ledger_db`, in the types of PostgreSQL.
SCHEMA = f"""
CREATE TABLE starts (id bigserial PRIMARY KEY, at float8 NOT NULL, job text NOT NULL, refused int NOT NULL DEFAULT 0);
CREATE INDEX starts_at ON starts (at);
CREATE TABLE days (day int, job text, starts int NOT NULL, PRIMARY KEY (day, job));
CREATE TABLE closures (reason text PRIMARY KEY, until float8 NOT NULL);
CREATE TABLE learned (one int PRIMARY KEY CHECK (one = 1), per_minute int, at float8, named int);
CREATE TABLE words (at float8 NOT NULL, day_limit int, elsewhere int NOT NULL);
CREATE TABLE tickets (id bigserial PRIMARY KEY, owner text UNIQUE NOT NULL, opens float8 NOT NULL);
CREATE TABLE format (version int NOT NULL);
INSERT INTO format VALUES ({FORMAT});
"""


class LedgerServer:
    """An open ledger in a database. `transaction` raises UnavailableError while the database is out of reach."""

    def __init__(self, place: LedgerUrl, clock: Callable[[], float], say: Callable[[str], None]) -> None:
        """Connects to the database. A database out of reach is no error here; `say` takes a sentence about it.

        `clock` gives epoch seconds. Raises SpecError for a URL that can't be used, and StorageError if the database
        refuses the connection or the schema.
        """
        self._settings = _settings(place)
        self._schema, self._lock = f"batchfree_{place.fingerprint}", _lock_of(place.fingerprint)
        self._clock, self._say = clock, say
        self.takes_round_trips = self._own_clock = place.own_clock
        self._connection: TimedConnection | None = None
        self._away: str | None = None
        self._tried_at = float("-inf")
        self.name, self.clock_offset = _name(self._settings), 0.0
        with suppress(UnavailableError), self.transaction():
            pass

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Database]:
        """A transaction around the block that holds the lock of the account; rolled back if the block raises."""
        try:
            connection = self._begin()
            try:
                yield _Transaction(connection)
                connection.execute("COMMIT")
            except BaseException:
                _roll_back(connection)
                raise
        except psycopg.Error as error:
            raise self._explained(error) from None

    def _begin(self) -> TimedConnection:
        """The connection, in a transaction that holds the lock. A lost connection is made anew."""
        connection = self._connection
        if connection is not None:
            try:
                self._lock_account(connection)
            except psycopg.Error:
                _roll_back(connection)
                if not connection.closed:
                    raise
                self._connection = None
        if self._connection is None:
            connection = self._connect()
            try:
                self._lock_account(connection)
                self._create_tables(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        self._away = None
        return self._connection

    def _lock_account(self, connection: TimedConnection) -> None:
        """Begins a transaction, waits for the lock, and compares the clocks. Everything is sent at once.

        The lock is taken in a statement of its own: with this isolation level, later statements see all that was
        written before.
        """
        cursor = connection.execute(
            f"""BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
            SET LOCAL lock_timeout = '{BUSY}s';
            SET LOCAL idle_in_transaction_session_timeout = '{BUSY}s';
            SET LOCAL search_path = {self._schema};
            SELECT pg_advisory_xact_lock({self._lock});
            SELECT extract(epoch FROM clock_timestamp())::float8""".encode()
        )
        while cursor.nextset():
            pass
        row = cursor.fetchone()
        if row is not None and self._own_clock:
            self.clock_offset = row[0] - self._clock()

    def _connect(self) -> TimedConnection:
        """A new connection. Raises UnavailableError without a try if the last one failed a moment ago."""
        now = self._clock()
        if self._away is not None and 0 <= now - self._tried_at < RETRY_EVERY:
            raise UnavailableError(self._away)
        self._tried_at = now
        return TimedConnection.connect(make_conninfo("", **self._settings), autocommit=True, prepare_threshold=None)

    def _create_tables(self, connection: TimedConnection) -> None:
        """Makes the schema at first use, within the transaction. Raises StorageError for a newer format."""
        found = connection.execute("SELECT to_regclass('format')").fetchone()
        if found is None or found[0] is None:
            known = connection.execute(f"SELECT to_regnamespace('{self._schema}')".encode()).fetchone()
            if known is None or known[0] is None:
                connection.execute(f"CREATE SCHEMA {self._schema}".encode())
            connection.execute(SCHEMA.encode())
            return
        row = connection.execute("SELECT version FROM format").fetchone()
        if row is not None and row[0] > FORMAT:
            raise StorageError(
                f"{self.name}: this quota ledger has format {row[0]}, written by a newer batchfree; this version reads "
                f"format {FORMAT}. Use the newer version on every machine, or drop the schema {self._schema}: only the "
                "count of past starts is lost."
            )

    def _explained(self, error: psycopg.Error) -> BatchfreeError:
        """The error for a person: StorageError if somebody must act, UnavailableError if time may mend it."""
        text, code = self._scrubbed(str(error)), error.sqlstate
        if not (WORDS_FOR_A_PERSON.search(text) if code is None else code.startswith(CODES_FOR_A_PERSON)):
            return UnavailableError(self._report(text))
        advice = next(each for words, each in ADVICE if re.search(words, text if code is None else ""))
        return StorageError(f"{self.name}: the quota ledger can't be used: {text}. {advice.format(self._schema)}")

    def _report(self, why: str) -> str:
        """The sentence for a database out of reach. People see it once per outage, at its beginning."""
        sentence = f"{self.name}: the quota ledger is out of reach: {why}"
        if self._away is None:
            self._say(f"{sentence}. No request is started until it is back.")
        self._away = sentence
        return sentence

    def _scrubbed(self, text: str) -> str:
        """The text on one line, without the passwords in it."""
        for secret in SECRETS:
            if value := self._settings.get(secret):
                text = text.replace(value, "…")
        return single_line(text).rstrip(".")


class TimedConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection whose statements take no longer than about `BUSY` seconds, whatever the network does."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Waits for the server. Raises `psycopg.OperationalError` after the timeout."""
        return super().wait(gen, interval, BUSY + 2 if timeout is None else timeout)


def _roll_back(connection: TimedConnection) -> None:
    """Ends the transaction. If that fails, closes the connection."""
    try:
        connection.execute("ROLLBACK")
    except psycopg.Error:
        connection.close()


class _Transaction:
    """An open transaction, with `?` in the place of values as SQLite writes them."""

    def __init__(self, connection: TimedConnection) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Sequence[float | str | None] = (), /) -> ResultSet:
        """Runs one statement; each `?` in it stands for a value."""
        return self._connection.execute(sql.replace("?", "%s").encode(), values)


def _settings(place: LedgerUrl) -> dict[str, str]:
    """The settings of the connection: those of the URL, then the `PG*` variables, then our own. Raises SpecError."""
    variables = {each.keyword.decode(): (each.envvar or b"").decode() for each in Conninfo.get_defaults()}
    outside = {key: place.environment[name] for key, name in variables.items() if name in place.environment}
    try:
        named = {key: str(value) for key, value in conninfo_to_dict(place.url).items() if value is not None}
    except psycopg.Error:  # its text may hold a part of the password
        message = (
            "this is no URL that PostgreSQL understands; expected postgresql://user:password@host:port/database. "
            "Write special characters of the password as %XX"
        )
        raise SpecError([Mistake(file=LEDGER_VARIABLE, message=message)]) from None
    return {**SETTINGS, **outside, **named}


def _name(settings: dict[str, str]) -> str:
    """The URL of the database without a password."""
    user = f"{settings['user']}@" if "user" in settings else ""
    host, port = settings.get("host", ""), settings.get("port")
    database = settings.get("dbname", "")
    if host.startswith("/"):
        return f"postgresql://{user}/{database}?host={host}" + (f"&port={port}" if port else "")
    return f"postgresql://{user}{host}{f':{port}' if port else ''}/{database}"


def _lock_of(fingerprint: str) -> int:
    """The number of the advisory lock of an account: 64 bits, as PostgreSQL wants them."""
    return int.from_bytes(bytes.fromhex(fingerprint)[:8], "big", signed=True)
