"""When a service is given up: nothing but failed connections, or nothing but refusals by the limit per minute."""

from __future__ import annotations

import pytest

from batchfree.core.chat import Completion, Failure, Judged, Kind
from batchfree.service.reach import Reach

REFUSED = Failure(kind=Kind.CONNECTION, message="example.org port 443: connection refused", unsent=True)
CUT = Failure(kind=Kind.CONNECTION, message="example.org port 443: ReadError: cut")
MINUTE = Failure(kind=Kind.MINUTE_LIMIT, message="Rate limit exceeded: free-models-per-min")
DAY = Failure(kind=Kind.DAY_LIMIT, message="Rate limit exceeded: free-models-per-day")
ANSWER = Completion(model="a/b:free", content="Hello.")
BUSY = Failure(kind=Kind.UPSTREAM_ERROR, message="busy")


@pytest.mark.parametrize(
    ("events", "stops"),
    [
        ([(0, REFUSED)], False),
        ([(0, REFUSED), (29.9, REFUSED)], False),
        ([(0, REFUSED), (30, REFUSED)], True),
        ([(0, REFUSED), (10, CUT), (20, REFUSED), (31, CUT)], True),
        ([(0, CUT), (61, CUT), (122, CUT)], False),
        ([(0, CUT), (61, CUT), (81, CUT), (92, CUT)], True),
        ([(0, REFUSED), (10, ANSWER), (31, REFUSED)], False),
        ([(0, REFUSED), (10, BUSY), (31, REFUSED)], False),
        ([(0, REFUSED), (10, MINUTE), (31, REFUSED)], False),
        ([(0, MINUTE), (899, MINUTE)], False),
        ([(0, MINUTE), (300, MINUTE), (900, MINUTE)], True),
        ([(0, MINUTE), (300, ANSWER), (900, MINUTE)], False),
        ([(0, MINUTE), (300, BUSY), (900, MINUTE)], False),
        ([(0, MINUTE), (300, REFUSED), (900, MINUTE)], True),
        ([(0, DAY), (900, DAY)], False),
    ],
)
def test_a_service_is_given_up_after_thirty_seconds_or_fifteen_minutes(
    events: list[tuple[float, Judged]], stops: bool
) -> None:
    reach = Reach()
    *earlier, last = [reach.note(judged, 1000 + second) for second, judged in events]
    assert earlier == [None] * len(earlier)
    assert (last is not None) is stops
    if last is not None:
        assert last.exit_code == 75
        told = events[-1][1]
        assert isinstance(told, Failure)
        assert told.message in last.message
