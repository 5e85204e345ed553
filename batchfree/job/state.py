"""A job as it stands, read from its files alone, also while a run is going."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from batchfree.data import output as results
from batchfree.job.open_job import OpenJob, open_job
from batchfree.jobspec.job import Job
from batchfree.journal.attempts import Attempt, pack_reply
from batchfree.journal.file import DamagedLine, read_header
from batchfree.journal.index import JournalIndex
from batchfree.journal.pack_statistics import PackCounter
from batchfree.journal.run_folder import RunFolder
from batchfree.run.summary import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An open job with what its journal knows."""

    opened: OpenJob
    folder: RunFolder
    index: JournalIndex
    packs: PackCounter = field(default_factory=PackCounter)
    warnings: list[str] = field(default_factory=list)

    def measure(self, attempt: Attempt) -> None:
        """Counts an attempt in, if it was a pack."""
        record = pack_reply(attempt, self.opened.rule.labels or ())
        if record is not None:
            self.packs.add(record)

    @property
    def begun(self) -> bool:
        """Whether there was a run."""
        return not self.index.is_empty or read_header(self.folder.journal) is not None

    def table(self, tally: Tally | None = None) -> pl.LazyFrame:
        """The table as it stands."""
        return self.opened.table(self.index, begun=self.begun, tally=tally)

    def counts(self, *, brief: bool = False) -> Tally:
        """The rows by status, model and error, without a table; `brief`: much faster, and without the models."""
        tally, begun = Tally(), self.begun
        for row in self.opened.rows():
            tally.add(row, self.opened.columns(row, self.index, begun=begun, brief=brief))
        return tally

    def export(self, path: Path) -> Tally:
        """Writes the table; the suffix names the format. Raises StorageError; then the old table still stands."""
        tally = Tally()
        results.write(self.table(tally), path, self.opened.spec)
        return tally


def reading(job: Job, seen: Callable[[Attempt], None] = lambda attempt: None, opened: OpenJob | None = None) -> Reading:
    """Opens the job, unless it is, and reads its journal; `seen` is shown every attempt.

    Raises MistakesError and StorageError.
    """
    opened = opened or open_job(job.spec)
    folder = RunFolder(job.spec.run_dir)
    folder.check_owner(job.spec.name, job.spec.file)
    index, warnings = JournalIndex(folder.journal, names=opened.dataset.id is not None), list[str]()

    def damaged(damage: DamagedLine) -> None:
        warnings.append(f"{folder.journal}:{damage.line}: this line is damaged and is passed over: {damage.why}")

    found = Reading(opened=opened, folder=folder, index=index, warnings=warnings)

    def measured(attempt: Attempt) -> None:
        found.measure(attempt)
        seen(attempt)

    index.load(measured, damaged)
    return found
