"""The exit code of every end of a run."""

from __future__ import annotations

import pytest

from batchfree.core.stops import EXIT_CODES, Counts, Stopped, StopReason, exit_code

QUOTA = Stopped(reason=StopReason.QUOTA, message="", until=0.0)
CHARGED = Stopped(reason=StopReason.CHARGED, message="")
SIGINT = Stopped(reason=StopReason.INTERRUPTED, message="")


@pytest.mark.parametrize(
    ("stopped", "counts", "limit_reached", "threshold", "code"),
    [
        (None, Counts(ok=3), False, 0.0, 0),
        (None, Counts(), False, 0.0, 0),
        (None, Counts(ok=3, failed=1), False, 0.0, 1),
        (None, Counts(ok=3, failed=1), False, 25.0, 0),
        (None, Counts(ok=3, failed=1), False, 24.0, 1),
        (None, Counts(ok=3, pending=1), False, 0.0, 75),
        (None, Counts(ok=3, pending=1), True, 0.0, 0),
        (None, Counts(ok=3, failed=1, pending=1), True, 0.0, 1),
        (QUOTA, Counts(ok=3, pending=1), False, 0.0, 75),
        (QUOTA, Counts(ok=4), False, 0.0, 0),
        (QUOTA, Counts(ok=3, failed=1), False, 0.0, 1),
        (SIGINT, Counts(ok=3, pending=1), False, 0.0, 130),
        (SIGINT, Counts(ok=4), False, 0.0, 0),
        (CHARGED, Counts(ok=4), False, 0.0, 3),
        (CHARGED, Counts(ok=3, pending=1), True, 0.0, 3),
    ],
)
def test_the_exit_code_follows_from_the_end_and_the_rows(
    stopped: Stopped | None, counts: Counts, limit_reached: bool, threshold: float, code: int
) -> None:
    assert exit_code(stopped, counts, limit_reached=limit_reached, fail_threshold=threshold) == code


def test_every_reason_has_an_exit_code() -> None:
    assert set(EXIT_CODES) == set(StopReason)
