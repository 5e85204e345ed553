"""Attempts, the state of a question, and the statistics counted from them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from support.attempts import Q, attempt

from batchfree.core.chat import Kind
from batchfree.journal.attempts import Attempt, Status, without_long_texts
from batchfree.journal.model_statistics import ModelStatistics, model_statistics
from batchfree.journal.question_state import fold


@pytest.mark.parametrize(
    ("attempts", "status", "count", "tried"),
    [
        ([], Status.PENDING, 0, ()),
        ([attempt()], Status.OK, 1, ("a:free",)),
        ([attempt(Kind.TIMEOUT, model="b:free")], Status.PENDING, 1, ("b:free",)),
        ([attempt(Kind.TIMEOUT, model=None)], Status.PENDING, 1, ("local",)),
        ([attempt(Kind.BAD_ANSWER, final=True)], Status.FAILED, 1, ("a:free",)),
        ([attempt(Kind.BAD_ANSWER, final=True), attempt(Kind.EMPTY)], Status.PENDING, 2, ("a:free", "a:free")),
        ([attempt(Kind.BAD_ANSWER, final=True), attempt()], Status.OK, 2, ("a:free", "a:free")),
        ([attempt(), attempt(Kind.TIMEOUT)], Status.OK, 2, ("a:free", "a:free")),
        ([attempt(Kind.MINUTE_LIMIT), attempt(Kind.DAY_LIMIT), attempt(Kind.KEY_REFUSED)], Status.PENDING, 0, ()),
    ],
)
def test_attempts_fold_into_a_state(
    attempts: list[Attempt], status: Status, count: int, tried: tuple[str, ...]
) -> None:
    state = fold(Q, attempts)
    assert (state.status, state.attempts, state.models_tried) == (status, count, tried)


def test_the_count_of_wrong_answers_restarts_when_a_failed_row_is_reopened() -> None:
    wrong = [attempt(Kind.BAD_ANSWER), attempt(Kind.BAD_ANSWER, final=True)]
    assert fold(Q, wrong).wrong_answers == 2
    assert fold(Q, [*wrong, attempt(Kind.BAD_ANSWER)]).wrong_answers == 1


def test_statistics_count_rows_by_model_and_leave_failures_of_the_account_out() -> None:
    attempts = [attempt(size=4), attempt(Kind.TIMEOUT), attempt(Kind.DAY_LIMIT), attempt(Kind.EMPTY, model="b:free")]
    assert model_statistics(attempts) == {
        "a:free": ModelStatistics(answered=4, failed=1, last_failure="timeout"),
        "b:free": ModelStatistics(failed=1, last_failure="empty"),
    }


def test_an_attempt_that_is_kept_in_memory_loses_only_long_texts() -> None:
    short, long = attempt(size=3), replace(attempt(size=3), content="x" * 100_000)
    assert without_long_texts(short) == short
    kept = without_long_texts(long)
    assert (kept.content, {outcome.answer for outcome in kept.outcomes}) == (None, {None})
    assert (kept.answered, kept.main_failure, kept.models_reached) == (3, None, long.models_reached)
