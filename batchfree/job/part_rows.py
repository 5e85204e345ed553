"""The rows of a part, remembered from the first pass over the input, so that a later pass renders only these."""

from __future__ import annotations


class PartRows:
    """Which of the first rows of the input are in the part: one bit per row."""

    def __init__(self) -> None:
        self._bits, self._known = bytearray(), 0

    def note(self, row: int, is_here: bool) -> None:
        """Remembers whether a row, counted from zero, is in the part. Rows that are not the next one are ignored."""
        if row != self._known:
            return
        if row % 8 == 0:
            self._bits.append(0)
        if is_here:
            self._bits[row >> 3] |= 1 << (row & 7)
        self._known += 1

    def is_elsewhere(self, row: int) -> bool:
        """Whether the row is known to be in another part. False also if nothing is known about it."""
        return row < self._known and not self._bits[row >> 3] & 1 << (row & 7)
