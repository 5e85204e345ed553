"""Chance that can be repeated: every draw depends on the seed and on what was asked, not on who came first."""

from __future__ import annotations

import random
from hashlib import blake2b


def generator(seed: int, *about: object) -> random.Random:
    """A generator for one purpose; equal arguments give equal draws in every process."""
    digest = blake2b(digest_size=8)
    for part in (seed, *about):
        digest.update(part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return random.Random(int.from_bytes(digest.digest(), "big"))


def share(seed: int, *about: object) -> float:
    """One number from 0 to below 1 for one purpose: cheaper than a generator."""
    digest = blake2b(digest_size=8)
    for part in (seed, *about):
        digest.update(part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return int.from_bytes(digest.digest(), "big") / 2**64
