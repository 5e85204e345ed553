"""Numbers and marks for digests, for millions of them.

A dict needs over 150 bytes per entry. This table needs 12 for the digest, and 4 per slot of its hash table, of which at
most two thirds are used. What belongs to a digest stands in arrays of the caller, at the place of its number.

Of the 128 bits of a digest it keeps 96. The chance that any two of ten million questions agree in these is 1 to 2^50.
"""

from __future__ import annotations

from array import array

SLOTS = 1536
MARKS_ADDED = 1024
"""Marks are added in groups of about this number."""
KEPT_DIGITS = 24
"""Hex digits of a digest that are kept: the last ones."""
LOW = (1 << 64) - 1


class DigestNumbers:
    """Numbers digests from zero, in the order in which they are added. A digest has 128 bits, in hex.

    It is a hash table with linear probing. A slot holds the number of a digest plus one; a free slot holds zero. The
    lower 64 bits of the digests and the 32 bits above them are in two arrays. `get` and `add` each contain the search
    loop, because a call per row and per journal line would cost too much time.
    """

    def __init__(self) -> None:
        self._highs, self._lows = array("I"), array("Q")
        self._size = SLOTS
        self._slots = array("I", bytes(4 * SLOTS))

    def __len__(self) -> int:
        return len(self._lows)

    def __contains__(self, digest: str) -> bool:
        return self.get(digest) is not None

    def get(self, digest: str) -> int | None:
        """The number of `digest`; None if it was never added."""
        key = int(digest[-KEPT_DIGITS:], 16)
        low = key & LOW
        lows, slots, size = self._lows, self._slots, self._size
        slot = low % size
        while entry := slots[slot]:
            if lows[entry - 1] == low and self._highs[entry - 1] == key >> 64:
                return entry - 1
            slot = slot + 1 if slot + 1 < size else 0
        return None

    def add(self, digest: str) -> int:
        """The number of `digest`, which gets the next number if it has none."""
        key = int(digest[-KEPT_DIGITS:], 16)
        low = key & LOW
        lows, slots, size = self._lows, self._slots, self._size
        slot = low % size
        while entry := slots[slot]:
            if lows[entry - 1] == low and self._highs[entry - 1] == key >> 64:
                return entry - 1
            slot = slot + 1 if slot + 1 < size else 0
        number = len(lows)
        slots[slot] = number + 1
        self._highs.append(key >> 64)
        lows.append(low)
        if 3 * number >= 2 * size:
            self._grow()
        return number

    def _grow(self) -> None:
        """Doubles the hash table."""
        self._size = size = 2 * self._size
        self._slots = slots = array("I", bytes(4)) * size
        for entry, low in enumerate(self._lows, start=1):
            slot = low % size
            while slots[slot]:
                slot = slot + 1 if slot + 1 < size else 0
            slots[slot] = entry


class DigestMarks:
    """Marks some of the digests of a table. It costs a byte for each digest of the table."""

    def __init__(self, numbers: DigestNumbers) -> None:
        self._numbers, self._marks = numbers, bytearray()
        self.count = 0
        """The number of marked digests."""

    def __contains__(self, digest: str) -> bool:
        number = self._numbers.get(digest)
        return number is not None and number < len(self._marks) and bool(self._marks[number])

    def add(self, digest: str) -> bool:
        """Marks `digest`, which is added to the table if it is not there. Returns whether it had no mark before."""
        return self.mark(self._numbers.add(digest))

    def mark(self, number: int) -> bool:
        """The same for the digest with this number."""
        marks = self._marks
        if number >= len(marks):
            marks.extend(bytes(number + MARKS_ADDED - len(marks)))
        elif marks[number]:
            return False
        marks[number] = 1
        self.count += 1
        return True
