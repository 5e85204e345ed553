"""Which rows share a request: the rows that may travel together, and the size of a pack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from batchfree.answers import AnswerRule, packs
from batchfree.core.chat import Kind
from batchfree.journal.attempts import Attempt, Outcome
from batchfree.run.tasks import Parcel, Task
from batchfree.service.routing import Model

PACK_FAILURES_UNTIL_ALONE = 2
"""A row travels alone after this number of packs that left it without an answer."""


class Packer:
    """The packs of one run. Learns from every reply how many rows a model can take."""

    def __init__(self, rule: AnswerRule, rows: int | Literal["auto"], warn: Callable[[str], None]) -> None:
        """`rows` is `pack` of the job.

        `warn` takes a sentence if packs are larger than is wise, and one for each reason why some rows travel alone.
        """
        self._rule, self._warn = rule, warn
        self._sizes = packs.first_sizes(rows)
        self._obstacles = set[str]()
        if self._sizes.cap > packs.WISE_SIZE:
            warn(f"pack: {self._sizes.cap} rows in one request; above {packs.WISE_SIZE} answers get worse")

    @property
    def size(self) -> int:
        """The number of rows in a pack for the best model."""
        return max((known.size for known in self._sizes.known.values()), default=self._sizes.start)

    def company(self, task: Task) -> str | None:
        """The key that this task shares with the tasks that may join its request; None if it travels alone."""
        if self._sizes.cap == 1 or task.check_of is not None:
            return None
        key = packs.company_key(task.question.request, self._rule)
        if isinstance(key, str):
            return key
        if key.reason not in self._obstacles:
            self._obstacles.add(key.reason)
            row = task.question.id or task.question.row
            self._warn(f"row {row} and all rows like it are asked alone, not in a pack: {key.reason}")
        return None

    def pack_size(self, model_id: str) -> int:
        """The number of rows in a pack for this model."""
        return self._sizes.of(model_id)

    def rows_that_fit(self, parcel: Sequence[Task], models: Sequence[Model]) -> int:
        """The number of these rows that fit into the contexts of all these models."""
        return packs.rows_that_fit(
            [task.question.request for task in parcel],
            contexts=(model.context_length for model in models),
            outputs=(model.max_completion_tokens for model in models),
        )

    def learn(self, attempt: Attempt) -> None:
        """Learns from a reply, including one that was cut off before its first answer."""
        if self._sizes.cap == 1 or attempt.kind not in (None, Kind.TRUNCATED):
            return
        cut_off = any(outcome.kind is Kind.TRUNCATED for outcome in attempt.outcomes)
        self._sizes = self._sizes.after(
            attempt.model_or_route, rows=len(attempt.outcomes), answered=attempt.answered, cut_off=cut_off
        )


def in_parcels(tasks: Iterable[Task], packer: Packer) -> Iterator[Parcel]:
    """The tasks in the parcels of a first round: packs as soon as they are full, then the incomplete packs."""
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        key = packer.company(task)
        if key is None:
            yield (task,)
            continue
        group = groups.setdefault(key, [])
        group.append(task)
        if len(group) == packer.size:
            yield tuple(groups.pop(key))
    yield from map(tuple, groups.values())


def largest_pack(task: Task) -> int | None:
    """The largest pack that a task may travel in, in rows; None for any size."""
    return 1 if task.state.pack_failures >= PACK_FAILURES_UNTIL_ALONE else task.at_most


def largest_pack_after(task: Task, attempt: Attempt, outcome: Outcome) -> int | None:
    """The new `at_most` of a task.

    It is half of a pack whose reply was cut off, or half of the second pack whose reply answered less than half of its
    rows.
    """
    size = len(attempt.outcomes)
    poor = attempt.kind is None and 2 * attempt.answered < size and task.attempts > 0
    return max(1, size // 2) if outcome.kind is Kind.TRUNCATED or poor else task.at_most


def halves(parcel: Sequence[Task]) -> tuple[Parcel, ...]:
    """A parcel cut in two."""
    middle = (len(parcel) + 1) // 2
    return tuple(half for half in (tuple(parcel[:middle]), tuple(parcel[middle:])) if half)


def bisected(parcel: Parcel, max_attempts: int) -> tuple[Parcel, ...]:
    """The halves of a pack that was refused as a whole.

    If some rows are asked for the last time in this run, single rows: then the guilty row must be found.
    """
    if any(task.attempts + 1 >= max_attempts for task in parcel):
        return tuple((task,) for task in parcel)
    return halves(parcel)
