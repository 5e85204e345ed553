"""Journals for tests: attempts with numbers instead of texts, and the numbers that a file gives back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from batchfree.journal.attempts import Attempt, Outcome
from batchfree.journal.file import Journal
from batchfree.journal.journal_lines import FORMAT, DamagedLine, Header, read_attempts

HEADER = Header(batchfree=FORMAT, version="0", job="test", file="../test.yaml", spec="s", input="i")


def question(number: int) -> str:
    """A digest in the journal's form."""
    return f"{number:032x}"


def attempt(number: int, answer: object = "an answer") -> Attempt:
    """The attempt that answered the row with this number."""
    outcome = Outcome(question=question(number), row=number, answer=answer)
    return Attempt(
        at=datetime(2026, 1, 1, 0, 0, number % 60, tzinfo=UTC),
        route="openrouter/free",
        models=("openrouter/free",),
        model=f"some/model-{number}:free",
        content="x" * 50,
        outcomes=(outcome,),
    )


def write_attempts(path: Path, count: int, start: int = 1) -> None:
    """Appends `count` attempts, numbered from `start`."""
    journal = Journal(path, HEADER)
    for number in range(start, start + count):
        journal.append(attempt(number))
    journal.close()


def read_rows(path: Path, damage: list[DamagedLine] | None = None) -> list[int]:
    """The row numbers of all attempts in a journal; damaged lines are added to `damage`."""
    return [line.attempt.outcomes[0].row for line in read_attempts(path, (damage if damage is not None else []).append)]
