"""The state of a job, read from its files alone, also during a run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from batchfree.core.chat import Failure
from batchfree.core.parts import WHOLE
from batchfree.data import output
from batchfree.data.output.question_values import Columns
from batchfree.job.check_book import CheckBook, packed_pair
from batchfree.job.open_job import OpenJob, open_job
from batchfree.job.row_values import RowValues
from batchfree.job.vote_book import VoteBook
from batchfree.jobspec.job import Job
from batchfree.journal.attempts import Attempt, PilotDecision, Status, without_long_texts
from batchfree.journal.index import JournalIndex
from batchfree.journal.journal_lines import DamagedLine, JournalLine, read_header
from batchfree.journal.pack_statistics import PackCounter, pack_reply
from batchfree.journal.rehearsals import counts_on
from batchfree.journal.request_statistics import RequestStatistics
from batchfree.journal.run_folder import RunFolder
from batchfree.quality.intervals import Proportion
from batchfree.quality.pack_comparison import compare_packs
from batchfree.run.summary import Tally

RECENT_ATTEMPTS = 2_000
"""Attempts of earlier runs from which a run learns the health of the models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """An open job and the contents of its journal.

    `recent` holds the last attempts of earlier runs, without long replies.
    """

    opened: OpenJob
    folder: RunFolder
    index: JournalIndex
    packs: PackCounter = field(default_factory=PackCounter)
    requests: RequestStatistics = field(default_factory=RequestStatistics)
    warnings: list[str] = field(default_factory=list)
    recent: deque[Attempt] = field(default_factory=lambda: deque(maxlen=RECENT_ATTEMPTS))
    votes: VoteBook | None = None
    """Set in a job that asks for votes."""
    pilots: list[PilotDecision] = field(default_factory=list)
    """The decisions of pilots, in order."""
    checks: CheckBook = field(default_factory=lambda: CheckBook(0))
    """The rows of packs that are also asked alone."""

    def add(self, line: JournalLine) -> Sequence[Status]:
        """Adds a new line of the journal. Returns the new status of each question whose status changes."""
        changed = self.index.add(line)
        self.count(line.attempt)
        return changed

    def count(self, attempt: Attempt) -> None:
        """Adds an attempt to the statistics of requests and packs, to the votes, the pilots and the pack checks."""
        self.requests.add(attempt)
        if self.checks.wanted:
            self.checks.add(attempt)
        if attempt.pack_check:
            return
        if len(attempt.outcomes) > 1 and (record := pack_reply(attempt, self.opened.rule.labels or ())) is not None:
            self.packs.add(record)
        if self.votes is not None:
            self.votes.add(attempt)
        if attempt.pilot is not None:
            self.pilots.append(attempt.pilot)

    def same_alone(self) -> Proportion | None:
        """The checked rows of packs whose answer was the same alone; None without `evaluate.pack_check`."""
        if not self.checks.wanted:
            return None
        pairs = [packed_pair(check, self.index.state(question)) for question, check in self.checks.finished()]
        return compare_packs([pair for pair in pairs if pair is not None]).equal

    @property
    def begun(self) -> bool:
        """Whether the job has been run before."""
        if not self.index.is_empty:
            return True
        return any(read_header(path) is not None for path in self.folder.all_journals())

    def values(self) -> RowValues:
        """The values of batchfree's columns, from the journal at this moment."""
        rows = self.opened.count_to_answer() if self.votes is not None else 0
        return RowValues(self.opened.spec, self.index, self.votes, rows=rows, begun=self.begun)

    def table(self, tally: Tally | None = None) -> pl.LazyFrame:
        """The output table. `tally` counts its rows while it is read."""
        values, prompt_columns = self.values(), self.opened.prompts.columns

        def describe(rows: Sequence[Mapping[str, Any]], questions: Sequence[str | Failure]) -> Columns:
            columns = values.of(rows, questions)
            if tally is not None:
                first = rows[: tally.samples_needed]
                tally.add([{name: row[name] for name in row if name in prompt_columns} for row in first], columns)
            return columns

        if tally is not None:
            tally.may_get_votes = values.consensus is not None and values.consensus.has_open
        return self.opened.table(describe, self.index.size_bytes / max(1, len(self.index.numbers)))

    def counts(self, *, brief: bool = False) -> Tally:
        """The rows by status, model and error, without a table. `brief`: much faster, but without the models.

        With a part only its rows.
        """
        tally, values = self._tally(), self.values()
        columns_of = values.brief if brief else values.of
        for rows, questions in self.opened.batches_to_answer():
            tally.add(rows, columns_of(rows, questions))
        tally.may_get_votes = values.consensus is not None and values.consensus.has_open
        return tally

    def _tally(self) -> Tally:
        return Tally(labels=dict.fromkeys(self.opened.rule.labels or (), 0))

    def _row_bytes(self) -> float:
        """About the size of a row of the table: its part of the input and of the journal."""
        dataset = self.opened.dataset
        return (dataset.size_bytes + self.index.size_bytes) / max(1, dataset.count())

    def export(self, path: Path) -> Tally:
        """Writes the table; the suffix names the format. Raises StorageError and leaves the old table as it was.

        In a folder of parts, files of another number of parts are deleted when those of this number are complete.
        """
        tally, spec = self._tally(), self.opened.spec
        output.write(self.table(tally), path, spec, self.opened.dataset.mixed, row_bytes=self._row_bytes())
        if spec.output.folder is not None:
            output.delete_stale_parts(spec, self.opened.part or WHOLE)
        return tally


def read_state(
    job: Job, seen: Callable[[Attempt], None] = lambda attempt: None, opened: OpenJob | None = None
) -> JobState:
    """Opens the job, if it is not open, and reads its journals. `seen` is called with every attempt that counts.

    With a part, its journal is the one that new lines of the index belong to; votes on questions of other parts are
    left out.

    Attempts of a rehearsal count only on the endpoint of the rehearsal. Raises MistakesError and StorageError.
    """
    opened = opened or open_job(job.spec)
    folder = RunFolder(job.spec.run_dir)
    folder.check_owner(job.spec.name, job.spec.file)
    part = opened.part
    written = (folder if part is None else folder.of_part(part)).journal
    others = (path for path in folder.all_journals() if path != written)
    index, warnings = JournalIndex(written, *others, names=opened.dataset.id is not None), list[str]()

    def damaged(damage: DamagedLine) -> None:
        warnings.append(f"{damage.path}:{damage.line}: this line is damaged and is left out: {damage.why}")

    votes = VoteBook(job.spec.answer.labels, part) if job.spec.asks_votes else None
    checks = job.spec.pack_checks if part is None else part.share(job.spec.pack_checks)
    state = JobState(
        opened=opened,
        folder=folder,
        index=index,
        warnings=warnings,
        votes=votes,
        checks=CheckBook(checks),
    )

    def count(attempt: Attempt) -> None:
        state.count(attempt)
        state.recent.append(without_long_texts(attempt))
        seen(attempt)

    index.load(count, damaged, lambda attempt: counts_on(attempt, job.spec.endpoint.base_url))
    return state
