"""The ledger: starts that all processes share, the queue, and the errors of a file that can't be used."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

import platformdirs
import pytest
from support.virtual_time import VirtualTime

from batchfree.core.errors import StorageError
from batchfree.service.quota.account import fingerprint, ledger_path, state_dir
from batchfree.service.quota.learned import LAG
from batchfree.service.quota.ledger import GRACE, POLL, Ledger
from batchfree.service.quota.ledger_entries import Start
from batchfree.service.quota.limits import DAY, FREE, WINDOW, Limits, Opening, counts_until

MIDNIGHT = 20_000 * DAY
NOON = MIDNIGHT + DAY / 2
NEXT = MIDNIGHT + DAY
PROCESSES = multiprocessing.get_context("forkserver")  # a fork of this process would inherit locks of its threads
PROCESSES.set_forkserver_preload([__name__])


@pytest.fixture
def virtual_time():
    return VirtualTime(NOON)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "ledger.sqlite3"


@pytest.fixture
def ledger(ledger_place, virtual_time):
    with Ledger(ledger_place, virtual_time.clock) as opened:
        yield opened


def take(ledger, virtual_time, count, limits, job="reviews", apart=0.1):
    """Takes `count` starts; each must be granted at once."""
    starts = []
    for _ in range(count):
        start = ledger.reserve(limits, job)
        assert isinstance(start, Start), start
        starts.append(start)
        virtual_time.pass_by(apart)
    return starts


# Which ledger

SAME = [
    "https://openrouter.ai/api/v1",
    "https://openrouter.ai/api/v1/",
    "HTTPS://OpenRouter.AI/api/v1",
    "https://openrouter.ai:443/api/v1",
    "https://openrouter.ai./api/v1//",
    " https://user:word@openrouter.ai/api/v1#top ",
]
OTHERS = [
    "http://openrouter.ai/api/v1",
    "https://openrouter.ai:444/api/v1",
    "https://openrouter.ai/api/v2",
    "https://openrouter.ai/API/v1",
    "https://eu.openrouter.ai/api/v1",
    "http://[::1]:8000/v1",
    "embedded",
]


def test_equal_base_urls_written_differently_share_a_ledger():
    assert len({fingerprint("key", url) for url in SAME}) == 1
    assert len({fingerprint("key", url) for url in [SAME[0], *OTHERS]}) == 1 + len(OTHERS)


def test_each_key_has_its_own_ledger_unless_an_account_is_named():
    url = SAME[0]
    assert fingerprint("one", url) != fingerprint("two", url)
    assert fingerprint("one", url, "ours") == fingerprint("two", url, "ours")
    assert fingerprint("ours", url) != fingerprint("two", url, "ours")
    assert fingerprint(None, url) != fingerprint("one", url)


def test_the_fingerprint_does_not_reveal_the_key():
    found = fingerprint("sk-or-v1-secret", SAME[0])
    assert len(found) == 32
    assert set(found) <= set("0123456789abcdef")


def test_ledgers_are_in_the_state_directory(tmp_path):
    assert state_dir({"BATCHFREE_STATE_DIR": str(tmp_path)}) == tmp_path
    assert state_dir({}) == state_dir({"BATCHFREE_STATE_DIR": ""}) == Path(platformdirs.user_state_dir("batchfree"))
    assert ledger_path(tmp_path, "abc") == tmp_path / "abc.sqlite3"


# Starts


def test_starts_are_granted_up_to_the_limit_and_then_delayed(ledger, virtual_time):
    first, *_ = take(ledger, virtual_time, 20, Limits(per_minute=20))
    assert ledger.reserve(Limits(per_minute=20), "reviews") == Opening(at=counts_until(first.at), reason="minute")
    virtual_time.move_to(counts_until(first.at))
    take(ledger, virtual_time, 20, Limits(per_minute=20))


def test_the_day_counts_all_jobs_and_ends_at_midnight(ledger, virtual_time):
    take(ledger, virtual_time, 30, Limits(per_day=50), "one")
    take(ledger, virtual_time, 20, Limits(per_day=50), "two")
    assert ledger.reserve(Limits(per_day=50), "two") == Opening(at=NEXT, reason="day")
    virtual_time.move_to(NEXT)
    take(ledger, virtual_time, 50, Limits(per_day=50))


def test_a_job_with_a_reserve_stops_before_others(ledger, virtual_time):
    take(ledger, virtual_time, 40, Limits(per_day=50, reserve=10))
    assert ledger.reserve(Limits(per_day=50, reserve=10), "reviews") == Opening(at=NEXT, reason="day")
    take(ledger, virtual_time, 10, Limits(per_day=50))


def test_starts_of_jobs_without_limits_count_for_others(ledger, virtual_time):
    take(ledger, virtual_time, 20, Limits(), "fast")
    assert isinstance(ledger.reserve(Limits(per_minute=20), "slow"), Opening)
    assert ledger.usage().jobs == {"fast": 20}


def test_starts_survive_the_process(ledger_place, virtual_time):
    with Ledger(ledger_place, virtual_time.clock) as ledger:
        first, *_ = take(ledger, virtual_time, 20, FREE)
    with Ledger(ledger_place, virtual_time.clock) as ledger:
        assert ledger.reserve(FREE, "reviews") == Opening(at=counts_until(first.at), reason="minute")


def test_a_start_that_was_never_sent_can_be_given_back(ledger, virtual_time):
    *_, last = take(ledger, virtual_time, 5, Limits(per_day=5))
    ledger.give_back(last)
    ledger.give_back(last)
    assert ledger.usage().day_used == 4
    take(ledger, virtual_time, 1, Limits(per_day=5))
    assert isinstance(ledger.reserve(Limits(per_day=5), "reviews"), Opening)


def test_entries_older_than_three_days_are_deleted(ledger, virtual_time):
    for _ in range(8):
        take(ledger, virtual_time, 100, Limits())
        ledger.record_day_report(day_limit=50, day_used=1)
        virtual_time.pass_by(DAY)
    with ledger._store.transaction() as db:
        assert db.execute("SELECT count(*) FROM days").fetchone()[0] <= 4
        assert db.execute("SELECT count(*) FROM words").fetchone()[0] <= 4
        assert db.execute("SELECT count(*) FROM starts").fetchone()[0] <= 164


def test_after_the_clock_was_set_back_nobody_waits_longer_than_a_minute(ledger, virtual_time):
    take(ledger, virtual_time, 20, Limits(per_minute=20))
    ledger.close_account(virtual_time.clock() + 60, "minute")
    virtual_time.set_clock(-7200)
    opening = ledger.reserve(Limits(per_minute=20), "reviews")
    assert opening == Opening(at=counts_until(virtual_time.clock()), reason="minute")
    virtual_time.move_to(opening.at)
    take(ledger, virtual_time, 20, Limits(per_minute=20))


def test_starts_of_a_clock_set_forward_do_not_count_today(ledger, virtual_time):
    virtual_time.pass_by(DAY)
    take(ledger, virtual_time, 50, Limits(per_day=50))
    virtual_time.set_clock(-DAY)
    take(ledger, virtual_time, 50, Limits(per_day=50))


# Closures, learned caps, day reports


def test_a_closure_applies_to_all_processes_and_limits(ledger, virtual_time, ledger_place):
    with Ledger(ledger_place, virtual_time.clock) as other:
        other.close_account(NOON + 40, "minute")
        other.close_account(NOON + 30, "minute")
    for limits in (FREE, Limits()):
        assert ledger.reserve(limits, "reviews") == Opening(at=NOON + 40, reason="minute")
    virtual_time.move_to(NOON + 40)
    take(ledger, virtual_time, 1, FREE)


def test_a_day_closure_lasts_until_midnight(ledger, virtual_time):
    ledger.close_account(NEXT + 1, "day")
    assert ledger.reserve(FREE, "reviews") == Opening(at=NEXT + 1, reason="day")
    assert ledger.usage().day_resets_at == NEXT + 1


def test_an_account_with_a_higher_limit_within_the_day_is_open_again(ledger, virtual_time):
    ledger.record_day_report(day_limit=50, day_used=50)
    ledger.close_account(NEXT + 1, "day")
    virtual_time.pass_by(3600)
    ledger.record_day_report(day_limit=50, day_used=20)
    assert ledger.reserve(FREE, "reviews").reason == "day"
    ledger.record_day_report(day_limit=1000, day_used=50)
    assert isinstance(ledger.reserve(FREE, "reviews"), Start)
    assert ledger.usage().left("day") == 949


def test_a_cap_that_a_429_names_applies_to_all_processes(ledger, virtual_time, ledger_place):
    starts = take(ledger, virtual_time, 12, FREE)
    ledger.learn_cap(FREE, starts[-1], named=10, resets_at=NOON + 60)
    with Ledger(ledger_place, virtual_time.clock) as other:
        assert other.usage().minute_limit == 10
        assert other.usage(Limits()).minute_limit == 10
        assert isinstance(other.reserve(Limits(), "reviews"), Opening)
    virtual_time.pass_by(3600)
    assert ledger.usage().minute_limit == 20


def test_a_cap_that_is_not_named_is_guessed_from_the_starts_not_refused(ledger, virtual_time):
    starts = take(ledger, virtual_time, 15, FREE)
    for start in starts[12:]:
        ledger.learn_cap(FREE, start, named=None, resets_at=NOON + 60)
    assert ledger.usage().minute_limit == 12


def test_a_report_raises_the_count_of_the_day_and_never_lowers_it(ledger, virtual_time):
    take(ledger, virtual_time, 10, FREE)
    ledger.record_day_report(day_limit=50, day_used=40)
    assert ledger.usage().day_used == 40
    ledger.record_day_report(day_limit=50, day_used=2)
    assert ledger.usage().day_used == 40
    take(ledger, virtual_time, 10, FREE)
    assert ledger.usage().day_used == 50
    assert ledger.reserve(FREE, "reviews").reason == "day"
    virtual_time.move_to(NEXT)
    assert ledger.usage().day_used == 0


def test_a_late_report_does_not_lower_our_own_count(ledger, virtual_time):
    take(ledger, virtual_time, 20, FREE)
    ledger.record_day_report(day_limit=50, day_used=2)
    assert ledger.usage().day_used == 20


def test_the_daily_limit_follows_the_last_report(ledger, virtual_time):
    assert ledger.usage().day_limit == 50
    ledger.record_day_report(day_limit=1000, day_used=0)
    assert ledger.usage().day_limit == 1000
    assert ledger.usage(Limits(per_day=200)).day_limit == 200
    ledger.record_day_report(day_limit=None, day_used=None)
    assert ledger.usage().day_limit == 1000
    virtual_time.pass_by(60)
    ledger.record_day_report(day_limit=50, day_used=None)
    assert ledger.usage().day_limit == 50


def test_a_spent_day_reported_just_after_midnight_counts_until_half_past(ledger, virtual_time):
    virtual_time.move_to(MIDNIGHT + 30)
    ledger.record_day_report(day_limit=50, day_used=50)
    assert ledger.reserve(FREE, "reviews") == Opening(at=MIDNIGHT + LAG, reason="day")
    virtual_time.move_to(MIDNIGHT + LAG)
    take(ledger, virtual_time, 1, FREE)


def test_usage_shows_what_is_used_left_and_when_it_resets(ledger, virtual_time):
    empty = ledger.usage()
    assert (empty.day_used, empty.minute_used, empty.jobs) == (0, 0, {})
    assert (empty.day_limit, empty.day_resets_at, empty.minute_limit, empty.minute_resets_at) == (50, NEXT, 20, NOON)
    take(ledger, virtual_time, 3, FREE, "one", apart=1)
    take(ledger, virtual_time, 2, FREE, "two", apart=1)
    usage = ledger.usage()
    assert (usage.day_used, usage.minute_used, usage.jobs) == (5, 5, {"one": 3, "two": 2})
    assert usage.minute_resets_at == NOON + 4 + WINDOW
    assert (usage.left("day"), usage.left("minute")) == (45, 15)
    assert ledger.usage(Limits()).left("day") is None
    ledger.close_account(NOON + 100, "minute")
    assert ledger.usage().minute_resets_at == NOON + 100
    assert ledger.usage().left("minute") == 0


# The queue

ONE = Limits(per_minute=1)


def test_waiting_processes_start_in_the_order_of_their_arrival(ledger, virtual_time, ledger_place):
    take(ledger, virtual_time, 1, ONE)
    with Ledger(ledger_place, virtual_time.clock) as second, Ledger(ledger_place, virtual_time.clock) as third:
        assert second.reserve(ONE, "b").at == counts_until(NOON)
        assert third.reserve(ONE, "c").at == counts_until(counts_until(NOON))
        virtual_time.move_to(counts_until(NOON))
        assert ledger.reserve(ONE, "a") == Opening(at=virtual_time.clock() + POLL, reason="minute")
        assert third.reserve(ONE, "c") == Opening(at=virtual_time.clock() + POLL, reason="minute")
        assert isinstance(second.reserve(ONE, "b"), Start)


def test_a_ticket_that_nobody_uses_is_ignored_after_a_second(ledger, virtual_time, ledger_place):
    take(ledger, virtual_time, 1, ONE)
    with Ledger(ledger_place, virtual_time.clock) as dead:
        dead.reserve(ONE, "b")
        ledger.reserve(ONE, "a")
        virtual_time.move_to(counts_until(NOON) + 0.5)
        assert isinstance(ledger.reserve(ONE, "a"), Opening)
        virtual_time.move_to(counts_until(NOON) + GRACE + 0.1)
        assert isinstance(ledger.reserve(ONE, "a"), Start)


def test_a_withdrawn_ticket_delays_nobody(ledger, virtual_time, ledger_place):
    take(ledger, virtual_time, 1, ONE)
    with Ledger(ledger_place, virtual_time.clock) as other:
        other.reserve(ONE, "b")
        ledger.reserve(ONE, "a")
    virtual_time.move_to(counts_until(NOON))
    assert isinstance(ledger.reserve(ONE, "a"), Start)


def test_a_job_that_waits_for_the_next_day_does_not_delay_others(ledger, virtual_time, ledger_place):
    take(ledger, virtual_time, 1, Limits(per_minute=1, per_day=10))
    with Ledger(ledger_place, virtual_time.clock) as thrifty:
        assert thrifty.reserve(Limits(per_day=10, reserve=9), "b").at == NEXT
        assert ledger.reserve(Limits(per_minute=1, per_day=10), "a").at == counts_until(NOON)
        virtual_time.move_to(counts_until(NOON))
        assert isinstance(ledger.reserve(Limits(per_minute=1, per_day=10), "a"), Start)


# Many processes

SPEED = 200.0
HAMMERED = Limits(per_minute=600, per_day=1500)


def hammer(ledger_place, began, job, results):
    """One process that takes all starts it can get until the day is spent."""

    def clock():
        return NOON + (time.time() - began) * SPEED

    granted = []
    with Ledger(ledger_place, clock) as ledger:
        while True:
            answer = ledger.reserve(HAMMERED, job)
            if isinstance(answer, Start):
                granted.append(answer)
            elif answer.reason == "day":
                break
            else:
                time.sleep(max(0.0, answer.at - clock()) / SPEED)
    results.put((job, granted))


def test_six_processes_of_two_jobs_stay_within_the_limits_and_lose_nothing(ledger_place):
    results, began = PROCESSES.Queue(), time.time()
    jobs = ["one", "two"] * 3
    processes = [PROCESSES.Process(target=hammer, args=(ledger_place, began, job, results)) for job in jobs]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    granted = sorted((start for _, starts in found for start in starts), key=lambda start: start.at)
    ats = [start.at for start in granted]
    assert len(ats) == HAMMERED.per_day
    assert all(later >= counts_until(earlier) for earlier, later in zip(ats, ats[HAMMERED.per_minute :], strict=False))
    with Ledger(ledger_place, lambda: NEXT - 1) as ledger:
        assert sum(ledger.usage(HAMMERED).jobs.values()) == len(ats)
        counts = {job: sum(start.job == job for start in granted) for job in ("one", "two")}
        assert ledger.usage(HAMMERED).jobs == counts


def crash(ledger_place):
    """A process that dies in an open transaction."""
    ledger = Ledger(ledger_place, lambda: NOON)
    ledger.reserve(FREE, "reviews")
    with ledger._store.transaction() as db:
        db.execute("DELETE FROM starts")
        os._exit(1)


def test_a_process_that_dies_in_a_transaction_leaves_the_ledger_intact(ledger_place, virtual_time):
    process = PROCESSES.Process(target=crash, args=(ledger_place,))
    process.start()
    process.join()
    with Ledger(ledger_place, virtual_time.clock) as ledger:
        assert ledger.usage().minute_used == 1


# Files that can't be used


def test_a_ledger_that_another_program_holds_is_an_error_that_says_what_to_do(path, virtual_time, monkeypatch):
    monkeypatch.setattr("batchfree.service.quota.ledger_db.BUSY", 0.1)
    with Ledger(path, virtual_time.clock) as ledger, closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match=r"ledger is locked.* backup or an SQLite shell.* wait for it or end it"):
            ledger.reserve(FREE, "job")


def test_a_file_that_is_no_ledger_is_an_error_with_its_path(path, virtual_time):
    path.parent.mkdir()
    path.write_bytes(b"this is not a database, " * 100)
    with pytest.raises(StorageError, match=rf"{path}: .*only the count of past starts is lost"):
        Ledger(path, virtual_time.clock)


def test_a_damaged_ledger_is_an_error_with_its_path(path, virtual_time):
    with Ledger(path, virtual_time.clock) as ledger:
        take(ledger, virtual_time, 500, Limits())
    content = bytearray(path.read_bytes())
    content[4096:] = b"\x5a" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StorageError, match=str(path)), Ledger(path, virtual_time.clock) as ledger:
        ledger.reserve(FREE, "reviews")


def test_a_newer_format_is_refused(path, virtual_time):
    Ledger(path, virtual_time.clock).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version = 7")
    with pytest.raises(StorageError, match=rf"{path}: .*format 7.*newer batchfree"):
        Ledger(path, virtual_time.clock)


def test_a_path_that_can_not_be_a_file_is_an_error(tmp_path, virtual_time):
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "ledger.sqlite3"):
        with pytest.raises(StorageError, match=str(path)):
            Ledger(path, virtual_time.clock)


def as_nobody(path, results):
    """Opens a ledger as a user without rights to the file."""
    if os.geteuid() == 0:
        os.setuid(65534)
    try:
        with Ledger(path, lambda: NOON) as ledger:
            results.put(str(ledger.reserve(FREE, "reviews")))
    except StorageError as error:
        results.put(str(error))


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_read_only_ledger_is_an_error_with_advice(what):
    folder = Path(tempfile.mkdtemp())
    path = folder / "ledger.sqlite3"
    try:
        if what == "file":
            Ledger(path, lambda: NOON).close()
            path.chmod(0o444)
        folder.chmod(0o555)
        results = PROCESSES.Queue()
        process = PROCESSES.Process(target=as_nobody, args=(path, results))
        process.start()
        said = results.get(timeout=60)
        process.join()
        assert said.startswith(f"{path}: the quota ledger can't be")
        assert "BATCHFREE_STATE_DIR" in said
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)
