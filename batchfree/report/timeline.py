"""The requests of a job over time, in bars of equal width, with waits and day resets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from batchfree.report.figures import Bar, Timeline, TimelineWait

MINUTE, HOUR, DAY = 60, 3600, 86_400
WIDTHS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 7 * DAY, 28 * DAY)
"""The widths that a bar may have, in seconds."""
MOST_BARS = 96
"""Most bars of a chart; the smallest width that needs no more is taken."""


class StartCounter:
    """Counts the starts of requests by minute."""

    def __init__(self) -> None:
        self._starts, self._failed = Counter[int](), Counter[int]()

    def add(self, at: float, *, answered: bool) -> None:
        """Counts a request. `at` is its start in epoch seconds; `answered` says that it answered at least one row."""
        minute = int(at // MINUTE)
        self._starts[minute] += 1
        self._failed[minute] += not answered

    def timeline(self, pauses: Sequence[TimelineWait]) -> Timeline | None:
        """The bars from the first start to the last; None without a request."""
        if not self._starts:
            return None
        first, last = min(self._starts) * MINUTE, max(self._starts) * MINUTE
        width = next((each for each in WIDTHS if (last - first) / each < MOST_BARS), WIDTHS[-1])
        start = first // width * width
        number = (last - start) // width + 1
        starts, failed = self._grouped(self._starts, start, width), self._grouped(self._failed, start, width)
        end = start + number * width
        return Timeline(
            start=start,
            end=end,
            seconds=width,
            bars=[Bar(at=start + n * width, starts=starts[n], failed=failed[n]) for n in range(number)],
            pauses=[each for each in pauses if each.end > start and each.start < end],
            resets=[day * DAY for day in range(math.floor(start / DAY) + 1, math.ceil(end / DAY))],
        )

    def _grouped(self, minutes: Mapping[int, int], start: int, width: int) -> Counter[int]:
        bars = Counter[int]()
        for minute, number in minutes.items():
            bars[(minute * MINUTE - start) // width] += number
        return bars


def pauses(events: Iterable[Mapping[str, Any]]) -> list[TimelineWait]:
    """The waits of the job, from the events of the log.

    A wait begins with `waiting` and ends with the next event. A `stopped` event may name a time to go on, as after a
    spent day. Then the wait ends at that time, or when the next run starts.
    """
    found, begun, reason = list[TimelineWait](), None, ""
    stopped: TimelineWait | None = None
    for event in events:
        at = _seconds(event.get("at"))
        if at is None:
            continue
        if stopped is not None and event.get("event") == "started":
            found.append(replace(stopped, end=min(at, stopped.end)))
            stopped = None
        if begun is not None and event.get("event") != "warning":
            if at > begun:
                found.append(TimelineWait(start=begun, end=at, reason=reason))
            begun = None
        if event.get("event") == "waiting":
            begun, reason = at, str(event.get("reason"))
        until = _seconds(event.get("until"))
        if event.get("event") == "stopped" and until is not None and until > at:
            stopped = TimelineWait(start=at, end=until, reason=str(event.get("reason")))
    return _joined(found if stopped is None else [*found, stopped])


def _joined(found: Sequence[TimelineWait]) -> list[TimelineWait]:
    """The waits. Waits of the same reason become one if less than a second is between them."""
    joined = list[TimelineWait]()
    for pause in found:
        last = joined[-1] if joined else None
        if last is not None and last.reason == pause.reason and pause.start - last.end < 1:
            joined[-1] = TimelineWait(start=last.start, end=max(last.end, pause.end), reason=last.reason)
        else:
            joined.append(pause)
    return joined


def _seconds(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None
