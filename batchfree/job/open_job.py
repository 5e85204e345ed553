"""An open job: its rows, their questions, and its table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from batchfree.answers import AnswerRule
from batchfree.core.chat import ChatRequest, Failure
from batchfree.data import output
from batchfree.data.input import Dataset, open_dataset
from batchfree.data.output.columns import describe
from batchfree.data.prompts import Prompts, compile_prompts
from batchfree.jobspec import JobSpec
from batchfree.journal.attempts import Status
from batchfree.journal.digest_map import DigestMap
from batchfree.journal.index import JournalIndex
from batchfree.journal.questions import Question, digest
from batchfree.run.summary import Tally
from batchfree.run.tasks import Task

BATCH = 2_000
"""The number of rows that are read and rendered at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenJob:
    """A job spec with its input open and its templates compiled."""

    spec: JobSpec
    dataset: Dataset
    prompts: Prompts
    rule: AnswerRule

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """The rows in input order, with the columns that the templates use and the `id` column."""
        named = frozenset() if self.dataset.id is None else {self.dataset.id}
        for batch in self.dataset.batches(BATCH, self.prompts.columns | named):
            yield from batch.iter_rows(named=True)

    def requests(self, rows: int) -> Iterator[ChatRequest | Failure]:
        """The requests of the first rows, or why a row cannot be rendered."""
        for _, row in zip(range(rows), self.rows(), strict=False):
            yield self.prompts.render(row)

    def tasks(self, index: JournalIndex, *, retry_failed: bool, limit: int | None) -> Iterator[Task | int]:
        """The questions to ask, each once. A number in between counts rows that need no request."""
        taken, skipped = DigestMap(), 0
        id_column = self.dataset.id
        for number, row in enumerate(self.rows()):
            if limit is not None and len(taken) >= limit:
                break
            if skipped >= BATCH:
                yield skipped
                skipped = 0
            request = self.prompts.render(row)
            name = None if isinstance(request, Failure) else digest(request, self.rule)
            if isinstance(request, Failure) or name is None or self._done(index, name, retry_failed) or name in taken:
                skipped += 1
                continue
            taken.put(name, number)
            row_id = None if id_column is None else str(row[id_column])
            question = Question(digest=name, request=request, row=number, id=row_id)
            if skipped:
                yield skipped
                skipped = 0
            yield Task(question=question, state=index.state(name))
        yield skipped

    @staticmethod
    def _done(index: JournalIndex, question: str, retry_failed: bool) -> bool:
        status = index.status(question)
        return status is Status.OK or (status is Status.FAILED and not retry_failed)

    def columns(
        self, row: Mapping[str, Any], index: JournalIndex, *, begun: bool, brief: bool = False
    ) -> Mapping[str, Any]:
        """The columns of one row. Before the first run every row is pending. `brief`: only the status of an answered
        row."""
        request = self.prompts.render(row)
        if isinstance(request, Failure):
            if not begun:
                return {"status": Status.PENDING}
            return {"status": Status.FAILED, "error_kind": request.kind, "error": request.message}
        question = digest(request, self.rule)
        if brief and index.status(question) is Status.OK:
            return {"status": Status.OK}
        return describe(index.state(question))

    def table(self, index: JournalIndex, *, begun: bool, tally: Tally | None = None) -> pl.LazyFrame:
        """The output table, derived row by row while it is read. `tally` counts its rows meanwhile."""

        def of(row: Mapping[str, Any]) -> Mapping[str, Any]:
            columns = self.columns(row, index, begun=begun)
            if tally is not None:
                tally.add(row, columns)
            return columns

        return output.table(self.dataset, self.spec, of, self.prompts.columns)


def open_job(spec: JobSpec) -> OpenJob:
    """Opens the input and compiles the templates. Raises SpecError and DatasetError with every mistake found."""
    dataset = open_dataset(spec.input)
    prompts = compile_prompts(spec, dataset.schema)
    rule = AnswerRule(
        labels=spec.answer.labels, schema=spec.answer.schema_, mode=spec.answer.mode, repair=spec.answer.repair
    )
    return OpenJob(spec=spec, dataset=dataset, prompts=prompts, rule=rule)
