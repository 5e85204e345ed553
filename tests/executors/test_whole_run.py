"""The whole run of a job in parts: its progress, its result and its exit code, from those of the parts."""

from __future__ import annotations

from collections import Counter

import pytest

from batchfree.core.stops import Stopped, StopReason
from batchfree.executors.whole_run import PartResult, progress_of, result_of, worst
from batchfree.journal.model_statistics import ModelStatistics
from batchfree.journal.request_statistics import RequestStatistics
from batchfree.run.progress import Progress
from batchfree.run.summary import RunResult


@pytest.mark.parametrize(
    ("codes", "code"),
    [((0, 0), 0), ((0, 1), 1), ((75, 1, 0), 75), ((143, 75), 143), ((130, 143), 130), ((3, 130), 3), ((2, 3), 2)],
)
def test_the_exit_code_is_that_of_the_worst_part(codes: tuple[int, ...], code: int) -> None:
    assert worst([PartResult(exit_code=each) for each in codes]).exit_code == code


def test_the_reason_is_that_of_the_worst_part() -> None:
    quota = Stopped(reason=StopReason.QUOTA, message="spent")
    parts = [PartResult(exit_code=75, stopped=quota), PartResult(exit_code=1)]
    assert worst(parts).stopped is quota


def test_what_the_parts_did_is_added_up() -> None:
    one = RunResult(ok=3, failed=1, statistics=RequestStatistics(requests=5, wasted={"m": Counter(timeout=1)}))
    two = RunResult(ok=4, statistics=RequestStatistics(requests=6, wasted={"m": Counter(timeout=1, empty=1)}))
    done = result_of([PartResult(exit_code=0, this_run=one), PartResult(exit_code=0, this_run=two)])
    assert (done.ok, done.failed, done.statistics.requests) == (7, 1, 11)
    assert done.statistics.wasted == {"m": Counter(timeout=2, empty=1)}


def test_the_progress_of_the_parts_is_added_up() -> None:
    one = Progress(total=10, ok=3, requests=4, in_flight=2, models={"m": ModelStatistics(answered=3, failed=1)})
    two = Progress(
        total=10,
        skipped=5,
        failed=1,
        waiting_for="day",
        until=9.0,
        warnings=("w",),
        models={"m": ModelStatistics(failed=1)},
    )
    whole = progress_of([one, two], 21)
    assert (whole.total, whole.ok, whole.failed, whole.skipped, whole.requests) == (21, 3, 1, 5, 4)
    assert (whole.in_flight, whole.waiting_for, whole.until, whole.warnings) == (2, "day", 9.0, ("w",))
    assert whole.models["m"] == ModelStatistics(answered=3, failed=2)
    assert progress_of([], 21).done == 0
