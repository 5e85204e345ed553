"""Times and durations as people read them."""

from __future__ import annotations

import re
import time

from batchfree.cli.times import duration, moment, with_local_times


def test_moments_have_a_date_and_a_zone_where_they_are_not_today() -> None:
    noon = time.mktime((2026, 10, 6, 12, 0, 0, 0, 0, -1))
    assert moment(noon + 5, noon) == "12:00:05"
    assert re.fullmatch(r"2026-10-07 12:00 \w+", moment(noon + 86_400, noon))
    shown = [duration(seconds) for seconds in (5, 60, 3_540, 3_600, 12_000, 86_400, 400_000)]
    assert shown == ["5 s", "1 min", "59 min", "1 h", "3 h 20 min", "1 day", "5 days"]


def test_a_message_for_a_person_names_times_like_every_other_line() -> None:
    now = 1_791_288_000.0  # 2026-10-06T12:00:00Z
    midnight = moment(now + 12 * 3_600, now)
    assert (
        with_local_times("used up: 50 of 50; more at 2026-10-07T00:00:00Z", now)
        == f"used up: 50 of 50; more at {midnight}"
    )
    assert with_local_times("resets at 2026-99-07T00:00:00Z", now) == "resets at 2026-99-07T00:00:00Z"
