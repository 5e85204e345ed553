"""The journal survives what happens to files."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from batchfree.attempts import Attempt, Outcome, Status
from batchfree.errors import StorageError
from batchfree.history import History
from batchfree.journal import FORMAT, Damage, Header, Journal, read, read_header

HEADER = Header(batchfree=FORMAT, version="0", job="test", file="../test.yaml", spec="s", input="i")


def question(number: int) -> str:
    return f"{number:032x}"


def attempt(number: int, answer: object = "an answer") -> Attempt:
    outcome = Outcome(question=question(number), row=number, answer=answer)
    return Attempt(
        at=datetime(2026, 1, 1, 0, 0, number % 60, tzinfo=UTC),
        route="openrouter/free",
        models=("openrouter/free",),
        model=f"some/model-{number}:free",
        content="x" * 50,
        outcomes=(outcome,),
    )


def written(path: Path, count: int, start: int = 1) -> None:
    journal = Journal(path, HEADER)
    for number in range(start, start + count):
        journal.append(attempt(number))
    journal.close()


def rows(path: Path, damage: list[Damage] | None = None) -> list[int]:
    return [line.attempt.outcomes[0].row for line in read(path, (damage if damage is not None else []).append)]


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    written(path, 3)
    assert read_header(path) == HEADER
    assert [line.attempt for line in read(path)] == [attempt(number) for number in (1, 2, 3)]


def test_a_torn_last_line_never_happened_wherever_it_tears(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    written(path, 4)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in range(len(whole) - len(lines[-1]) - len(lines[-2]), len(whole)):
        path.write_bytes(whole[:cut])
        complete = whole[:cut].count(b"\n") - 1
        assert rows(path) == list(range(1, complete + 1))
        written(path, 1, start=9)
        assert rows(path) == [*range(1, complete + 1), 9]


def test_a_flipped_byte_costs_no_other_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    written(path, 6)
    whole = path.read_bytes()
    starts = [0]
    for line in whole.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    rng = random.Random(7)
    for place in range(starts[2], starts[5]):
        hit = next(number for number, start in enumerate(starts) if place < start) - 1  # the number of the line's row
        broken = bytearray(whole)
        broken[place] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(broken))
        damage: list[Damage] = []
        found = [line.attempt for line in read(path, damage.append)]
        assert all(attempt(number) in found for number in range(1, 7) if number != hit)
        assert len(found) <= 6
        assert len(damage) <= 2


def test_damage_is_reported_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    written(path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b'{"at": broken\n'
    path.write_bytes(b"".join(lines))
    damage: list[Damage] = []
    assert rows(path, damage) == [1, 3]
    assert [each.line for each in damage] == [3]


def test_a_damaged_header_loses_no_attempt(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    written(path, 2)
    path.write_bytes(b"#" + path.read_bytes()[1:])
    assert read_header(path) is None
    assert rows(path) == [1, 2]


def test_another_format_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps({"batchfree": 99, "version": "9.9", "job": "", "file": "", "spec": "", "input": ""}) + "\n")
    with pytest.raises(StorageError, match=r"format 99.*9\.9"):
        read_header(path)


def test_polars_reads_it_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    written(path, 3)
    frame = pl.read_ndjson(path)
    assert frame["model"].to_list()[1:] == [f"some/model-{number}:free" for number in (1, 2, 3)]


def test_a_history_knows_every_question_after_a_reload(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    written(path, 3000)
    history = History(path)
    history.load(lambda attempt: None, lambda damage: None)
    assert all(history.status(question(number)) is Status.OK for number in range(1, 3001))
    assert history.status(question(3001)) is Status.PENDING
    state = history.state(question(2500))
    assert (state.status, state.attempts, state.tried) == (Status.OK, 1, ("some/model-2500:free",))
    assert state.outcome is not None
    assert state.outcome.answer == "an answer"


@pytest.mark.parametrize("answer", ["text", {"a": [1, None, 2.5]}, [1, 2], 7, True, "\u2028 and \n breaks", "🙂"])
def test_every_kind_of_answer_survives(tmp_path: Path, answer: object) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, HEADER)
    journal.append(attempt(1, answer))
    journal.close()
    assert [line.attempt.outcomes[0].answer for line in read(path)] == [answer]
