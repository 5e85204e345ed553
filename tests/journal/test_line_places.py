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
