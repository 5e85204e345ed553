"""Repeatable chance: a draw depends on the seed and on its purpose, not on the order of requests."""

from __future__ import annotations

import random
from hashlib import blake2b


def generator(seed: int, *about: object) -> random.Random:
    """A generator for one purpose; equal arguments give equal draws in every process."""
    return random.Random(_digest(seed, *about))


def uniform(seed: int, *about: object) -> float:
    """A random number from 0 to below 1 for one purpose; cheaper than a generator."""
    return _digest(seed, *about) / 2**64


def _digest(*about: object) -> int:
    """A 64-bit number that depends on every part."""
    digest = blake2b(digest_size=8)
    for part in about:
        digest.update(part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return int.from_bytes(digest.digest(), "big")
