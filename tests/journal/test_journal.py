"""The journal file and its index: unfinished lines, damage, renames, syncing."""

from __future__ import annotations

import json
import os
import random
import re
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import msgspec
import polars as pl
import pytest
from support.journals import HEADER, attempt, question, read_rows, write_attempts
from support.virtual_time import VirtualTime

from batchfree.core.chat import Kind
from batchfree.core.errors import StorageError
from batchfree.journal.attempts import Outcome, Status
from batchfree.journal.checked_lines import LINE_START
from batchfree.journal.file import SYNC_EVERY, Journal
from batchfree.journal.index import JournalIndex
from batchfree.journal.journal_lines import LONGEST_LINE, DamagedLine, read_attempts, read_header


def test_appended_attempts_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write_attempts(path, 3)
    assert read_header(path) == HEADER
    assert [line.attempt for line in read_attempts(path)] == [attempt(number) for number in (1, 2, 3)]


def test_an_unfinished_last_line_is_ignored_wherever_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write_attempts(path, 4)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in range(len(whole) - len(lines[-1]) - len(lines[-2]), len(whole)):
        path.write_bytes(whole[:cut])
        complete = whole[:cut].count(b"\n") - 1
        assert read_rows(path) == list(range(1, complete + 1))
        write_attempts(path, 1, start=9)
        assert read_rows(path) == [*range(1, complete + 1), 9]


def test_a_flipped_byte_costs_no_other_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write_attempts(path, 6)
    whole = path.read_bytes()
    starts = [0]
    for line in whole.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    rng = random.Random(7)
    for place in range(starts[2], starts[5]):
        hit = next(number for number, start in enumerate(starts) if place < start) - 1  # the row of this byte
        broken = bytearray(whole)
        broken[place] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(broken))
        damage: list[DamagedLine] = []
        found = [line.attempt for line in read_attempts(path, damage.append)]
        assert all(attempt(number) in found for number in range(1, 7) if number != hit)
        assert len(found) <= 6
        assert len(damage) <= 2


