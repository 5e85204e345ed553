"""Writes the report of a job to a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from batchfree.core.chat import JsonObject
from batchfree.core.errors import Mistake, OutputError, SpecError
from batchfree.core.formats import output_suffix
from batchfree.jobspec.job import Job
from batchfree.journal.atomic_file import atomic_write
from batchfree.report.collect import collect
from batchfree.report.figures import Report
from batchfree.report.figures_json import as_json
from batchfree.report.page import render_page

SUFFIXES = (".html", ".htm")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReport:
    """A report and where it was written; `rows` is the number of rows in the table."""

    path: Path
    report: Report

    @property
    def rows(self) -> int:
        """Number of rows in the table."""
        return self.report.outcome.counts.rows

    def to_json(self) -> JsonObject:
        """As `report --json` prints it."""
        figures: JsonObject = as_json(self.report)
        return {"output": str(self.path), "rows": self.rows, **figures}


def write_report(job: Job, page: Path | None, now: float) -> WrittenReport:
    """Writes the report to `page`, or beside the output of the job; `now` in epoch seconds.

    Raises MistakesError, StorageError, and OutputError if the file can't be written.
    """
    path = _place_beside(job.spec.output.folder or job.spec.output.path) if page is None else page
    _check_place(path)
    collected = collect(job, now)
    text = render_page(collected)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: the report can't be written: {error.strerror}.") from error
    return WrittenReport(path=path, report=collected.report)


def _place_beside(output: Path) -> Path:
    """`<output stem>.report.html` beside the output, which may be a folder of parts."""
    return output.with_name(f"{output.name.removesuffix(output_suffix(output) or output.suffix)}.report.html")


def _check_place(path: Path) -> None:
    """Refuses a place that is no HTML file, also behind a link. Raises SpecError."""
    target = path.resolve()
    if path.suffix.lower() not in SUFFIXES or target.suffix.lower() not in SUFFIXES:
        message = f"the report is a page, and its name ends in .html; got {target.name}"
    elif target.exists() and not target.is_file():
        message = f"{target} is no plain file"
    else:
        return
    raise SpecError([Mistake(key="--output", message=message)])
