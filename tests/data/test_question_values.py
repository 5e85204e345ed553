"""The values of batchfree's columns for one question."""

from __future__ import annotations

import pytest
from support.attempts import Q, attempt

from batchfree.core.chat import Kind
from batchfree.data.output.question_values import describe, row_share
from batchfree.journal.question_state import fold


def test_an_answer_is_shown_even_after_later_failures() -> None:
    columns = describe([fold(Q, [attempt(), attempt(Kind.TIMEOUT)])])
    shown = [columns[name][0] for name in ("status", "answer", "error_kind", "attempts")]
    assert shown == ["ok", "yes", None, 2]


@pytest.mark.parametrize(("total", "parts"), [(10, 3), (0, 4), (7, 7), (3, 5)])
def test_shares_of_a_pack_add_up(total: int, parts: int) -> None:
    assert sum(row_share(total, parts, place) or 0 for place in range(parts)) == total


def test_a_pack_counts_once_for_each_of_its_rows() -> None:
    columns = describe([fold(Q, [attempt(size=4)])])
    assert [columns[name] for name in ("attempts", "pack_size", "prompt_tokens")] == [[1], [4], [3]]


def test_questions_described_together_keep_their_values_apart() -> None:
    states = [fold(Q, given) for given in ([], [attempt(Kind.TIMEOUT)], [attempt(size=4)], [attempt()])]
    columns = describe(states)
    assert columns["status"] == ["pending", "pending", "ok", "ok"]
    assert columns["answer"] == [None, None, "yes", "yes"]
    assert columns["error_kind"] == [None, Kind.TIMEOUT, None, None]
    assert columns["pack_size"] == [None, 1, 4, 1]
    alone = [describe([state]) for state in states]
    assert columns == {name: [each[name][0] for each in alone] for name in columns}
