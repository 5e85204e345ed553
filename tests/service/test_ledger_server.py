"""The ledger on PostgreSQL: its clock, a database out of reach, refusals, and what other processes may do to it."""

from __future__ import annotations

import time
from dataclasses import replace

import anyio
import psycopg
import pytest
from support.certificates import own_certificate
from support.postgres import run_postgres, tls_front
from support.virtual_time import NOON, VirtualTime

from batchfree.core.chat import Failure, Kind
from batchfree.core.errors import SpecError, StorageError, UnavailableError
from batchfree.core.stops import StopReason
from batchfree.jobspec.variables import LEDGER_VARIABLE
from batchfree.service.quota.account import LedgerUrl, ledger_path, ledger_place
from batchfree.service.quota.ledger import Ledger
from batchfree.service.quota.ledger_entries import Start
from batchfree.service.quota.limits import FREE, WINDOW, Limits, Opening
from batchfree.service.quota.rate_limiter import RateLimiter

AWAY = LedgerUrl(url="postgresql://me:word-of-mine@127.0.0.1:1/db", fingerprint="0" * 32, own_clock=False)
"""A database at a port where nothing listens."""


@pytest.fixture
def virtual_time():
    return VirtualTime(NOON)


@pytest.fixture
def fragile():
    yield from run_postgres()


# Which ledger


def test_the_variable_names_the_ledger(tmp_path):
    state = {"BATCHFREE_STATE_DIR": str(tmp_path)}
    assert (
        ledger_place(state, "ab") == ledger_place(state | {LEDGER_VARIABLE: " "}, "ab") == ledger_path(tmp_path, "ab")
    )
    found = ledger_place(state | {LEDGER_VARIABLE: "postgres://h/db", "PGPASSWORD": "word", "PGUSER": ""}, "ab")
    assert found == LedgerUrl(url="postgres://h/db", fingerprint="ab", environment={"PGPASSWORD": "word"})
    assert "word" not in repr(found)


@pytest.mark.parametrize("url", ["sqlite:///file", "host=db user=me", "/var/lib/ledger", "https://host/"])
def test_anything_but_a_url_of_postgresql_is_a_mistake(url):
    with pytest.raises(SpecError, match="BATCHFREE_LEDGER: expected postgresql://"):
        ledger_place({LEDGER_VARIABLE: url}, "ab")


@pytest.mark.parametrize("url", ["postgresql://me:w%rd@host/db", "postgresql://me:w%41rd@host/db?colour=red"])
def test_a_url_that_can_not_be_read_is_a_mistake_that_does_not_show_it(url, virtual_time):
    with pytest.raises(SpecError, match="BATCHFREE_LEDGER: this is no URL") as caught:
        Ledger(LedgerUrl(url=url, fingerprint="ab"), virtual_time.clock)
    assert "rd@" not in str(caught.value).replace("password@", "")


def test_variables_complete_the_url_and_never_replace_a_part_of_it(postgres, virtual_time):
    socket = postgres.url.partition("host=")[2]
    place = replace(postgres.place(), url="postgresql://postgres@/postgres")
    with Ledger(replace(place, environment={"PGHOST": socket, "PGUSER": "nobody"}), virtual_time.clock) as ledger:
        assert ledger.name == f"postgresql://postgres@/postgres?host={socket}"
        assert isinstance(ledger.reserve(FREE, "reviews"), Start)


def test_accounts_of_one_database_do_not_see_each_other(postgres, virtual_time):
    with Ledger(postgres.place(), virtual_time.clock) as one, Ledger(postgres.place(), virtual_time.clock) as two:
        one.reserve(FREE, "reviews")
        assert (one.usage().day_used, two.usage().day_used) == (1, 0)


# The clock


@pytest.mark.parametrize("skew", [-7200.0, 7200.0])
def test_the_clock_of_the_database_counts(postgres, skew):
    place = replace(postgres.place(), own_clock=True)
    wrong = Ledger(place, lambda: time.time() + skew)
    right = Ledger(place, time.time)
    with wrong, right:
        assert isinstance(wrong.reserve(Limits(per_minute=1), "wrong"), Start)
        assert wrong.clock() == pytest.approx(time.time(), abs=2)
        assert right.usage().minute_used == 1
        opening = right.reserve(Limits(per_minute=1), "right")
        assert isinstance(opening, Opening)
        assert 50 < opening.at - time.time() < WINDOW


