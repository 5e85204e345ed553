"""The places of the lines of every question, in about six bytes for a question with one line."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import NamedTuple

PAGE_BITS = 32
IN_PAGE = (1 << PAGE_BITS) - 1
"""A start is stored as its lower 32 bits and its page, which is the number above them."""
LONGEST_SHORT = (1 << 16) - 1
"""Lengths below this number are stored in two bytes; it stands for all others, which are stored beside."""


class LinePlace(NamedTuple):
    """Where a line begins, and its length in bytes. A tuple, because a table reads millions of them."""

    start: int
    length: int


class LinePlaces:
    """The lines of questions, which are given by numbers from zero.

    The last line of each question stands in arrays at its number. Its older lines, which few questions have, form a
    chain from the newest back to the first.
    """

    def __init__(self) -> None:
        self.total = 0
        """The length of all lines that were put, in bytes."""
        self._starts, self._lengths = array("I"), array("H")  # without a line the length is zero
        self._pages = array("I")  # number → page of its last line; empty while all lines are in the first page
        self._long = dict[int, int]()  # the last line of a question, where it is long: number → length
        self._chains = array("I")  # number → its newest older line, counted from one; empty while there are none
        self._older_starts, self._older_lengths, self._next = array("q"), array("I"), array("I")

    def put(self, number: int, start: int, length: int) -> None:
        """Adds the next line of a question."""
        self.total += length
        starts, lengths = self._starts, self._lengths
        short = length if length < LONGEST_SHORT else LONGEST_SHORT
        if number == len(starts):
            starts.append(start & IN_PAGE)
            lengths.append(short)
        else:
            if number > len(starts):
                missing = number + 1 - len(starts)
                starts.frombytes(bytes(starts.itemsize * missing))
                lengths.frombytes(bytes(lengths.itemsize * missing))
            if lengths[number]:
                self._make_older(number)
            starts[number], lengths[number] = start & IN_PAGE, short
        if start > IN_PAGE or number < len(self._pages):
            self._put_page(number, start >> PAGE_BITS)
        if short == LONGEST_SHORT:
            self._long[number] = length

    def of(self, number: int) -> Sequence[LinePlace]:
        """The lines of a question, the oldest first."""
        if number >= len(self._lengths) or not self._lengths[number]:
            return ()
        last = LinePlace(self._start(number), self._length(number))
        older = self._chains[number] if number < len(self._chains) else 0
        if not older:
            return (last,)
        found = [last]
        while older:
            found.append(LinePlace(self._older_starts[older - 1], self._older_lengths[older - 1]))
            older = self._next[older - 1]
        return found[::-1]

    def _put_page(self, number: int, page: int) -> None:
        if number >= len(self._pages):
            self._pages.frombytes(bytes(self._pages.itemsize * (len(self._starts) - len(self._pages))))
        self._pages[number] = page

    def _start(self, number: int) -> int:
        start = self._starts[number]
        return start + (self._pages[number] << PAGE_BITS) if number < len(self._pages) else start

    def _length(self, number: int) -> int:
        short = self._lengths[number]
        return short if short < LONGEST_SHORT else self._long[number]

    def _make_older(self, number: int) -> None:
        """Puts the last line of a question into the chain of its older lines."""
        if number >= len(self._chains):
            self._chains.frombytes(bytes(4 * (len(self._starts) - len(self._chains))))
        self._older_starts.append(self._start(number))
        self._older_lengths.append(self._length(number))
        self._next.append(self._chains[number])
        self._chains[number] = len(self._older_starts)
