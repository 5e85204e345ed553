"""The state of a job, read from its files alone. Works while a run is going."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from batchfree.data import output
from batchfree.job.open_job import OpenJob, open_job
from batchfree.jobspec.job import Job
from batchfree.journal.attempts import Attempt, pack_reply
from batchfree.journal.file import DamagedLine, JournalLine, read_header
from batchfree.journal.index import JournalIndex
from batchfree.journal.pack_statistics import PackCounter
from batchfree.journal.run_folder import RunFolder
from batchfree.run.summary import Tally

RECENT_ATTEMPTS = 2_000
"""Attempts of earlier runs from which a run learns the health of the models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """An open job and everything that its journal knows. `recent` holds the last attempts of earlier runs."""

    opened: OpenJob
    folder: RunFolder
    index: JournalIndex
    packs: PackCounter = field(default_factory=PackCounter)
    warnings: list[str] = field(default_factory=list)
    recent: deque[Attempt] = field(default_factory=lambda: deque(maxlen=RECENT_ATTEMPTS))

    def add(self, line: JournalLine) -> None:
        """Takes note of a new line of the journal."""
        self.index.add(line)
        self.count_pack(line.attempt)

    def count_pack(self, attempt: Attempt) -> None:
        """Adds an attempt to the pack statistics if it was a pack."""
        record = pack_reply(attempt, self.opened.rule.labels or ())
        if record is not None:
            self.packs.add(record)

    @property
    def begun(self) -> bool:
        """Whether the job has been run before."""
        return not self.index.is_empty or read_header(self.folder.journal) is not None

    def table(self, tally: Tally | None = None) -> pl.LazyFrame:
        """The output table."""
        return self.opened.table(self.index, begun=self.begun, tally=tally)

    def counts(self, *, brief: bool = False) -> Tally:
        """The rows by status, model and error, without a table. `brief`: much faster, but without the models."""
        tally, begun = Tally(), self.begun
        for row in self.opened.rows():
            tally.add(row, self.opened.columns(row, self.index, begun=begun, brief=brief))
        return tally

    def export(self, path: Path) -> Tally:
        """Writes the table; the suffix names the format. Raises StorageError and leaves the old table as it was."""
        tally = Tally()
        output.write(self.table(tally), path, self.opened.spec)
        return tally


def read_state(
    job: Job, seen: Callable[[Attempt], None] = lambda attempt: None, opened: OpenJob | None = None
) -> JobState:
    """Opens the job, if it is not open, and reads its journal. `seen` is called with every attempt.

    Raises MistakesError and StorageError.
    """
    opened = opened or open_job(job.spec)
    folder = RunFolder(job.spec.run_dir)
    folder.check_owner(job.spec.name, job.spec.file)
    index, warnings = JournalIndex(folder.journal, names=opened.dataset.id is not None), list[str]()

    def damaged(damage: DamagedLine) -> None:
        warnings.append(f"{folder.journal}:{damage.line}: this line is damaged and is left out: {damage.why}")

    state = JobState(opened=opened, folder=folder, index=index, warnings=warnings)

    def count(attempt: Attempt) -> None:
        state.count_pack(attempt)
        state.recent.append(attempt)
        seen(attempt)

    index.load(count, damaged)
    return state
