"""An open job: its rows, their questions, and its table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress, islice
from typing import Any, TypeAlias

import polars as pl

from batchfree.answers import AnswerRule
from batchfree.core.chat import ChatRequest, Failure
from batchfree.core.errors import Mistake, SpecError
from batchfree.core.parts import Part
from batchfree.data import output
from batchfree.data.input import Dataset, open_dataset
from batchfree.data.openai_batch import row_name
from batchfree.data.output.question_values import Columns
from batchfree.data.prompts import Prompts, compile_prompts
from batchfree.data.unknown_column import no_column
from batchfree.job.part_rows import PartRows
from batchfree.jobspec import JobSpec
from batchfree.jobspec.spec_files import line_of
from batchfree.journal.digest_numbers import DigestMarks, DigestNumbers
from batchfree.journal.question_state import QuestionState
from batchfree.journal.questions import Question, digest
from batchfree.run.tasks import Task

BATCH = 2_000
"""The number of rows that are read and rendered at a time."""
SMALL_BATCH = 50
"""The number of rows whose replies are held at a time where no table is made."""
FIRST_ROWS = 100
"""The number of rows that are read for warnings."""
ANSWERED = (
    "the last message is the assistant's. In a fine-tuning file that is the expected answer, and the models would see "
    "it: move it from `messages` into a column of its own, unless it is meant as the begin of the answer"
)

IsWanted: TypeAlias = Callable[[str, int], bool]
"""Whether a question is to be asked: its digest, and its number among the job's questions."""
StateOf: TypeAlias = Callable[[str, int], QuestionState]
"""The state of a question, of which the same is given."""
Describe: TypeAlias = Callable[[Sequence[Mapping[str, Any]], Sequence[str | Failure]], Columns]
"""Rows of the input, and the digests of their questions, or why they have none → the rows' values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenJob:
    """A job spec with its input open and its templates compiled."""

    spec: JobSpec
    dataset: Dataset
    prompts: Prompts
    rule: AnswerRule
    part: Part | None = None
    """The part of the job that a run answers; None for the whole job."""
    part_rows: PartRows = field(default_factory=PartRows)
    """The rows of the part, as far as a run has passed over the input."""

    @property
    def uses(self) -> frozenset[str]:
        """The columns that the templates, the `id` and the scores need."""
        named = frozenset() if self.dataset.id is None else {self.dataset.id}
        scored = frozenset() if self.spec.expected is None else {self.spec.expected}
        return self.prompts.columns | named | scored

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """The rows in input order, with the columns that are used."""
        return self.dataset.rows(self.uses)

    def rows_to_answer(self) -> Iterator[tuple[Mapping[str, Any], str | Failure]]:
        """The rows of the part, or of the whole job, with the digests of their questions. A failure has no digest."""
        for number, row in enumerate(self.rows()):
            question = self._question_here(number, row)
            if question is not None:
                yield row, question

    def batches_to_answer(self) -> Iterator[tuple[list[Mapping[str, Any]], list[str | Failure]]]:
        """The same in batches: rows, and the digests of their questions."""
        left = self.rows_to_answer()
        while batch := list(islice(left, SMALL_BATCH)):
            yield [row for row, _ in batch], [question for _, question in batch]

    def count_to_answer(self) -> int:
        """The number of rows of the whole job, or about the number of rows of the part."""
        rows = self.dataset.count()
        return rows if self.part is None else self.part.share(rows)

    def requests(self, rows: int) -> Iterator[ChatRequest | Failure]:
        """The requests of the first rows, or why a row cannot be rendered."""
        for _, row in zip(range(rows), self.rows(), strict=False):
            yield self.prompts.render(row)

    def warnings(self) -> list[str]:
        """What may be a mistake although it can be sent: files without rows, and messages that hold their answer."""
        found = self.dataset.warnings()
        if self.prompts.from_rows and self.dataset.schema:
            requests = [each for each in self.requests(FIRST_ROWS) if isinstance(each, ChatRequest)]
            answered = sum(each.messages[-1]["role"] == "assistant" for each in requests)
            if answered:
                found.append(f"{_of_rows(answered, len(requests))}: {ANSWERED}")
        return found

    def question_of(self, row: Mapping[str, Any]) -> str | Failure:
        """The digest of a row's question, or why the row cannot be rendered."""
        request = self.prompts.render(row)
        return request if isinstance(request, Failure) else digest(request, self.rule)

    def tasks(
        self, is_wanted: IsWanted, state: StateOf, numbers: DigestNumbers, limit: int | None = None
    ) -> Iterator[Task | int]:
        """The wanted questions of the part, each once, at most `limit`. `numbers` are those of the job's questions.

        A number in between counts rows of the part that need no request. Long, because it is one loop with one state.
        """
        taken, skipped, elsewhere = DigestMarks(numbers), 0, 0
        id_column = self.dataset.id
        for row_number, row in enumerate(self.rows()):
            if limit is not None and taken.count >= limit:
                break
            here = self._request_here(row_number, row)
            if here is None:
                elsewhere += 1
                if elsewhere % BATCH == 0:
                    yield 0
                continue
            request, name = here
            if (
                isinstance(request, Failure)
                or name is None
                or not is_wanted(name, number := numbers.add(name))
                or not taken.mark(number)
            ):
                skipped += 1
                if skipped == BATCH or isinstance(request, Failure):  # a row that fails may have taken long
                    yield skipped
                    skipped = 0
                continue
            if skipped:
                yield skipped
                skipped = 0
            row_id = None if id_column is None else row_name(row.get(id_column))
            question = Question(digest=name, request=request, row=row_number, id=row_id)
            yield Task(question=question, state=state(name, number))
        yield skipped

    def _request(self, row: Mapping[str, Any]) -> tuple[ChatRequest | Failure, str | None]:
        """The request of a row and the digest of its question, or why the row cannot be rendered."""
        request = self.prompts.render(row)
        return request, None if isinstance(request, Failure) else digest(request, self.rule)

    def _request_here(self, number: int, row: Mapping[str, Any]) -> tuple[ChatRequest | Failure, str | None] | None:
        """The same for the row with this number; None if it is in another part, which is then remembered."""
        if self.part is None:
            return self._request(row)
        if self.part_rows.is_elsewhere(number):
            return None
        request, name = self._request(row)
        is_here = self.part.has(name)
        self.part_rows.note(number, is_here)
        return (request, name) if is_here else None

    def table(self, describe: Describe, row_bytes: float) -> pl.LazyFrame:
        """The output table of the part, or of the whole job, derived batch by batch while it is read.

        `row_bytes` is about the size of what `describe` reads for a row.
        """

        def of(rows: Sequence[Mapping[str, Any]], first: int) -> output.DescribedRows:
            if self.part is None:
                return output.DescribedRows(columns=describe(rows, [self.question_of(row) for row in rows]))
            questions = [self._question_here(number, row) for number, row in enumerate(rows, first)]
            here = [question is not None for question in questions]
            columns = describe(list(compress(rows, here)), [each for each in questions if each is not None])
            return output.DescribedRows(columns=columns, here=here)

        return output.table(self.dataset, self.spec, of, self.uses, row_bytes=row_bytes)

    def _question_here(self, number: int, row: Mapping[str, Any]) -> str | Failure | None:
        """The question of the row with this number; None if the row is in another part."""
        here = self._request_here(number, row)
        if here is None:
            return None
        request, name = here
        return request if isinstance(request, Failure) else name


