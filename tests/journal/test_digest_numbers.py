"""The numbers of digests."""

from __future__ import annotations

import random

from batchfree.journal.digest_numbers import DigestMarks, DigestNumbers


def test_it_numbers_digests_in_the_order_in_which_they_come_while_it_grows() -> None:
    rng, ours, theirs = random.Random(3), DigestNumbers(), dict[str, int]()
    for _ in range(20_000):
        digest = f"{rng.getrandbits(128) >> rng.randrange(124):032x}"
        assert ours.add(digest) == theirs.setdefault(digest, len(theirs))
    assert len(ours) == len(theirs)
    assert all(ours.get(digest) == number for digest, number in theirs.items())
    assert ours.get("f" * 32) is None
    assert "f" * 32 not in ours


def test_digests_with_one_equal_half_are_different() -> None:
    ours = DigestNumbers()
    alike = [f"{'ab' * 8}{number:016x}" for number in range(3_000)]
    alike += [f"{number:016x}{'cd' * 8}" for number in range(300)]
    assert [ours.add(digest) for digest in alike] == list(range(3_300))
    assert [ours.get(digest) for digest in alike] == list(range(3_300))


def test_a_mark_is_set_once_and_only_where_it_was_set() -> None:
    numbers = DigestNumbers()
    marks, other = DigestMarks(numbers), DigestMarks(numbers)
    first, second, third = (f"{number:032x}" for number in (1, 2, 3))
    numbers.add(first)
    assert [marks.add(second), marks.add(second), marks.add(first)] == [True, False, True]
    assert [digest in marks for digest in (first, second, third)] == [True, True, False]
    assert (marks.count, other.count, second in other) == (2, 0, False)