# Out of reach


def test_while_the_database_is_away_nothing_starts_and_the_run_stops_after_a_minute(virtual_time):
    said, waits = list[str](), list[object]()

    async def main():
        return await rate_limiter.acquire(anyio.Event())

    with Ledger(AWAY, virtual_time.clock, said.append) as ledger:
        rate_limiter = RateLimiter(
            ledger, FREE, "reviews", clock=ledger.clock, report_wait=lambda reason, until: waits.append((reason, until))
        )
        stopped = virtual_time.run(main)
    assert (stopped.reason, virtual_time.elapsed) == (StopReason.LEDGER_DOWN, pytest.approx(60, abs=0.1))
    assert stopped.message.startswith("postgresql://me@127.0.0.1:1/db: the quota ledger is out of reach: ")
    assert waits == [("ledger", NOON + 60), (None, None)]
    assert len(said) == 1
    assert "Connection refused" in said[0]
    assert "word-of-mine" not in stopped.message + said[0]


def test_a_stop_ends_the_wait_for_the_database(virtual_time):
    async def main():
        stopping = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop, stopping)
            return await rate_limiter.acquire(stopping)

    async def stop(stopping):
        await anyio.sleep(7)
        stopping.set()

    with Ledger(AWAY, virtual_time.clock) as ledger:
        rate_limiter = RateLimiter(ledger, FREE, "reviews", clock=ledger.clock)
        assert virtual_time.run(main) is None
    assert virtual_time.elapsed < 8


def test_an_endpoint_without_limits_does_not_wait_for_the_database(virtual_time):
    async def main():
        return [await rate_limiter.acquire(anyio.Event()) for _ in range(3)]

    with Ledger(AWAY, virtual_time.clock) as ledger:
        rate_limiter = RateLimiter(ledger, Limits(), "reviews", clock=ledger.clock)
        assert all(isinstance(start, Start) for start in virtual_time.run(main))


def test_what_is_written_during_an_outage_counts_when_the_database_is_back(fragile, virtual_time):
    place = fragile.place()
    with Ledger(place, virtual_time.clock) as ledger, Ledger(place, virtual_time.clock) as other:
        first = ledger.reserve(FREE, "reviews")
        virtual_time.pass_by(1)
        second = ledger.reserve(FREE, "reviews")
        assert isinstance(first, Start)
        assert isinstance(second, Start)
        fragile.kill()
        ledger.give_back(first)
        ledger.close_account(virtual_time.clock() + 40, "minute")
        ledger.learn_cap(FREE, second, named=7, resets_at=None)
        ledger.withdraw()
        with pytest.raises(UnavailableError):
            ledger.reserve(FREE, "reviews")
        fragile.start()
        with pytest.raises(UnavailableError, match="out of reach"):  # no other try within a moment
            ledger.reserve(FREE, "reviews")
        virtual_time.pass_by(5)
        assert ledger.reserve(FREE, "reviews") == Opening(at=NOON + 41, reason="minute")
        usage = other.usage()
        assert (usage.day_used, usage.minute_limit, len(usage.closures)) == (1, 7, 1)


def test_a_connection_that_was_cut_is_made_again_at_once(postgres, virtual_time):
    with Ledger(postgres.place(), virtual_time.clock) as ledger:
        postgres.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'batchfree'")
        assert isinstance(ledger.reserve(FREE, "reviews"), Start)


@pytest.mark.slow
def test_a_server_that_freezes_is_out_of_reach(fragile, virtual_time):
    with Ledger(fragile.place(), virtual_time.clock) as ledger:
        fragile.pause()
        try:
            with pytest.raises(UnavailableError, match="out of reach"):
                ledger.reserve(FREE, "reviews")
        finally:
            fragile.go_on()
        virtual_time.pass_by(5)
        assert isinstance(ledger.reserve(FREE, "reviews"), Start)


def test_the_event_loop_goes_on_while_the_database_takes_its_time(postgres, virtual_time):
    got = []

    async def take():
        got.append(await limiter.acquire(anyio.Event()))

    async def main():
        async with anyio.create_task_group() as tasks:
            postgres.pause()
            try:
                tasks.start_soon(take)
                await anyio.sleep(0.3)  # real seconds, in which the request for a start waits for the server
                assert not got
            finally:
                postgres.go_on()

    place = replace(postgres.place(), own_clock=True)
    with Ledger(place, time.time) as ledger:
        limiter = RateLimiter(ledger, FREE, "reviews", clock=ledger.clock)
        anyio.run(main)
    assert isinstance(got[0], Start)


