"""The rules for starts, compared with brute force and with the way the service counts; and the learned limits."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchfree.service.quota.learned import (
    ASK_AGAIN,
    ASK_EVERY,
    LAG,
    DayReport,
    LearnedCap,
    cap_in_force,
    effective_limits,
    ends_day_closure,
    is_stale,
    learn_cap,
    least_guess,
    minute_start,
    provisional_closure,
    used_elsewhere,
)
from batchfree.service.quota.limits import (
    BURST,
    DAY,
    FREE,
    LONGEST_MINUTE,
    SLACK,
    SPACING,
    Closure,
    Limits,
    Opening,
    closure_after_429,
    day_start,
    is_in_force,
    next_day,
    opens_at,
)

MIDNIGHT = 20_000 * DAY
NOON = MIDNIGHT + DAY / 2
NEXT = MIDNIGHT + DAY
TWENTY = Limits(per_minute=20)


def minute(until):
    return Closure(until=until, reason="minute")


def day(until):
    return Closure(until=until, reason="day")


OPENINGS = [
    # now, starts, used today, limits, closures → at, reason
    (NOON, [], 0, Limits(), [], NOON, None),
    (NOON, [NOON] * 500, 10**6, Limits(), [], NOON, None),
    (NOON, [], 0, TWENTY, [], NOON, None),
    (NOON, [NOON], 0, TWENTY, [], NOON + SPACING, "minute"),
    (NOON, [NOON - 1], 0, TWENTY, [], NOON, None),
    (NOON, [NOON - 30] * 19, 0, TWENTY, [], NOON, None),
    (NOON, [NOON - 30] * 20, 0, TWENTY, [], NOON + 30.25, "minute"),
    (NOON, [NOON - 40, *[NOON - 30] * 20], 0, TWENTY, [], NOON + 30.25, "minute"),
    (NOON, [NOON - 61] * 20, 0, TWENTY, [], NOON, None),
    (NOON, [NOON - 60] * 20, 0, TWENTY, [], NOON + 0.25, "minute"),
    # a start in the last second of a clock minute counts until the next one is over
    (NOON, [NOON - 0.75] * 20, 0, TWENTY, [], NOON + 60, "minute"),
    (NOON, [NOON - 0.125] * 20, 0, TWENTY, [], NOON + 60.125, "minute"),
    (NOON, [NOON - 1] * 20, 0, TWENTY, [], NOON + 59.25, "minute"),
    (NOON, [], 49, Limits(per_day=50), [], NOON, None),
    (NOON, [], 50, Limits(per_day=50), [], NEXT, "day"),
    (NOON, [], 60, Limits(per_day=50), [], NEXT, "day"),
    (NOON, [], 40, Limits(per_day=50, reserve=10), [], NEXT, "day"),
    (NOON, [], 39, Limits(per_day=50, reserve=10), [], NOON, None),
    (NOON, [], 0, Limits(per_day=50, reserve=60), [], NEXT, "day"),
    (NOON, [], 0, Limits(per_day=0), [], NEXT, "day"),
    (NOON, [], 0, Limits(), [minute(NOON + 10)], NOON + 10, "minute"),
    (NOON, [], 0, Limits(), [minute(NOON - 10)], NOON, None),
    (NOON, [], 0, TWENTY, [minute(NOON + 10), day(NEXT + 1)], NEXT + 1, "day"),
    (NOON, [], 50, Limits(per_day=50), [minute(NOON + 10)], NEXT, "day"),
    # a start in the last second of a limited day could be counted on the next day
    (NEXT - 0.5, [], 0, Limits(per_day=50), [], NEXT, "minute"),
    (NEXT - 0.5, [], 0, TWENTY, [], NEXT - 0.5, None),
    (NEXT - 30, [NEXT - 61] * 20, 0, Limits(per_minute=20, per_day=50), [], NEXT, "minute"),
    # the clock was set back: future starts count as of now, future closures are ignored
    (NOON, [NOON + 3600] * 20, 0, TWENTY, [], NOON + 60.25, "minute"),
    (NOON, [], 0, TWENTY, [minute(NOON + 3600)], NOON, None),
    (NOON, [], 0, TWENTY, [day(NEXT + DAY)], NOON, None),
]


@pytest.mark.parametrize("case", OPENINGS, ids=range(len(OPENINGS)))
def test_a_start_waits_for_the_latest_of_all_rules(case):
    now, starts, used, limits, closures, at, reason = case
    assert opens_at(now, starts, used, limits, closures) == Opening(at=at, reason=reason)


def test_a_limit_below_one_per_minute_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        Limits(per_minute=0)


def is_late(start, at):
    """Whether a start in the last second of a clock minute may have arrived in the minute that is going on `at`."""
    return start % 60 > 59 and at // 60 <= start // 60 + 1


def may_start(at, starts, used, limits, closures, today):
    """The same rules in their simplest form."""
    day_of_at = at // DAY
    used = used if day_of_at == today else 0
    gap = min(SPACING, BURST / limits.per_minute) if limits.per_minute else 0
    return (
        (
            limits.per_minute is None
            or sum(at < start + 60.25 or is_late(start, at) for start in starts) < limits.per_minute
        )
        and all(at >= start + gap for start in starts)
        and all(at >= each.until for each in closures)
        and (limits.per_day is None or used < limits.per_day - limits.reserve)
        and (limits.per_day is None or (day_of_at + 1) * DAY - at >= SLACK)
    )


@given(
    now=st.integers(0, 1200).map(lambda tenths: NEXT - 60 + tenths / 8),
    ages=st.lists(st.integers(0, 800), max_size=12).map(sorted),
    used=st.integers(0, 12),
    limits=st.builds(
        Limits,
        per_minute=st.none() | st.integers(1, 6),
        per_day=st.none() | st.integers(1, 12),
        reserve=st.integers(0, 3),
    ).filter(lambda limits: limits.allowed != 0),
    closed=st.lists(st.integers(-80, 800).map(lambda eighths: eighths / 8), max_size=2),
)
@example(now=NEXT - 2, ages=[0] * 6, used=12, limits=Limits(per_minute=1, per_day=12), closed=[100])
def test_the_next_start_is_the_earliest_that_brute_force_finds(now, ages, used, limits, closed):
    starts = [now - age / 8 for age in reversed(ages)]
    closures = [minute(now + seconds) for seconds in closed]
    opening = opens_at(now, starts, used, limits, closures)
    today = now // DAY
    marks = sorted(
        {now, next_day(now), next_day(now) + DAY}
        | {start + wait for start in starts for wait in (60.25, SPACING, 120 - start % 60)}
        | {each.until for each in closures}
    )
    first = next(
        at
        for at in marks
        if at >= now and may_start(at, starts, used, limits, [c for c in closures if is_in_force(c, now)], today)
    )
    assert opening.at == first
    assert (opening.reason is None) == (opening.at == now)


def service_minutes(arrivals):
    """The largest number of arrivals in one clock minute, which is what the service counts."""
    counts: dict[float, int] = {}
    for arrival in arrivals:
        counts[arrival // 60] = counts.get(arrival // 60, 0) + 1
    return max(counts.values())


def schedule(seconds, cap, rng, begin=NOON, late=0.0):
    """The starts of a scheduler that always has work and wakes up to `late` seconds late."""
    now: float = begin
    starts: list[float] = []
    while now < begin + seconds:
        opening = opens_at(now, starts[-cap:], len(starts), Limits(per_minute=cap))
        now = opening.at
        if opening.reason is None:
            starts.append(now)
            now += rng.random() * late
    return starts


@given(
    seed=st.integers(0, 10**6), cap=st.integers(1, 40), begin=st.floats(0, 60), late=st.sampled_from([0, 0.01, 1, 9])
)
def test_the_service_never_counts_more_arrivals_in_a_clock_minute_than_its_cap(seed, cap, begin, late):
    rng = random.Random(seed)
    starts = schedule(600, cap, rng, begin=NOON + begin, late=late)
    assert service_minutes(start + rng.uniform(0, 0.9) for start in starts) <= cap
    assert all(later - earlier >= 60 for earlier, later in zip(starts, starts[cap:], strict=False))


def test_a_busy_hour_uses_98_percent_of_what_a_perfect_scheduler_could_start():
    starts = schedule(3 * 3600, 20, random.Random(1), late=0.01)
    second_hour = [start for start in starts if NOON + 3600 <= start < NOON + 7200]
    assert 0.98 * 1200 <= len(second_hour) <= 1200


@pytest.mark.parametrize("second", [0, 20, 58.5, 59.5])
def test_sixty_rows_at_twenty_a_minute_take_at_most_two_percent_more_than_two_minutes(second):
    starts = schedule(300, 20, random.Random(1), begin=NOON + second, late=0.005)[:60]
    assert starts[-1] - starts[0] <= 1.02 * 120


def test_each_waiter_in_the_queue_gets_its_own_time():
    starts = [NOON - 60 + i for i in range(3)]
    limits = Limits(per_minute=3)
    places = [opens_at(NOON, starts, 3, limits, ahead=ahead).at - NOON for ahead in range(5)]
    assert places == [0.25, 1.25, 2.25, 60.5, 61.5]
    nearly_spent = Limits(per_minute=3, per_day=5)
    assert opens_at(NOON, starts, 3, nearly_spent, ahead=1).reason == "minute"
    assert opens_at(NOON, starts, 3, nearly_spent, ahead=2) == Opening(at=NEXT, reason="day")


CLOSURES = [
    # reason, resets_at, retry_after → until; the clock minute began 20 seconds ago
    ("minute", NOON + 60, None, NOON + 61),
    ("minute", None, None, NOON + 61),
    ("minute", None, 7, NOON + 28),
    ("minute", NOON + 60, 7, NOON + 61),
    ("minute", NOON + 9000, None, NOON + 20 + LONGEST_MINUTE),
    ("minute", None, 9000, NOON + 20 + LONGEST_MINUTE),
    ("minute", NOON - 600, None, NOON + 61),
    ("day", NEXT, None, NEXT + 1),
    ("day", None, None, NEXT + 1),
    ("day", NOON + 3600, None, NOON + 3601),
    ("day", NEXT + 5 * DAY, None, NEXT + 1),
    ("day", None, 9e9, NEXT + 1),
    ("day", MIDNIGHT, None, NOON + 80),
]


@pytest.mark.parametrize(("reason", "resets_at", "retry_after", "until"), CLOSURES)
def test_a_closure_lasts_until_the_reset_time_of_the_429_up_to_a_cap(reason, resets_at, retry_after, until):
    found = closure_after_429(reason, NOON + 20, resets_at, retry_after)
    assert found == Closure(until=until, reason=reason)
    assert is_in_force(found, NOON + 20)


def test_the_minute_of_a_429_starts_one_minute_before_its_reset_time():
    assert minute_start(NOON + 20, None) == NOON
    assert minute_start(NOON + 20, NOON + 65) == NOON + 5
    assert minute_start(NOON + 59.5, NOON + 120) == NOON + 60
    assert minute_start(NOON + 20, NOON + 6000) == NOON
    assert minute_start(NOON + 20, NOON - 6000) == NOON


def lesson(*, named=None, through=0, cap=20, known=None, refused_at=NOON - 1):
    return learn_cap(NOON, refused_at=refused_at, named=named, through=through, cap=cap, known=known)


LESSONS = [
    # cap named by the 429, starts of its minute not refused, current cap → cap learned, whether it was named
    (10, 12, 20, 10, True),
    (20, 25, None, 20, True),
    (20, 20, 20, 19, False),
    (30, 15, 20, 15, False),
    (None, 12, 20, 12, False),
    (None, 20, 20, 19, False),
    (None, 4, 20, 10, False),
    (None, 23, None, 23, False),
    (None, 20, 10**6, 20, False),
    (None, 4, 10**6, 10, False),
    (10**6, 20, 10**6, 20, False),
    (None, 0, None, 1, False),
    (None, 0, 1, 1, False),
    (0, 5, None, 5, False),
]


@pytest.mark.parametrize(("named", "through", "cap", "learned", "by_name"), LESSONS)
def test_a_minute_429_teaches_the_cap(named, through, cap, learned, by_name):
    assert lesson(named=named, through=through, cap=cap) == LearnedCap(per_minute=learned, at=NOON, named=by_name)


def test_refusals_of_requests_sent_before_a_guess_only_lower_it():
    known = LearnedCap(per_minute=12, at=NOON - 0.5, named=False)
    assert lesson(through=8, cap=12, known=known) == LearnedCap(per_minute=8, at=NOON - 0.5, named=False)
    assert lesson(through=14, cap=12, known=known) == known
    by_name = LearnedCap(per_minute=12, at=NOON - 0.5, named=True)
    assert lesson(through=8, cap=12, known=by_name) == lesson(through=8, cap=12, known=by_name, named=20) == by_name
    assert lesson(through=8, cap=12, known=known, named=10) == LearnedCap(per_minute=10, at=NOON, named=True)
    assert lesson(through=8, cap=12, known=known, refused_at=NOON) == LearnedCap(per_minute=8, at=NOON, named=False)


@pytest.mark.parametrize(
    ("retry_after", "through", "cap", "learned"),
    [(1, 2, None, 60), (3, 25, None, 25), (58, 20, None, 20), (None, 0, None, 10), (1, 2, 60, 60), (1, 2, 100, 60)],
)
def test_a_server_that_says_to_wait_for_a_second_takes_sixty_a_minute(retry_after, through, cap, learned):
    guess = learn_cap(
        NOON,
        refused_at=NOON - 1,
        named=None,
        through=through,
        cap=cap,
        known=None,
        least=least_guess(retry_after),
    )
    assert guess.per_minute == learned


CAPS = [
    # learned, seconds ago, the job's own cap → the cap now
    (10, True, 0, 20, 10),
    (10, True, 3599, 20, 10),
    (10, True, 3600, 20, None),
    (10, True, 3600, None, 10),
    (10, True, DAY, None, None),
    (10, False, 0, 20, 10),
    (10, False, 659, 20, 10),
    (10, False, 660, 20, 11),
    (10, False, 1200, 20, 20),
    (10, False, 299, None, 10),
    (10, False, 300, None, 20),
    (10, False, 900, None, 80),
    (10, False, -100, 20, None),
]


@pytest.mark.parametrize(("per_minute", "named", "age", "told", "cap"), CAPS)
def test_a_learned_cap_expires(per_minute, named, age, told, cap):
    assert cap_in_force(LearnedCap(per_minute=per_minute, at=NOON - age, named=named), NOON, told) == cap


def test_the_lower_of_the_jobs_limit_and_the_learned_cap_applies():
    learned = LearnedCap(per_minute=10, at=NOON, named=True)
    assert effective_limits(FREE, None, (), NOON) == FREE
    assert effective_limits(FREE, learned, (), NOON).per_minute == 10
    assert effective_limits(Limits(), learned, (), NOON).per_minute == 10
    assert effective_limits(Limits(per_minute=5), learned, (), NOON).per_minute == 5


def test_auto_follows_the_last_report_and_a_number_can_only_lower_it():
    reports = [DayReport(at=NOON - 100, limit=50), DayReport(at=NOON - 50, limit=1000), DayReport(at=NOON)]
    assert effective_limits(FREE, None, reports, NOON).per_day == 1000
    assert effective_limits(Limits(per_day=200), None, reports, NOON).per_day == 200
    assert effective_limits(Limits(per_day=2000), None, reports, NOON).per_day == 1000
    assert effective_limits(Limits(per_day=None), None, reports, NOON).per_day is None


def test_the_highest_report_of_the_day_counts_and_yesterdays_is_ignored():
    reports = [
        DayReport(at=NOON - DAY, elsewhere=900),
        DayReport(at=NOON - 100, elsewhere=30),
        DayReport(at=NOON, elsewhere=10),
    ]
    assert used_elsewhere(reports, NOON) == 30
    assert used_elsewhere(reports, NOON + DAY) == 0
    assert used_elsewhere([], NOON) == 0


def test_a_report_from_the_first_half_hour_counts_only_until_half_past_midnight():
    reports = [DayReport(at=MIDNIGHT + 5, elsewhere=50)]
    soon, later = MIDNIGHT + 60, MIDNIGHT + LAG
    assert used_elsewhere(reports, soon) == 50
    assert used_elsewhere(reports, later) == 0
    limits = Limits(per_day=50)
    assert provisional_closure(reports, 0, limits, soon) == day(MIDNIGHT + LAG)
    assert provisional_closure(reports, 0, limits, later) is None
    assert provisional_closure(reports, 50, limits, soon) is None
    assert provisional_closure(reports, 0, Limits(per_day=60), soon) is None
    assert provisional_closure(reports, 0, Limits(), soon) is None


OUTGROWN = [
    # earlier limits and their age in seconds; the new limit and use → whether it ends the closure of the day
    ([(50, 60)], 1000, 50, True),
    ([(50, 60)], 1000, 1060, False),
    ([(50, 60)], 50, 20, False),
    ([(1000, 7200), (50, 60)], 1000, 20, False),
    ([(1000, DAY), (50, 60)], 1000, 20, True),
    ([(50, 60)], None, None, False),
    ([], 1000, 0, False),
]


@pytest.mark.parametrize(("said", "limit", "used", "lifts"), OUTGROWN)
def test_a_higher_limit_ends_the_closure_of_the_day(said, limit, used, lifts):
    reports = [DayReport(at=NOON - age, limit=before) for before, age in said]
    assert ends_day_closure(reports, limit, used, NOON) is lifts


WORTH = [
    # asked at, now → whether stale, and whether stale when giving up
    (NOON, NOON + ASK_AGAIN - 1, False, False),
    (NOON, NOON + ASK_AGAIN, False, True),
    (NOON, NOON + ASK_EVERY - 1, False, True),
    (NOON, NOON + ASK_EVERY, True, True),
    (NOON, NOON - 1, True, True),
    (NEXT - 5, NEXT, True, True),
    (NEXT, NEXT + 5, False, False),
    (NEXT + 5, NEXT + LAG - 1, False, True),
    (NEXT + 5, NEXT + LAG, True, True),
    (NEXT + LAG, NEXT + LAG + 5, False, False),
]


@pytest.mark.parametrize(("asked", "now", "hourly", "giving_up"), WORTH)
def test_a_report_is_stale_after_an_hour_after_a_reset_and_sooner_when_giving_up(asked, now, hourly, giving_up):
    assert is_stale(asked, now) is hourly
    assert is_stale(asked, now, giving_up=True) is giving_up


def test_utc_days_are_counted_from_the_epoch():
    assert day_start(NOON) == day_start(MIDNIGHT) == MIDNIGHT
    assert next_day(MIDNIGHT) == next_day(NOON) == NEXT
