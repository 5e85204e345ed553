"""The rounds of a run: which questions are asked, and in which order.

A job without votes has one round. With votes each round asks for one vote on each of its questions: first those of the
pilot, then the votes that all rows get, then the votes that decide most. Pack checks come last.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping
from functools import partial

from msgspec.structs import replace

from batchfree.core.chat import Failure
from batchfree.job.choose_checks import choose_checks
from batchfree.job.consensus_table import ConsensusTable
from batchfree.job.open_job import IsWanted
from batchfree.job.options import RunOptions
from batchfree.job.pilot_decision import decide_pilot
from batchfree.job.state import JobState
from batchfree.job.vote_book import VoteBook
from batchfree.job.workforce import Workforce
from batchfree.journal.attempts import Status
from batchfree.journal.question_state import QuestionState
from batchfree.run.tasks import Task

ROUND_SHARE = 0.1
"""A round of further votes asks for this share of the rows. After it the open rows are determined again."""
LEAST_ROUND = 50
"""The least number of rows in a round of further votes."""
SHUFFLED = 2_000
"""Rows that are shuffled together between two rounds, so that rows of a pack get other neighbours."""
CHECK_ROUNDS = 5
"""Most rounds of pack checks. If the model of a row can't be asked, the next round checks another row instead."""

Tasks = Iterator[Task | int]


class Rounds:
    """The rounds of one run; iterate over `tasks`. Each round must be over before the next one is taken."""

    def __init__(self, state: JobState, options: RunOptions) -> None:
        self._state, self._options, self._opened = state, options, state.opened
        self._spec = state.opened.spec
        self._rng = random.Random(f"rounds {self._spec.router.seed}")
        self.first: Task | None = None
        """The first task of the run, set by the session."""
        self._workforce: Workforce | None = None

    async def join(self, workforce: Workforce) -> None:
        """Takes the models of the connection; throws the switch if there are fewer than `votes.min`."""
        self._workforce = workforce
        if not self._spec.asks_votes or self.first is None:
            return
        await workforce.prepare()
        if self._state.pilots and self._spec.pilot is not None:
            workforce.keep(self._state.pilots[-1])
        workforce.require_voters(self.first)

    def tasks(self) -> Iterator[Tasks]:
        """The tasks of each round. Raises StorageError."""
        votes = self._state.votes
        if votes is None:
            yield self._pass(self._is_unanswered)
        else:
            yield from self._voting(votes)
        yield from self._checks()

    def _voting(self, votes: VoteBook) -> Iterator[Tasks]:
        """The rounds of a job with votes."""
        if self._spec.pilot is not None and not self._state.pilots:
            yield from self._pilot(votes)
        for number in range(self._spec.votes.min):
            yield self._pass(partial(self._lacks_vote, votes, number), number)
        yield from self._further_votes(votes)

    def _further_votes(self, votes: VoteBook) -> Iterator[Tasks]:
        """Rounds for the rows that are settled least, until no row is open or a round brings no vote."""
        rows = self._opened.count_to_answer()
        number = self._spec.votes.min
        while True:
            portion = max(LEAST_ROUND, int(rows * ROUND_SHARE))
            chosen = set(ConsensusTable(votes, self._spec, rows).to_ask().head(portion).to_list())
            before = len(votes)
            if chosen:
                yield self._pass(partial(_is_among, votes, chosen), number, more=True)
            if len(votes) == before:
                return
            number += 1

    def _checks(self) -> Iterator[Tasks]:
        """The rounds of pack checks: some rows that packs have answered are asked alone, each of the same model."""
        passed_over = set[str]()
        for _ in range(CHECK_ROUNDS):
            models = choose_checks(self._state, passed_over)
            if not models:
                return
            yield self._check_tasks(models)
            passed_over |= models.keys()

    def _check_tasks(self, models: Mapping[str, str]) -> Tasks:
        """The tasks that check these questions; each is the question's digest with the model to ask."""

        def is_wanted(question: str, number: int) -> bool:
            return question in models

        def state(question: str, number: int) -> QuestionState:
            return QuestionState(models_reached=frozenset({models[question]}))

        for task in self._opened.tasks(is_wanted, state, self._state.index.numbers, self._options.limit):
            yield replace(task, check_of=models[task.question.digest]) if isinstance(task, Task) else task

    def _pilot(self, votes: VoteBook) -> Iterator[Tasks]:
        """The first rows go to every eligible model, one model each round; then the pilot decides."""
        assert self._spec.pilot is not None
        questions = self._first_questions(self._spec.pilot.rows)
        number = 0
        while True:
            before = len(votes)
            yield self._pass(partial(_is_in_pilot, votes, questions), number, more=True)
            if len(votes) == before:
                break
            number += 1
        if self._workforce is not None:
            decision = decide_pilot(self._state, questions)
            self._workforce.record_pilot(decision)
            self._workforce.keep(decision)

    def _first_questions(self, rows: int) -> frozenset[str]:
        """The digests of the first questions of the input."""
        questions = dict[str, None]()
        for _, question in self._opened.rows_to_answer():
            if not isinstance(question, Failure):
                questions.setdefault(question)
            if len(questions) >= rows:
                break
        return frozenset(questions)

    def _pass(self, is_wanted: IsWanted, number: int = 0, *, more: bool = False) -> Tasks:
        """The wanted tasks of the input. After the first round they are shuffled. `more`: votes beyond the first."""
        index = self._state.index
        tasks = self._opened.tasks(is_wanted, index.state_of, index.numbers, self._options.limit)
        if more:
            tasks = (replace(task, only_new_models=True) if isinstance(task, Task) else task for task in tasks)
        return self._shuffled(tasks) if number else tasks

    def _shuffled(self, tasks: Tasks) -> Tasks:
        waiting = list[Task]()
        for task in tasks:
            if not isinstance(task, Task):
                yield task
                continue
            waiting.append(task)
            if len(waiting) >= SHUFFLED:
                self._rng.shuffle(waiting)
                yield from waiting
                waiting.clear()
        self._rng.shuffle(waiting)
        yield from waiting

    def _is_unanswered(self, question: str, number: int) -> bool:
        status = self._state.index.status_of(number)
        return status is Status.PENDING or (status is Status.FAILED and self._options.retry_failed)

    def _lacks_vote(self, votes: VoteBook, given: int, question: str, number: int) -> bool:
        """Whether a question has exactly `given` votes and may get another one."""
        if votes.count(question) != given or (votes.is_closed(question) and not self._options.retry_failed):
            return False
        return given > 0 or self._is_unanswered(question, number)


def _is_among(votes: VoteBook, chosen: Collection[int], question: str, number: int) -> bool:
    return votes.number(question) in chosen


def _is_in_pilot(votes: VoteBook, questions: Collection[str], question: str, number: int) -> bool:
    return question in questions and not votes.is_closed(question)