# Refused


def test_a_database_that_refuses_the_user_needs_a_person(postgres, virtual_time):
    for url in (postgres.as_user("stranger", "word-of-mine"), postgres.as_user("postgres", database="no_database")):
        with pytest.raises(StorageError, match=r"ledger can't be used: .* does not exist\. Check the user") as caught:
            Ledger(replace(postgres.place(), url=url), virtual_time.clock)
        assert "word-of-mine" not in str(caught.value)


def test_only_a_server_with_a_trusted_certificate_gets_the_password(postgres, virtual_time, tmp_path):
    own, other = own_certificate(tmp_path), own_certificate(tmp_path, "other")
    with tls_front(postgres, own) as port:
        url = f"postgresql://postgres:word-of-mine@127.0.0.1:{port}/postgres?sslmode=verify-full&sslrootcert="
        with Ledger(replace(postgres.place(), url=url + str(own)), virtual_time.clock) as ledger:
            assert isinstance(ledger.reserve(FREE, "reviews"), Start)
        with pytest.raises(StorageError, match=r"certificate verify failed\. Compare `sslmode` and") as caught:
            Ledger(replace(postgres.place(), url=url + str(other)), virtual_time.clock)
    assert "word-of-mine" not in str(caught.value)


def test_a_user_without_rights_needs_a_person_and_one_who_has_a_schema_does_not(postgres, virtual_time):
    postgres.run("DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN")
    place = replace(postgres.place(), url=postgres.as_user("guest"))
    schema = f"batchfree_{place.fingerprint}"
    with pytest.raises(StorageError, match=f"to create the schema {schema} and to use it"):
        Ledger(place, virtual_time.clock)
    postgres.run(f"CREATE SCHEMA {schema} AUTHORIZATION guest")
    with Ledger(place, virtual_time.clock) as ledger:
        assert isinstance(ledger.reserve(FREE, "reviews"), Start)
    postgres.run(f"DROP SCHEMA {schema} CASCADE", "DROP ROLE guest")


def test_a_newer_format_is_refused(postgres, virtual_time):
    place = postgres.place()
    Ledger(place, virtual_time.clock).close()
    postgres.run(f"UPDATE batchfree_{place.fingerprint}.format SET version = 7")
    with pytest.raises(StorageError, match=r"format 7.*newer batchfree"):
        Ledger(place, virtual_time.clock)


def test_the_isolation_level_of_the_database_does_not_matter(postgres, virtual_time):
    postgres.run("DROP DATABASE IF EXISTS strict", "CREATE DATABASE strict")
    postgres.run("ALTER DATABASE strict SET default_transaction_isolation = 'serializable'")
    postgres.run("ALTER DATABASE strict SET default_transaction_read_only = on")
    place = replace(postgres.place(), url=postgres.as_user("postgres", database="strict"))
    with Ledger(place, virtual_time.clock) as one, Ledger(place, virtual_time.clock) as two:
        assert isinstance(one.reserve(Limits(per_minute=1), "reviews"), Start)
        assert isinstance(two.reserve(Limits(per_minute=1), "reviews"), Opening)


def test_an_account_that_is_closed_by_one_machine_is_closed_for_all(postgres, virtual_time):
    async def main():
        start = await limiters[0].acquire(anyio.Event())
        assert isinstance(start, Start)
        limiters[0].record_refusal(Failure(kind=Kind.MINUTE_LIMIT, message="", resets_at=NOON + 60), start)
        return await limiters[1].acquire(anyio.Event())

    place = postgres.place()
    with Ledger(place, virtual_time.clock) as one, Ledger(place, virtual_time.clock) as two:
        limiters = [RateLimiter(each, FREE, "reviews", clock=each.clock) for each in (one, two)]
        assert virtual_time.run(main).at == pytest.approx(NOON + 61, abs=0.01)


def test_a_table_that_somebody_dropped_needs_a_person(postgres, virtual_time):
    place = postgres.place()
    with Ledger(place, virtual_time.clock) as ledger:
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f"DROP TABLE batchfree_{place.fingerprint}.closures".encode())
        with pytest.raises(StorageError, match="closures"):
            ledger.reserve(FREE, "reviews")
