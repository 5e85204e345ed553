"""The places of the lines of every question."""

from __future__ import annotations

import random
from collections import defaultdict

from batchfree.journal.line_places import LinePlaces


def test_every_question_keeps_all_its_lines_in_order_whatever_their_lengths() -> None:
    rng, ours, theirs = random.Random(5), LinePlaces(), defaultdict[int, list[tuple[int, int]]](list)
    start = 0
    for _ in range(5_000):
        number, length = rng.randrange(2_000), rng.choice([1, 700, 65_534, 65_535, 65_536, 3_000_000])
        ours.put(number, start, length)
        theirs[number].append((start, length))
        start += length
    assert all([tuple(each) for each in ours.of(number)] == theirs[number] for number in range(2_001))
    assert ours.total == start


def test_lines_of_long_journals_and_of_several_journals_keep_their_places() -> None:
    rng, ours, theirs = random.Random(6), LinePlaces(), defaultdict[int, list[tuple[int, int]]](list)
    for turn in range(3_000):
        number = rng.randrange(1_000)
        start = rng.randrange(1 << 32) if turn < 500 else rng.randrange(1 << 48) + (rng.randrange(513) << 48)
        ours.put(number, start, 700)
        theirs[number].append((start, 700))
    assert all([tuple(each) for each in ours.of(number)] == theirs[number] for number in range(1_001))
