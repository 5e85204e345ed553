"""A damaged journal never speaks: every row has its own answer or is pending, whatever happened to the bytes.

By hand: FUZZ_CASES=1000 python -m pytest -n 0 -o faulthandler_timeout=0 tests/promises/test_fuzzed_journals.py
"""

from __future__ import annotations

from pathlib import Path

from support.damage import cases, damaged, in_time
from support.journals import attempt, question

from batchfree.core.errors import StorageError
from batchfree.journal.attempts import Status
from batchfree.journal.file import Journal
from batchfree.journal.index import JournalIndex
from batchfree.journal.journal_lines import DamagedLine, Header, read_header

ROWS = 100
HEADER = Header(batchfree=1, version="0", job="test", file="../test.yaml", spec="s", input="i")


def answer(row: int) -> object:
    return {"row": row, "text": f"answer {row} {'x' * (row % 7)}", "list": [row, None, row / 3]}


def test_a_damaged_journal_never_speaks(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, HEADER)
    for row in range(1, ROWS + 1):
        journal.append(attempt(row, answer(row)))
    journal.close()
    whole = path.read_bytes()
    kept = 0
    for number, rng in cases(60):
        path.write_bytes(damaged(rng, whole))
        damage: list[DamagedLine] = []
        with in_time(f"journal {number}"):
            header = read_header_if_readable(path)
            index = JournalIndex(path)
            index.load(lambda seen: None, damage.append)
        assert header in (None, HEADER), number
        for row in range(1, ROWS + 1):
            state = index.state(question(row))
            if state.status is Status.PENDING:
                assert state.shown is None
                continue
            kept += 1
            assert state.shown == attempt(row, answer(row)), number
            assert state.outcome == state.shown.outcomes[0]
        index.close()
        again = Journal(path, HEADER)  # the next run goes on after the damage
        again.append(attempt(ROWS + 1, "new"))
        again.close()
        index = JournalIndex(path)
        index.load(lambda seen: None, damage.append)
        assert index.status(question(ROWS + 1)) is Status.OK, number
        index.close()
    assert kept, "most answers are still there"


def read_header_if_readable(path: Path) -> Header | None:
    try:
        return read_header(path)
    except StorageError:  # the number of the format is damaged, and the header has no checksum any more
        return None
