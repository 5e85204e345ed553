"""Random damage to bytes, seeded: what bad disks, bad networks, editors and strangers do to a file."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MOST_SECONDS = 5.0
"""Most seconds of processor time for one case."""
TOKENS = (
    *(
        b"\x00",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\r\n",
        b"\n",
        b"\n\n",
        b"\t",
        b" ",
        b"'",
        b'"',
        b"\\",
        b"\\u0000",
        b"\\ud83d",
    ),
    *(b"{", b"}", b"[", b"]", b":", b",", b"{{", b"}}", b"{%", b"%}", b"null", b"true", b"NaN", b"1e999", b"-0", b"0x"),
    *(b"9" * 400, b"[" * 300, b'{"a":' * 300, b"\xf0\x9f\x99\x82", b"\xe2\x80\xae", b"<think>", b"```", b"${HOME}"),
    *(b"&a *a", b"!!python/object", b"? ", b"- ", b"| ", b"../../", b"/dev/null", b"a" * 3000, b"\x1b[2J", b"~", b"%d"),
)


def cases(few: int) -> Iterator[tuple[int, random.Random]]:
    """The numbers of the cases and their chance. Few in the suite; FUZZ_CASES and FUZZ_SEED choose more and others."""
    seed = os.environ.get("FUZZ_SEED", "1")
    for number in range(int(os.environ.get("FUZZ_CASES", few))):
        yield number, random.Random(f"{seed}/{number}")


@contextmanager
def in_time(what: str) -> Iterator[None]:
    """Fails if the block takes more than MOST_SECONDS of processor time."""
    began = time.process_time()
    yield
    taken = time.process_time() - began
    assert taken < MOST_SECONDS, f"{what} took {taken:.1f} s"


def flip(rng: random.Random, data: bytes) -> bytes:
    """Some bits are flipped."""
    broken = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
    return bytes(broken)


def overwrite(rng: random.Random, data: bytes) -> bytes:
    """A stretch is zeros, or noise, as after a bad sector."""
    start, length = rng.randrange(len(data)), rng.choice((1, 4, 64, 512))
    filling = bytes(length) if rng.random() < 0.5 else rng.randbytes(length)
    return (data[:start] + filling + data[start + length :])[: len(data)]


def remove(rng: random.Random, data: bytes) -> bytes:
    """A stretch is missing."""
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.choice((1, 2, 10, 100, 1000)) :]


def insert(rng: random.Random, data: bytes) -> bytes:
    """A token of some language, or noise, stands where it does not belong."""
    start = rng.randrange(len(data) + 1)
    token = rng.choice(TOKENS) if rng.random() < 0.8 else rng.randbytes(rng.randrange(1, 20))
    return data[:start] + token + data[start:]


def cut(rng: random.Random, data: bytes) -> bytes:
    """The end is missing."""
    return data[: rng.randrange(len(data))]


def repeat(rng: random.Random, data: bytes) -> bytes:
    """A stretch stands at another place too."""
    start, place = rng.randrange(len(data)), rng.randrange(len(data))
    return data[:place] + data[start : start + rng.choice((1, 10, 100, 1000))] + data[place:]


def join_lines(rng: random.Random, data: bytes) -> bytes:
    """A line break is lost."""
    breaks = [place for place, byte in enumerate(data) if byte == 10]
    place = rng.choice(breaks) if breaks else 0
    return data[:place] + data[place + 1 :]


KINDS: tuple[Callable[[random.Random, bytes], bytes], ...] = (flip, overwrite, remove, insert, cut, repeat, join_lines)


def damaged(rng: random.Random, data: bytes, most: int = 3) -> bytes:
    """The bytes with one to `most` kinds of damage."""
    for _ in range(rng.randint(1, most)):
        if data:
            data = rng.choice(KINDS)(rng, data)
    return data
