"""The map from digests to integers."""

from __future__ import annotations

import random

from batchfree.journal.digest_map import DigestMap


def test_it_behaves_like_a_dict_while_it_grows() -> None:
    rng, ours, theirs = random.Random(3), DigestMap(), dict[str, int]()
    for _ in range(20_000):
        digest, value = f"{rng.getrandbits(128) >> rng.randrange(120):032x}", rng.randrange(-(2**40), 2**40)
        if int(digest, 16) == 0:
            continue
        ours.put(digest, value)
        theirs[digest] = value
    assert len(ours) == len(theirs)
    assert all(ours.get(digest) == value for digest, value in theirs.items())
    assert "f" * 32 not in ours


def test_digests_with_the_same_first_half_are_different_keys() -> None:
    ours = DigestMap()
    alike = [f"{'ab' * 8}{number:016x}" for number in range(3_000)]
    for number, digest in enumerate(alike):
        ours.put(digest, number)
    assert [ours.get(digest) for digest in alike] == list(range(3_000))
