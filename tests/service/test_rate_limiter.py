"""The rate limiter in virtual time, against a service that counts arrivals per clock minute and UTC day."""

from __future__ import annotations

import random

import anyio
import pytest
from support.virtual_time import NOON, Stalled, VirtualTime

from batchfree.core.chat import Failure, Kind
from batchfree.core.stops import StopReason
from batchfree.service.quota.ledger import Ledger
from batchfree.service.quota.ledger_entries import Start
from batchfree.service.quota.limits import DAY, FREE, Limits
from batchfree.service.quota.rate_limiter import RateLimiter
from batchfree.service.quota.wait_policy import WaitPolicy

MIDNIGHT = NOON + DAY / 2


class Service:
    """Counts arrivals per clock minute and UTC day and refuses those over the limit. Shares no code with the client."""

    def __init__(self, time, *, per_minute=20, per_day=10**9, names=True, delay=0.9, latency=2.0, seed=1):
        self.time, self.per_minute, self.per_day, self.names = time, per_minute, per_day, names
        self.delay, self.latency, self.rng = delay, latency, random.Random(seed)
        self.minutes, self.days, self.answered, self.refused = {}, {}, [], []

    async def answer(self):
        """None, or the failure that a 429 becomes."""
        await anyio.sleep(self.rng.uniform(0, self.delay))
        now = self.time.clock()
        minute, day = int(now // 60), int(now // DAY)
        for counts, key, limit, kind, span in (
            (self.days, day, self.per_day, Kind.DAY_LIMIT, DAY),
            (self.minutes, minute, self.per_minute, Kind.MINUTE_LIMIT, 60.0),
        ):
            if counts.get(key, 0) >= limit:
                self.refused.append(now)
                mark = (key + 1) * span
                return Failure(
                    kind=kind,
                    message="Rate limit exceeded",
                    limit=limit if self.names else None,
                    resets_at=mark if self.names else None,
                )
        self.minutes[minute] = self.minutes.get(minute, 0) + 1
        self.days[day] = self.days.get(day, 0) + 1
        await anyio.sleep(self.rng.uniform(0, self.latency))
        self.answered.append(self.time.clock())
        return None


class Job:
    """Eight workers that answer rows through one rate limiter. A refused row is asked again."""

    def __init__(self, rate_limiter, service, rows, workers=8):
        self.rate_limiter, self.service, self.rows, self.workers = rate_limiter, service, rows, workers
        self.starts, self.stopping = [], anyio.Event()
        self.stopped: object = "not yet"

    async def run(self):
        async with anyio.create_task_group() as tasks:
            for _ in range(self.workers):
                tasks.start_soon(self._work)

    async def _work(self):
        while self.rows:
            self.rows -= 1
            start = await self.rate_limiter.acquire(self.stopping)
            if not isinstance(start, Start):
                self.rows += 1
                self.stopped = start and (start.reason, start.until)
                return
            self.starts.append(start.at)
            failure = await self.service.answer()
            if failure:
                self.rows += 1
                self.rate_limiter.record_refusal(failure, start)


LONG = pytest.mark.parametrize(
    "ledger_place", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True
)
"""A test with so many starts that it runs on a database only by hand."""


@pytest.fixture
def time():
    return VirtualTime()


@pytest.fixture
def ledger(ledger_place, time):
    with Ledger(ledger_place, time.clock) as opened:
        yield opened


def job(ledger, time, service, rows, limits=FREE, *, report_wait=lambda reason, until: None, **policy):
    limiter = RateLimiter(
        ledger, limits, "reviews", clock=time.clock, policy=WaitPolicy(**policy), report_wait=report_wait
    )
    return Job(limiter, service, rows)


def makespan(starts):
    return max(starts) - min(starts)


@LONG
@pytest.mark.parametrize("seed", range(5))
def test_with_the_true_limit_the_service_never_answers_429(ledger, time, seed):
    time.pass_by(seed * 11)
    service = Service(time, seed=seed)
    work = job(ledger, time, service, 400, Limits(per_minute=20))
    time.run(work.run)
    assert not service.refused
    assert len(service.answered) == 400
    assert makespan(work.starts) <= 1.02 * 19 * 60.25


def test_sixty_rows_at_twenty_a_minute_take_at_most_five_percent_more_than_two_minutes(ledger, time):
    service = Service(time)
    work = job(ledger, time, service, 60)
    time.run(work.run)
    assert makespan(work.starts) <= 1.05 * 120 + service.delay + service.latency
    assert not service.refused


@pytest.mark.parametrize("names", [True, False])
def test_an_unknown_cap_is_learned_from_the_first_429(ledger, time, names):
    service = Service(time, names=names, delay=0.2)
    work = job(ledger, time, service, 60, Limits())
    time.run(work.run)
    assert len(service.answered) == 60
    assert max(service.answered) - min(work.starts) <= 1.10 * (120 + service.latency)
    assert len(service.refused) <= work.workers


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("seconds_into_the_minute", [0, 30, 59])
def test_a_stricter_service_costs_at_most_three_429s_in_ten_minutes(ledger, time, names, seconds_into_the_minute):
    time.pass_by(seconds_into_the_minute)
    service = Service(time, per_minute=10, names=names, delay=0.2)
    work = job(ledger, time, service, 90, Limits(per_minute=20))
    time.run(work.run)
    assert len(service.answered) == 90
    assert len(service.refused) <= 3
    assert makespan(work.starts) <= 1.15 * 8 * 60.25


@LONG
def test_a_day_of_a_thousand_is_used_to_the_last_request(ledger, time):
    ledger.record_day_report(day_limit=1000, day_used=0)
    service = Service(time, per_day=1000)
    work = job(ledger, time, service, 5000)
    time.run(work.run)
    assert (len(service.answered), service.refused) == (1000, [])
    assert work.stopped == (StopReason.QUOTA, MIDNIGHT)


@LONG
def test_a_waiting_job_continues_every_day_until_it_is_done(ledger, time):
    heard = []
    service = Service(time, per_day=50)
    work = job(
        ledger, time, service, 120, on_quota="wait", report_wait=lambda reason, until: heard.append((reason, until))
    )
    time.run(work.run)
    assert sorted(service.days.values()) == [20, 50, 50]
    assert not service.refused
    assert ("day", MIDNIGHT) in heard
    assert heard[-1] == (None, None)


def test_a_day_that_others_spent_ends_the_run_until_midnight(ledger, time):
    service = Service(time, per_day=30)
    work = job(ledger, time, service, 40, Limits(per_minute=20, per_day=1000, auto=True))
    time.run(work.run)
    assert work.stopped == (StopReason.QUOTA, MIDNIGHT + 1)
    assert len(service.answered) == 30
    assert len(service.refused) <= 8
    assert ledger.usage().day_limit == 30


def test_a_minute_429_closes_the_account_for_all_jobs_until_its_reset_time(ledger, time, ledger_place):
    async def main():
        stopping = anyio.Event()
        start = await rate_limiter.acquire(stopping)
        failure = Failure(kind=Kind.MINUTE_LIMIT, message="", resets_at=NOON + 60)
        assert isinstance(start, Start)
        rate_limiter.record_refusal(failure, start)
        with Ledger(ledger_place, time.clock) as other:
            later = await RateLimiter(other, Limits(), "other", clock=time.clock).acquire(stopping)
        assert later.at == pytest.approx(NOON + 61, abs=0.01)

    rate_limiter = RateLimiter(ledger, FREE, "reviews", clock=time.clock)
    time.run(main)


def test_a_stop_wakes_waiting_workers(ledger, time):
    service = Service(time)
    work = job(ledger, time, service, 100)

    async def main():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work.run)
            await anyio.sleep(30)
            work.stopping.set()
            await anyio.sleep(0.5)

    time.run(main)
    assert work.stopped is None
    assert time.elapsed < 31
    assert (len(service.answered), work.rows) == (20, 80)


