"""Chooses the rows of packs that are also asked alone."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping

from batchfree.core.chat import Failure
from batchfree.job.check_book import packed_answers
from batchfree.job.state import JobState
from batchfree.journal.attempts import Status


def choose_checks(state: JobState, passed_over: Collection[str] = ()) -> Mapping[str, str]:
    """The questions to check next, each with the model that answered it in a pack. Raises StorageError.

    The choice is random, but depends only on `router.seed` and the questions. Nothing is chosen while a row is pending,
    because answers are more urgent. Questions in `passed_over` are left out.
    """
    book, seed = state.checks, state.opened.spec.router.seed
    if not book.wanted:
        return {}
    values, finished, ranked = state.values(), set[str](), dict[str, int]()
    for _, question in state.opened.rows_to_answer():
        if values.status(question) is Status.PENDING:
            return {}
        if isinstance(question, Failure):
            continue
        if book.check_of(question) is not None:
            finished.add(question)
        elif book.may_be_checked(question) and question not in passed_over:
            ranked[question] = book.rank(question, seed)
            if len(ranked) > 2 * book.wanted:
                ranked = _first(ranked, book.wanted)
    chosen = _first(ranked, book.wanted - len(finished))
    return {question: next(packed_answers(state.index.attempts(question), question))[0] for question in chosen}


def _first(ranked: Mapping[str, int], number: int) -> dict[str, int]:
    """The questions of the lowest ranks."""
    return dict(heapq.nsmallest(max(0, number), ranked.items(), key=lambda item: item[1]))
