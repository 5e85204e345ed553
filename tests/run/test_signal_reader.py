"""What each signal means: the first one stops the run, a second wish ends the process."""

from __future__ import annotations

import signal

import pytest

from batchfree.run.signals import SignalReader

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


@pytest.mark.parametrize(
    ("received", "codes"),
    [
        ([(0.0, TERM)], []),
        ([(0.0, TERM), (0.001, TERM)], []),
        ([(0.0, TERM), (0.001, TERM), (0.9, TERM)], []),
        ([(0.0, INT), (1.5, INT)], [130]),
        ([(0.0, TERM), (1.5, TERM)], [143]),
        ([(0.0, INT), (0.001, TERM)], [130]),
        ([(0.0, HUP), (0.001, INT)], [143]),
    ],
)
def test_a_second_wish_leaves_and_the_same_signal_within_a_second_is_the_same_wish(
    received: list[tuple[float, signal.Signals]], codes: list[int]
) -> None:
    stopped: list[signal.Signals] = []
    left: list[int] = []
    now = 0.0
    reader = SignalReader(stopped.append, left.append, lambda: now)
    for now, number in received:  # noqa: B007 - the reader's clock reads it
        reader.take(number)
    assert stopped == [received[0][1]]
    assert left == codes
