"""Rows that are asked again because their question has changed since they were answered; found by their ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from batchfree.core.chat import Failure
from batchfree.data.openai_batch import row_name
from batchfree.job.open_job import BATCH, OpenJob
from batchfree.journal.attempts import Status
from batchfree.journal.index import JournalIndex
from batchfree.journal.questions import digest
from batchfree.run.tasks import Task


def with_reask_warning(
    tasks: Iterator[Task | int], opened: OpenJob, index: JournalIndex, warn: Callable[[str], None]
) -> Iterator[Task | int]:
    """The tasks. Before the first task with a changed question it warns, with the number of all such rows."""
    if opened.dataset.id is None or index.is_empty:
        return tasks
    return _with_warning(tasks, opened, index, warn)


def _with_warning(
    tasks: Iterator[Task | int], opened: OpenJob, index: JournalIndex, warn: Callable[[str], None]
) -> Iterator[Task | int]:
    for task in tasks:
        if isinstance(task, Task) and task.question.id is not None and index.has_answered(task.question.id):
            count = 0
            for more in changed(opened, index, task.question.row):
                count += more
                yield 0
            rows = "1 row is" if count == 1 else f"{count:,} rows are"
            warn(f"{rows} asked again: their question has changed since they were answered")
            yield task
            break
        yield task
    yield from tasks


def changed(opened: OpenJob, index: JournalIndex, first: int = 0) -> Iterator[int]:
    """Counts the rows from `first` on (from zero) that have an answer, but to another question.

    Yields the count of each batch of rows; their sum is the number.
    """
    id_column, count = opened.dataset.id, 0
    for number, row in enumerate(opened.rows()):
        if number % BATCH == 0:
            yield count
            count = 0
        if id_column is None or number < first or not index.has_answered(row_name(row.get(id_column))):
            continue
        request = opened.prompts.render(row)
        if not isinstance(request, Failure):
            count += index.status(digest(request, opened.rule)) is Status.PENDING
    yield count
