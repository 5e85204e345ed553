"""What a first look at the input finds: its columns, where its rows are, and what is wrong with it."""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from batchfree.core.errors import Mistake

MISTAKES_SHOWN = 20
JUMPS_KEPT = 1_000_000
"""Changes of the distance between rows and lines that are remembered; rows after the last have no line."""


class Findings:
    """The mistakes found so far: the first ones are kept, the others counted."""

    def __init__(self) -> None:
        self._kept: list[Mistake] = []
        self._found = 0

    def __bool__(self) -> bool:
        return self._found > 0

    def add(self, *mistakes: Mistake) -> None:
        """Takes note of mistakes."""
        self._found += len(mistakes)
        self._kept.extend(mistakes[: MISTAKES_SHOWN - len(self._kept)])

    def list(self) -> list[Mistake]:
        """The mistakes to show, and a last one that counts those left out."""
        more = self._found - len(self._kept)
        return [*self._kept, Mistake(message=f"… and {more} more mistakes")] if more else list(self._kept)


class Places:
    """Which file and line each row came from, as long as that is cheap to know.

    Rows count from zero. A line is remembered only where it is not one after the line of the row before.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._files: list[str] = []
        self._starts = array("q")
        self._jump_rows, self._jump_lines = array("q"), array("q")
        self._next_line = -1
        self._complete = True

    def begin(self, file: str) -> None:
        """The rows that follow are of this file."""
        self._files.append(file)
        self._starts.append(self.rows)
        self._next_line = -1

    def add_row(self, line: int) -> None:
        """One more row, which starts at this line (from one)."""
        if line != self._next_line and self._complete:
            if len(self._jump_rows) < JUMPS_KEPT:
                self._jump_rows.append(self.rows)
                self._jump_lines.append(line)
            else:
                self._complete = False
        self._next_line = line + 1
        self.rows += 1

    def add_rows(self, count: int) -> None:
        """More rows of a file that has no lines."""
        self.rows += count

    def mistake(self, row: int, message: str, key: str | None = None) -> Mistake:
        """A mistake in a row, with its file, and its line or else its number in the file (from one)."""
        number = bisect.bisect_right(self._starts, row) - 1
        if number < 0:
            return Mistake(message=f"row {row + 1}: {message}", key=key)
        file, start = self._files[number], self._starts[number]
        jump = bisect.bisect_right(self._jump_rows, row) - 1
        if not self._complete or jump < 0 or self._jump_rows[jump] < start:
            return Mistake(message=f"row {row - start + 1}: {message}", file=file, key=key)
        line = self._jump_lines[jump] + row - self._jump_rows[jump]
        return Mistake(message=message, file=file, line=line, key=key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What the first look found. `as_text` are columns kept as JSON text, `widened` those with mixed numbers inside."""

    schema: pl.Schema
    places: Places
    mistakes: Sequence[Mistake] = ()
    as_text: frozenset[str] = field(default_factory=frozenset)
    widened: frozenset[str] = field(default_factory=frozenset)