def test_a_damaged_line_is_reported_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write_attempts(path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b'{"at": broken\n'
    path.write_bytes(b"".join(lines))
    damage: list[DamagedLine] = []
    assert read_rows(path, damage) == [1, 3]
    assert [each.line for each in damage] == [3]


def test_lines_that_lost_all_their_breaks_are_kept_and_said(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write_attempts(path, 5)
    joined = path.read_bytes().replace(b"\n", b"")
    path.write_bytes(joined)
    damage: list[DamagedLine] = []
    assert read_rows(path, damage) == [1, 5]
    assert [each.line for each in damage] == [1]
    write_attempts(path, 1, start=9)
    assert path.read_bytes().startswith(joined + b"\n")
    assert read_rows(path) == [1, 5, 9]


def test_a_hole_in_the_journal_is_one_damaged_line_that_is_read_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write_attempts(path, 6)
    lines = path.read_bytes().splitlines(keepends=True)
    with path.open("wb") as file:
        file.writelines(lines[:4])
        file.seek(300 << 20, os.SEEK_CUR)
        file.writelines(lines[4:])
    damage: list[DamagedLine] = []
    tracemalloc.start()
    try:
        assert read_rows(path, damage) == [1, 2, 3, 4, 5, 6]
        assert tracemalloc.get_traced_memory()[1] < 3.5 * LONGEST_LINE
    finally:
        tracemalloc.stop()
    assert [(each.line, each.why) for each in damage] == [(5, "it is longer than 128 MB")]


def test_a_damaged_header_loses_no_attempt(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write_attempts(path, 2)
    path.write_bytes(b"#" + path.read_bytes()[1:])
    assert read_header(path) is None
    assert read_rows(path) == [1, 2]


def test_a_journal_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(
        json.dumps({"batchfree": 99, "version": "9.9", "job": "", "file": "", "spec": "", "input": ""}) + "\n"
    )
    with pytest.raises(StorageError, match=r"format 99.*9\.9"):
        read_header(path)


def test_polars_reads_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write_attempts(path, 3)
    frame = pl.read_ndjson(path)
    assert frame["model"].to_list()[1:] == [f"some/model-{number}:free" for number in (1, 2, 3)]


def test_the_index_knows_every_question_after_a_reload(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write_attempts(path, 3000)
    index = JournalIndex(path)
    index.load(lambda attempt: None, lambda damage: None)
    assert all(index.status(question(number)) is Status.OK for number in range(1, 3001))
    assert index.status(question(3001)) is Status.PENDING
    state = index.state(question(2500))
    assert (state.status, state.attempts, state.models_tried) == (Status.OK, 1, ("some/model-2500:free",))
    assert state.outcome is not None
    assert state.outcome.answer == "an answer"


@pytest.mark.parametrize("answer", ["text", {"a": [1, None, 2.5]}, [1, 2], 7, True, "\u2028 and \n breaks", "🙂"])
def test_every_kind_of_answer_survives(tmp_path: Path, answer: object) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, HEADER)
    journal.append(attempt(1, answer))
    journal.close()
    assert [line.attempt.outcomes[0].answer for line in read_attempts(path)] == [answer]


def test_a_flipped_byte_in_the_header_loses_no_attempt_and_crashes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write_attempts(path, 2)
    whole = path.read_bytes()
    for place in range(whole.index(b"\n") + 1):
        for bit in range(8):
            broken = bytearray(whole)
            broken[place] ^= 1 << bit
            path.write_bytes(bytes(broken))
            with suppress(StorageError):
                read_header(path)
            assert read_rows(path)[-1:] == [2]


def test_a_header_with_other_keys_is_another_format_and_not_damage(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"batchfree": 2, "owner": {"job": "x"}}\n')
    with pytest.raises(StorageError, match="format 2, written by batchfree unknown"):
        read_header(path)
    assert read_header(path, any_format=True) is None


def test_a_line_that_is_still_being_written_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write_attempts(path, 2)
    with path.open("ab") as file:
        file.write(path.read_bytes().splitlines()[1])
    damage: list[DamagedLine] = []
    assert (read_rows(path, damage), damage) == ([1, 2], [])


def test_the_index_still_reads_a_journal_that_was_deleted_during_the_run(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, HEADER)
    index = JournalIndex(path)
    index.keep_open()
    index.add(journal.append(attempt(1)))
    path.unlink()
    with pytest.raises(StorageError, match="the journal was moved or deleted during the run"):
        journal.check()
    index.add(journal.append(attempt(2)))
    with pytest.raises(StorageError, match="Put the run folder back"):
        journal.close()
    assert [index.state(question(number)).attempts for number in (1, 2)] == [1, 1]
    index.close()
    with pytest.raises(StorageError, match="the journal can't be read"):
        index.state(question(1))


def test_the_index_remembers_the_ids_of_answered_rows(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    index = JournalIndex(path, names=True)
    journal = Journal(path, HEADER)
    for id, kind in (("a", None), ("b", Kind.TIMEOUT), (None, None)):
        outcome = Outcome(question=question(1), row=0, id=id, kind=kind, answer=None if kind else "yes")
        index.add(journal.append(msgspec.structs.replace(attempt(1), outcomes=(outcome,))))
    journal.close()
    assert [index.has_answered(id) for id in ("a", "b", "c")] == [True, False, False]
    again = JournalIndex(path)
    again.load(lambda attempt: None, lambda damage: None)
    assert not again.has_answered("a"), "without `names` no ids are remembered"


def test_appended_lines_are_synced_within_a_second(tmp_path: Path) -> None:
    time, synced = VirtualTime(), []

    async def main() -> None:
        journal = Journal(tmp_path / "journal.jsonl", HEADER)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.keep_synced)
            await anyio.sleep(100)
            for number in range(3):
                journal.append(attempt(number))
                assert journal.is_dirty
                await anyio.sleep(SYNC_EVERY + 0.01)
                synced.append(not journal.is_dirty)
                await anyio.sleep(1000)
            tasks.cancel_scope.cancel()
        journal.close()

    time.run(main)
    assert synced == [True, True, True]


@pytest.mark.parametrize("digest", ["", "abc", "0" * 31 + "<", "0" * 33, "0" * 31 + "A", "0_" * 16, "0" * 31 + "\n"])
def test_a_line_with_a_damaged_digest_is_a_damaged_line(tmp_path: Path, digest: str) -> None:
    path = tmp_path / "journal.jsonl"
    write_attempts(path, 3)
    whole = path.read_text()
    path.write_text(whole.replace(question(2), json.dumps(digest)[1:-1]))
    damage: list[DamagedLine] = []
    assert read_rows(path, damage) == [1, 3]
    assert [each.line for each in damage] == [3]


def test_a_changed_byte_within_a_valid_line_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write_attempts(path, 2)
    path.write_bytes(path.read_bytes().replace(b"an answer", b"no answer", 1))
    damage: list[DamagedLine] = []
    assert read_rows(path, damage) == [2]
    assert damage == [DamagedLine(line=2, why="its checksum is wrong")]


def test_lines_of_an_older_version_have_no_checksum_and_are_read(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write_attempts(path, 3)
    path.write_bytes(re.sub(rb',"crc":"[0-9a-f]{8}"', b"", path.read_bytes()))
    write_attempts(path, 1, start=4)
    damage: list[DamagedLine] = []
    assert (read_header(path), read_rows(path, damage), damage) == (HEADER, [1, 2, 3, 4], [])


@pytest.mark.parametrize(
    "header", [b"#", b'{"batchfree":1,"version":"0","job":"t","file":"x\\u0000","spec":"","input":""}']
)
def test_a_damaged_header_is_said(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    write_attempts(path, 1)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(header + b"\n" + lines[1])
    damage: list[DamagedLine] = []
    assert (read_header(path), read_rows(path, damage)) == (None, [1])
    assert [each.line for each in damage] == [1]
    assert "it is the header of the journal" in damage[0].why


@pytest.mark.parametrize("piece", [b"x", LINE_START, b',"crc":"12345678"}', b'{"at":"","a":[', b'}{"at":"'])
def test_a_line_of_megabytes_is_read_in_linear_time(tmp_path: Path, piece: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    write_attempts(path, 2)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + piece * (8_000_000 // len(piece)) + b"\n")
    began = time.process_time()
    assert read_rows(path) == [1, 2]
    assert time.process_time() - began < 2


@pytest.mark.parametrize("read_file", [read_header, lambda path: list(read_attempts(path))])
def test_a_pipe_in_the_place_of_the_journal_is_not_waited_for(tmp_path: Path, read_file: Callable[[Path], Any]) -> None:
    path = tmp_path / "journal.jsonl"
    os.mkfifo(path)
    with pytest.raises(StorageError, match="the journal can't be read: It is not a regular file"):
        read_file(path)
