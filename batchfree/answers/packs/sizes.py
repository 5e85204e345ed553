"""How many rows each model gets in one request, depending on its earlier replies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec.structs import replace

WISE_SIZE = 25
"""Most rows in one request before answers get worse."""
AUTO_START, AUTO_CAP = 10, WISE_SIZE
LEAST_YIELD = 0.9
"""A model that answers a smaller share of its rows gets smaller packs."""
WINDOW = 3
"""Number of last packs over which the yield is measured."""
GROWTH = 0.25
"""Share of its size by which a pack grows."""
ALONE_UNTIL_TWO = 8
"""Answers to single rows after which a model gets two rows again."""


class PackSize(msgspec.Struct, frozen=True, kw_only=True):
    """One model's pack size in rows, and the facts that decide the next size.

    `recent` holds (rows, answered) of the last packs. `most` is the largest number of rows that one reply of the model
    has answered. `blank` says that the model's last reply answered no row. `alone` counts the answers to single rows
    since the size fell to one.
    """

    size: int
    cap: int
    most: int = 0
    recent: tuple[tuple[int, int], ...] = ()
    blank: bool = False
    alone: int = 0

    def after(self, *, rows: int, answered: int, cut_off: bool = False) -> PackSize:
        """The size after a reply to `rows` rows that answered `answered` of them.

        The size is halved when the last packs together yield less than 90 %. It grows by a quarter after a full pack
        that yields at least 90 %. Two kinds of reply leave it as it is:
        - A reply that was cut off, if the model has answered as many rows before. Length is not the cause, so smaller
          packs would only cost more requests.
        - A reply that answers no row, if the reply before it answered some. One such reply says little about sizes.
        """
        if rows == 1:
            return self._after_one(answered)
        before = replace(self, most=max(self.most, answered), blank=not answered)
        if (cut_off and rows <= self.most) or (not answered and not self.blank):
            return before
        recent = (*self.recent, (rows, answered))[-WINDOW:]
        asked, got = sum(each for each, _ in recent), sum(each for _, each in recent)
        poor = answered < LEAST_YIELD * rows
        if poor and got < LEAST_YIELD * asked:
            return replace(before, size=max(1, min(self.size, rows) // 2), recent=())
        grows = not poor and rows >= self.size
        size = min(self.cap, self.size + max(1, round(self.size * GROWTH))) if grows else self.size
        return replace(before, size=size, recent=recent)

    def _after_one(self, answered: int) -> PackSize:
        """A single row says nothing about packs. After eight answered single rows two rows are tried again."""
        if self.size > 1 or self.cap == 1:
            return self
        alone = self.alone + answered
        return replace(self, size=2, alone=0) if alone >= ALONE_UNTIL_TWO else replace(self, alone=alone)


class PackSizes(msgspec.Struct, frozen=True, kw_only=True):
    """The pack sizes of all models. A new model begins with `start` rows; no model gets more than `cap`."""

    start: int
    cap: int
    known: Mapping[str, PackSize] = msgspec.field(default_factory=dict)

    def of(self, name: str) -> int:
        """The number of rows that this model gets."""
        return self.known[name].size if name in self.known else self.start

    def after(self, name: str, *, rows: int, answered: int, cut_off: bool = False) -> PackSizes:
        """The sizes after a reply of the model `name` to `rows` rows, of which `answered` got an answer.

        Every reply counts: unreadable ones too, and replies to single rows. Requests that were refused or lost don't
        count.
        """
        before = self.known.get(name) or PackSize(size=self.start, cap=self.cap)
        size = before.after(rows=rows, answered=answered, cut_off=cut_off)
        return self if self.known.get(name) is size else replace(self, known={**self.known, name: size})


def first_sizes(pack: int | Literal["auto"]) -> PackSizes:
    """The sizes of a job that has not asked anything yet; `pack` is the job's key of that name."""
    start, cap = (AUTO_START, AUTO_CAP) if pack == "auto" else (pack, pack)
    return PackSizes(start=start, cap=cap)
