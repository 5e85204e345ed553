"""A set of texts for millions of them, in 8 bytes per slot of a hash table."""

from __future__ import annotations

import hashlib
from array import array

SLOTS = 1536


class TextSet:
    """A set of texts that keeps a fingerprint of 64 bits of each and not the text itself.

    Among a million texts the chance that a text seems to be in the set and is not is 1 to 2^44. So the set may count
    rows for a message, but must not decide which row an answer belongs to. It is a hash table with linear probing; a
    free slot holds zero.
    """

    def __init__(self) -> None:
        self._slots, self._used = array("Q", bytes(8 * SLOTS)), 0

    def __contains__(self, text: str) -> bool:
        return self._slots[self._place(_fingerprint(text))] != 0

    def add(self, text: str) -> None:
        """Puts a text into the set."""
        fingerprint = _fingerprint(text)
        place = self._place(fingerprint)
        if not self._slots[place]:
            self._slots[place] = fingerprint
            self._used += 1
            if 3 * self._used >= 2 * len(self._slots):
                self._grow()

    def _place(self, fingerprint: int) -> int:
        """The slot of a fingerprint, or the free slot where it belongs."""
        slots, size = self._slots, len(self._slots)
        place = fingerprint % size
        while slots[place] and slots[place] != fingerprint:
            place = place + 1 if place + 1 < size else 0
        return place

    def _grow(self) -> None:
        """Doubles the hash table."""
        old = self._slots
        self._slots = array("Q", bytes(8)) * (2 * len(old))
        for fingerprint in old:
            if fingerprint:
                self._slots[self._place(fingerprint)] = fingerprint


def _fingerprint(text: str) -> int:
    """64 bits of the text's BLAKE2b digest; never zero."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) or 1
