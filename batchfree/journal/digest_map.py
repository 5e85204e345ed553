"""A map from digests to integers for millions of entries.

A dict needs over 150 bytes per entry. This map needs 24 per entry (16 for the key, 8 for the value), and 4 per slot of
its hash table, of which at most two thirds are used.
"""

from __future__ import annotations

from array import array

SLOTS = 1024
LOW = (1 << 64) - 1


class DigestMap:
    """A hash table with linear probing. Keys are 128-bit digests in hex, values are 64-bit integers.

    A slot holds the number of an entry, counted from one; a free slot holds zero. The two halves of a key are in two
    arrays. `get` and `put` each contain the search loop, because a call per row and per journal line would cost too
    much time.
    """

    def __init__(self) -> None:
        self._highs, self._lows, self._values = array("Q", [0]), array("Q", [0]), array("q", [0])
        self._mask = SLOTS - 1
        self._slots = array("I", bytes(4 * SLOTS))

    def __len__(self) -> int:
        return len(self._values) - 1

    def __contains__(self, digest: str) -> bool:
        return self.get(digest) is not None

    def get(self, digest: str) -> int | None:
        """The value of `digest`; None if it is not in the map."""
        key = int(digest, 16)
        high, low = key >> 64, key & LOW
        highs, lows, slots, mask = self._highs, self._lows, self._slots, self._mask
        slot = low & mask
        while entry := slots[slot]:
            if lows[entry] == low and highs[entry] == high:
                return self._values[entry]
            slot = (slot + 1) & mask
        return None

    def add(self, digest: str) -> bool:
        """Puts `digest` into the map, with the value zero. Returns whether it was not there before."""
        return self.put(digest, 0) is None

    def put(self, digest: str, value: int) -> int | None:
        """Sets the value of `digest`. Returns the value before, or None."""
        if 3 * len(self._values) >= 2 * self._mask:
            self._grow()
        key = int(digest, 16)
        high, low = key >> 64, key & LOW
        highs, lows, slots, mask = self._highs, self._lows, self._slots, self._mask
        slot = low & mask
        while entry := slots[slot]:
            if lows[entry] == low and highs[entry] == high:
                before = self._values[entry]
                self._values[entry] = value
                return before
            slot = (slot + 1) & mask
        slots[slot] = len(self._values)
        highs.append(high)
        lows.append(low)
        self._values.append(value)
        return None

    def _grow(self) -> None:
        """Doubles the hash table."""
        self._mask = mask = 2 * self._mask + 1
        self._slots = slots = array("I", bytes(4 * (mask + 1)))
        for entry in range(1, len(self._lows)):
            slot = self._lows[entry] & mask
            while slots[slot]:
                slot = (slot + 1) & mask
            slots[slot] = entry