def _of_rows(count: int, rows: int) -> str:
    return f"in {count} of the first {rows} rows" if rows > 1 else "in the first row"


def open_job(spec: JobSpec, part: Part | None = None) -> OpenJob:
    """Opens the input and compiles the templates. Raises SpecError and DatasetError with every mistake found."""
    dataset = open_input(spec)
    check_expected(spec, dataset)
    prompts = compile_prompts(spec, dataset.schema, dataset.files)
    rule = AnswerRule(
        labels=spec.answer.labels, schema=spec.answer.schema_, mode=spec.answer.mode, repair=spec.answer.repair
    )
    return OpenJob(spec=spec, dataset=dataset, prompts=prompts, rule=rule, part=part)


def open_input(spec: JobSpec) -> Dataset:
    """The input. Files that the job itself writes are not part of it. Raises DatasetError."""
    return open_dataset(spec.input, leave_out=(spec.run_dir, spec.output.folder or spec.output.path))


def check_expected(spec: JobSpec, dataset: Dataset) -> None:
    """Raises SpecError if no row has the column of expected values."""
    if spec.expected is not None and spec.expected not in dataset.schema:
        message = no_column(spec.expected, dataset.schema, dataset.files)
        line = line_of(spec.file, ("evaluate", "expected"))
        raise SpecError([Mistake(file=str(spec.file), line=line, key="evaluate.expected", message=message)])
