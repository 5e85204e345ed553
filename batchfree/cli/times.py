"""Times and durations as a person reads and types them. Times are local; another day's have date and zone."""

from __future__ import annotations

import re
import time
from datetime import datetime

MINUTE, HOUR, DAY = 60, 3_600, 86_400
ISO_TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
"""A time in UTC as the log and `--json` write it: `2026-11-29T00:00:00Z`."""


def moment(at: float, now: float) -> str:
    """A time in epoch seconds as text: `21:59:35` today, else `2026-11-29 00:00 UTC`."""
    there, here = time.localtime(at), time.localtime(now)
    if there[:3] == here[:3]:
        return time.strftime("%H:%M:%S", there)
    return time.strftime("%Y-%m-%d %H:%M %Z", there)


def with_local_times(text: str, now: float) -> str:
    """The text with every ISO time in UTC written as by `moment`; `now` in epoch seconds. An impossible time stays."""

    def local(found: re.Match[str]) -> str:
        try:
            return moment(datetime.fromisoformat(found[0]).timestamp(), now)
        except (ValueError, OverflowError, OSError):
            return found[0]

    return ISO_TIME.sub(local, text)


def duration(seconds: float) -> str:
    """A duration as text, in one or two units: `45 s`, `12 min`, `3 h 20 min`, `4 days`."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{round(whole / MINUTE)} min"
    if whole < DAY:
        hours, minutes = divmod(round(whole / MINUTE), MINUTE)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days = round(whole / DAY)
    return "1 day" if days == 1 else f"{days} days"


def seconds_in(text: str) -> float | None:
    """The seconds of a duration as a person types it: `90s`, `15m`, `2h`, `1h30m`; None for any other text."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    if found is None or not any(found.groups()):
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(HOUR * hours + MINUTE * minutes + seconds)
