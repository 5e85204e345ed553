"""What the first pass over the input finds: its columns, the places of its rows, and its mistakes."""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from batchfree.core.errors import Mistake

MOST_MISTAKES = 20
MOST_JUMPS = 1_000_000
"""Most rows whose lines are remembered; see `Places`. If there are more, rows are named by their numbers."""


class Findings:
    """The mistakes found so far. The first 20 are kept, the others are counted."""

    def __init__(self) -> None:
        self._kept: list[Mistake] = []
        self._found = 0

    def __bool__(self) -> bool:
        return self._found > 0

    def add(self, *mistakes: Mistake) -> None:
        """Adds mistakes."""
        self._found += len(mistakes)
        self._kept.extend(mistakes[: MOST_MISTAKES - len(self._kept)])

    def list(self) -> list[Mistake]:
        """The mistakes to show; the last one says how many are left out."""
        more = self._found - len(self._kept)
        return [*self._kept, Mistake(message=f"… and {more:,} more mistakes")] if more else list(self._kept)


class Places:
    """The file and line of each row. Rows count from zero, lines from one.

    Memory stays small: a line is remembered only if it is not the next one after the line of the row before.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._files: list[str] = []
        self._starts = array("q")
        self._jump_rows, self._jump_lines = array("q"), array("q")
        self._next_line = -1
        self._complete = True

    def begin(self, file: str) -> None:
        """Begins a file; the next rows belong to it."""
        self._files.append(file)
        self._starts.append(self.rows)
        self._next_line = -1

    def add_row(self, line: int) -> None:
        """Adds a row that starts at this line."""
        if line != self._next_line and self._complete:
            if len(self._jump_rows) < MOST_JUMPS:
                self._jump_rows.append(self.rows)
                self._jump_lines.append(line)
            else:
                self._complete = False
        self._next_line = line + 1
        self.rows += 1

    def add_rows(self, count: int) -> None:
        """Adds rows of a file without lines."""
        self.rows += count

    def files_without_rows(self) -> list[str]:
        """The files without rows."""
        ends = [*self._starts[1:], self.rows]
        return [file for file, start, end in zip(self._files, self._starts, ends, strict=True) if start == end]

    def mistake(self, row: int, message: str, key: str | None = None) -> Mistake:
        """A mistake in a row, with its file and line. Without a line the message gives the row's number, from one."""
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
    """The findings of the first pass.

    `as_text` names the columns that stay JSON text. `mixed` columns hold whole numbers in some rows and fractions in
    others. In `widened` columns both stand at one place inside the values.
    """

    schema: pl.Schema
    places: Places
    mistakes: Sequence[Mistake] = ()
    as_text: frozenset[str] = field(default_factory=frozenset)
    widened: frozenset[str] = field(default_factory=frozenset)
    mixed: frozenset[str] = field(default_factory=frozenset)