def test_nothing_starts_at_the_deadline_or_after_it(ledger, time):
    service = Service(time)
    work = job(ledger, time, service, 100, deadline=NOON + 90)
    time.run(work.run)
    assert work.stopped == (StopReason.DEADLINE, NOON + 90)
    assert len(work.starts) == 40
    assert max(work.starts) < NOON + 90


def test_a_run_stops_at_once_if_the_next_start_is_after_the_deadline(ledger, time):
    work = job(ledger, time, Service(time), 100, deadline=NOON + 40)
    time.run(work.run)
    assert time.elapsed < 10


def test_a_stop_during_a_quota_refresh_starts_nothing(ledger, time):
    stopping = anyio.Event()

    async def main():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stops)
            assert await rate_limiter.acquire(stopping) is None

    async def stops():
        await anyio.sleep(5)
        stopping.set()

    rate_limiter = RateLimiter(ledger, FREE, "reviews", clock=time.clock, refresh_quota=anyio.sleep_forever)
    time.pass_by(7200)
    time.run(main)
    assert time.elapsed < 7206
    assert ledger.usage().jobs == {}


def test_a_cancelled_waiter_leaves_the_queue(ledger, time, ledger_place):
    async def main():
        stopping = anyio.Event()
        await rate_limiter.acquire(stopping)
        with anyio.move_on_after(5):
            await rate_limiter.acquire(stopping)
        with Ledger(ledger_place, time.clock) as other:
            start = await RateLimiter(other, Limits(per_minute=1), "other", clock=time.clock).acquire(stopping)
        assert start.at == pytest.approx(NOON + 60.25, abs=0.01)

    rate_limiter = RateLimiter(ledger, Limits(per_minute=1), "reviews", clock=time.clock)
    time.run(main)


