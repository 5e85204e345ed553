"""A map from digests to integers for millions of entries.

A dict needs over 150 bytes per entry. This map needs 24 per slot (16 for the key, 8 for the value), and at most two
thirds of the slots are used.
"""

from __future__ import annotations

from array import array

SLOTS = 1024
LOW = (1 << 64) - 1


class DigestMap:
    """A hash table with linear probing. Keys are 128-bit digests in hex, values are 64-bit integers.

    The two halves of a key are in two arrays; in a free slot both are zero. `get` and `put` each contain the search
    loop, because a call per row and per journal line would cost too much time.
    """

    def __init__(self) -> None:
        self._count = 0
        self._allocate(SLOTS)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, digest: str) -> bool:
        return self.get(digest) is not None

    def get(self, digest: str) -> int | None:
        """The value of `digest`; None if it is not in the map."""
        key = int(digest, 16)
        high, low = key >> 64, key & LOW
        highs, lows, mask = self._highs, self._lows, self._mask
        slot = low & mask
        while True:
            found = lows[slot]
            if found == low and highs[slot] == high:
                return self._values[slot]
            if not found and not highs[slot]:
                return None
            slot = (slot + 1) & mask

    def add(self, digest: str) -> bool:
        """Puts `digest` into the map, with the value zero. Returns whether it was not there before."""
        return self.put(digest, 0) is None

    def put(self, digest: str, value: int) -> int | None:
        """Sets the value of `digest`. Returns the value before, or None."""
        if 3 * self._count >= 2 * self._mask:
            self._grow()
        key = int(digest, 16)
        high, low = key >> 64, key & LOW
        highs, lows, mask = self._highs, self._lows, self._mask
        slot = low & mask
        while True:
            found = lows[slot]
            if found == low and highs[slot] == high:
                before = self._values[slot]
                self._values[slot] = value
                return before
            if not found and not highs[slot]:
                highs[slot], lows[slot], self._values[slot] = high, low, value
                self._count += 1
                return None
            slot = (slot + 1) & mask

    def _allocate(self, slots: int) -> None:
        self._mask = slots - 1
        self._highs, self._lows = array("Q", bytes(8 * slots)), array("Q", bytes(8 * slots))
        self._values = array("q", bytes(8 * slots))

    def _grow(self) -> None:
        old = zip(self._highs, self._lows, self._values, strict=True)
        self._allocate(2 * (self._mask + 1))
        highs, lows, values, mask = self._highs, self._lows, self._values, self._mask
        for high, low, value in old:
            if high or low:
                slot = low & mask
                while highs[slot] or lows[slot]:
                    slot = (slot + 1) & mask
                highs[slot], lows[slot], values[slot] = high, low, value
