"""Attempts, the state of a question, and the statistics counted from them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from batchfree.core.chat import Kind
from batchfree.data.output.question_values import describe, row_share
from batchfree.journal.attempts import Attempt, Outcome, Status, without_long_texts
from batchfree.journal.model_statistics import ModelStatistics, model_statistics
from batchfree.journal.question_state import fold

Q = "0" * 32


def attempt(kind: Kind | None = None, *, final: bool = False, model: str | None = "a:free", size: int = 1) -> Attempt:
    mine = Outcome(question=Q, row=0, kind=kind, error=kind and "why", final=final, answer=None if kind else "yes")
    others = tuple(Outcome(question=f"{number:032x}", row=number, answer="no") for number in range(1, size))
    return Attempt(
        at=datetime(2026, 1, 1, tzinfo=UTC),
        route="local",
        models=("x:free", "y:free"),
        model=model,
        kind=kind if size == 1 else None,
        content=None if kind else "yes",
        prompt_tokens=10,
        outcomes=(mine, *others),
    )


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


def test_an_answer_is_shown_even_after_later_failures() -> None:
    columns = describe(fold(Q, [attempt(), attempt(Kind.TIMEOUT)]))
    assert (columns["status"], columns["answer"], columns["error_kind"], columns["attempts"]) == ("ok", "yes", None, 2)


@pytest.mark.parametrize(("total", "parts"), [(10, 3), (0, 4), (7, 7), (3, 5)])
def test_shares_of_a_pack_add_up(total: int, parts: int) -> None:
    assert sum(row_share(total, parts, place) or 0 for place in range(parts)) == total


def test_a_pack_counts_once_for_each_of_its_rows() -> None:
    columns = describe(fold(Q, [attempt(size=4)]))
    assert (columns["attempts"], columns["pack_size"], columns["prompt_tokens"]) == (1, 4, 3)


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