@LONG
@pytest.mark.parametrize("jump", [-7200, 7200])
def test_a_clock_jump_during_a_wait_for_midnight_is_noticed(ledger, time, jump):
    service = Service(time, per_day=1)
    work = job(ledger, time, service, 2, Limits(per_day=1), on_quota="wait")

    async def main():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work.run)
            await anyio.sleep(100)
            time.set_clock(jump)

    time.run(main)
    assert not service.refused
    assert MIDNIGHT <= work.starts[1] <= MIDNIGHT + 60


@LONG
def test_jobs_of_several_processes_share_the_minute_fairly(time, ledger_place):
    service = Service(time)
    ledgers = [Ledger(ledger_place, time.clock) for _ in range(6)]
    works = [job(each, time, service, 10**6, Limits(per_minute=20)) for each in ledgers]

    async def main():
        async with anyio.create_task_group() as tasks:
            for work in works:
                tasks.start_soon(work.run)
            await anyio.sleep(1800)
            for work in works:
                work.stopping.set()

    time.run(main)
    counts = [len(work.starts) for work in works]
    assert not service.refused
    assert sum(counts) >= 0.98 * 30 * 20 - 20
    assert max(counts) - min(counts) <= 0.1 * max(counts)
    for each in ledgers:
        each.close()


def test_an_endpoint_without_limits_never_waits(ledger, time):
    async def main():
        starts = [await rate_limiter.acquire(anyio.Event()) for _ in range(1000)]
        assert all(isinstance(start, Start) for start in starts)

    rate_limiter = RateLimiter(ledger, Limits(), "fast", clock=time.clock)
    time.run(main)
    assert time.elapsed == 0
    assert ledger.usage().jobs == {}, "no limit, no ledger"


def test_a_refusal_on_an_endpoint_without_limits_brings_its_starts_into_the_ledger(ledger, time):
    refusal = Failure(kind=Kind.MINUTE_LIMIT, message="slow down", retry_after=30.0)

    async def main():
        starts = [await rate_limiter.acquire(anyio.Event()) for _ in range(5)]
        last = starts[-1]
        assert isinstance(last, Start)
        rate_limiter.record_refusal(refusal, last)
        await rate_limiter.acquire(anyio.Event())

    rate_limiter = RateLimiter(ledger, Limits(), "fast", clock=time.clock)
    time.run(main)
    assert time.elapsed >= 30
    assert ledger.usage().jobs == {"fast": 6}


def test_a_closure_by_another_process_is_seen_within_a_second(ledger, time):
    async def main():
        await rate_limiter.acquire(anyio.Event())
        ledger.close_account(time.clock() + 20, "minute")
        await anyio.sleep(1.1)
        await rate_limiter.acquire(anyio.Event())

    rate_limiter = RateLimiter(ledger, Limits(), "fast", clock=time.clock)
    time.run(main)
    assert time.elapsed >= 20


async def wait_for_nobody():
    await anyio.Event().wait()


@pytest.mark.parametrize("main", [anyio.sleep_forever, wait_for_nobody])
def test_virtual_time_raises_for_a_run_that_can_never_end(main):
    with pytest.raises(Stalled):
        VirtualTime().run(main)


def test_virtual_time_continues_from_run_to_run():
    time = VirtualTime()
    time.run(anyio.sleep, 3 * DAY)
    time.pass_by(1)
    time.run(anyio.sleep, 0.5)
    assert time.elapsed == time.clock() - NOON == 3 * DAY + 1.5
