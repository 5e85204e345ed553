"""The progress of a run in words: the lines of the live view, and one plain line."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from batchfree.cli.terminal import with_noun
from batchfree.cli.times import duration, moment
from batchfree.job.forecast import Pace
from batchfree.run.progress import Progress
from batchfree.service.quota.limits import next_day

MOST_LINES = 3
SEPARATOR = " · "
RATE_OVER = 120.0
"""Seconds over which the rate is measured."""
MODELS = 4
"""Most models that are named."""


class Rate:
    """Rows and requests per second, over the last two minutes."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int, int]] = deque()

    def add(self, seconds: float, progress: Progress) -> None:
        """Adds a sample of the progress; `seconds` is the time of a monotonic clock."""
        self._samples.append((seconds, progress.ok + progress.failed, progress.requests))
        while len(self._samples) > 2 and seconds - self._samples[1][0] > RATE_OVER:
            self._samples.popleft()

    @property
    def rows(self) -> float:
        """Rows per second."""
        return self._per_second(1)

    @property
    def requests(self) -> float:
        """Requests per second."""
        return self._per_second(2)

    def _per_second(self, place: int) -> float:
        if len(self._samples) < 2:
            return 0.0
        first, last = self._samples[0], self._samples[-1]
        return (last[place] - first[place]) / max(last[0] - first[0], 1e-9)


def finishes_at(progress: Progress, rate: Rate, now: float) -> float | None:
    """When the last row will be answered at this rate and under this quota, in epoch seconds; None if unknown."""
    left, answered = progress.total - progress.done, progress.ok + progress.failed
    if not rate.rows or not answered:
        return None
    usage = progress.usage
    if usage is None or (usage.day_limit is None and usage.minute_limit is None):
        return now + left / rate.rows
    least = 60.0 / usage.minute_limit if usage.minute_limit else 0.0  # a burst at the begin of a run is no pace
    pace = Pace(
        left=usage.left("day"),
        per_day=usage.day_limit,
        resets_at=max(usage.day_resets_at, now + 1) if usage.day_resets_at else next_day(now),
        seconds_each=max(1 / max(rate.requests, 1e-9), least),
    )
    begin = max(now, progress.until or now)
    return pace.finishes_at(max(1, round(left * progress.requests / answered)), begin)


def view_lines(job: str, progress: Progress, rate: Rate, now: float, width: int) -> list[str]:
    """Two or three lines of at most `width` columns. The most important parts come first, shortened if needed."""
    lines: list[str] = []
    for short in (False, True):
        matters = [
            list(_count_parts(job, progress, rate, now, short=short)),
            list(_request_parts(progress, now, short=short)),
        ]
        lines = _flow([*matters, list(_outcome_parts(progress, short=short))], width)
        if len(_flow(matters, width)) <= MOST_LINES:
            break
    return [line if len(line) <= width else _cut(line, width) for line in lines[:MOST_LINES]]


def _count_parts(job: str, progress: Progress, rate: Rate, now: float, *, short: bool) -> Iterator[str]:
    ok, failed = progress.skipped + progress.ok, progress.failed
    left = max(0, progress.total - progress.done)
    share = progress.done / progress.total if progress.total else 0.0
    if progress.total:
        yield f"{job} {int(100 * share)}%: {ok:,} ok, {failed:,} failed, {left:,} left"
    else:
        yield f"{job}: reading the input"
        return
    if progress.stopped is not None:
        return
    if rate.rows:
        yield f"{60 * rate.rows:,.0f}{'' if short else ' rows'}/min"
    end = finishes_at(progress, rate, now) if left else None
    if left and rate.rows and end is None:
        yield "ETA over 10 years"
    elif end is not None:
        yield f"ETA {duration(end - now)}" if short else f"ETA {moment(end, now)} ({duration(end - now)})"


def _request_parts(progress: Progress, now: float, *, short: bool) -> Iterator[str]:
    if progress.stopped is not None:
        yield stopping_note(progress, now)
    elif (wait := wait_note(progress, now)) is not None:
        yield wait.removeprefix("waiting for the ") if short else wait
    usage = progress.usage
    today = f", {usage.left('day'):,} left today" if usage is not None and usage.day_limit is not None else ""
    yield with_noun(progress.requests, "request") + today
    if progress.checks and progress.stopped is None:
        yield f"{with_noun(progress.checks, 'row')} of packs asked alone as well"
    if progress.in_flight and progress.stopped is None and not short:
        yield f"{progress.in_flight:,} in flight"


def _outcome_parts(progress: Progress, *, short: bool) -> Iterator[str]:
    if progress.failures:
        kinds = sorted(progress.failures.items(), key=lambda item: (-item[1], item[0]))
        whole = sum(progress.failures.values())
        yield f"{whole:,} without answer: " + ", ".join(f"{number:,} {kind}" for kind, number in kinds)
    if progress.models:
        ranked = sorted(progress.models.items(), key=lambda item: (-item[1].answered, item[0]))
        named = [
            f"{_brief(model)} {each.answered:,}/{each.answered + each.failed:,}" for model, each in ranked[:MODELS]
        ]
        more = f", {len(ranked) - MODELS} more" if len(ranked) > MODELS else ""
        yield ("" if short else "rows answered by ") + ", ".join(named) + more


def _brief(model: str) -> str:
    """A model's id without its author and without `:free`."""
    return model.rpartition("/")[2].removesuffix(":free")


def wait_note(progress: Progress, now: float) -> str | None:
    """What all workers wait for, and until when; None if they don't wait."""
    if progress.waiting_for is None or progress.until is None:
        if progress.goes_on_at is None or progress.in_flight or progress.goes_on_at <= now:
            return None
        return f"models failed: trying again at {moment(progress.goes_on_at, now)}"
    what = "quota ledger" if progress.waiting_for == "ledger" else f"{progress.waiting_for} limit"
    return f"waiting for the {what} until {moment(progress.until, now)}"


def stopping_note(progress: Progress, now: float) -> str:
    """What a stopping run still waits for."""
    if not progress.in_flight:
        return "stopping: no answer is in flight"
    left = max(0.0, (progress.until_cut_off or now) - now)
    return f"stopping: waiting up to {duration(left)} for {with_noun(progress.in_flight, 'answer')} in flight"


def _flow(groups: Sequence[Sequence[str]], width: int) -> list[str]:
    """A line for each group. A part that does not fit moves on to the next line as a whole."""
    lines: list[str] = []
    waiting: list[str] = []
    for number, group in enumerate(groups):
        waiting = [*waiting, *group]
        is_last = number == len(groups) - 1
        while waiting:
            line = waiting.pop(0)
            while waiting and len(line) + len(SEPARATOR) + len(waiting[0]) <= width:
                line += SEPARATOR + waiting.pop(0)
            lines.append(line)
            if not is_last:
                break
    return lines


def _cut(line: str, width: int) -> str:
    """The beginning of a line that is too long, cut behind a comma if its second half has one."""
    kept, comma, _ = line[: width - 1].rpartition(",")
    return f"{kept} …" if comma and len(kept) > width // 2 else line[: width - 1] + "…"


def plain_line(job: str, progress: Progress, rate: Rate, now: float) -> str:
    """Everything in one line, for a log file."""
    parts = [*_count_parts(job, progress, rate, now, short=False), *_request_parts(progress, now, short=False)]
    return ", ".join(parts)
