"""Which job a table belongs to: this job, another job, or none.

The metadata of a Parquet table names its job. For other formats the run folders beside the table name it. If they do
not, the columns of the table decide.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from batchfree.core import formats
from batchfree.core.errors import StorageError
from batchfree.data.output.columns import job_columns
from batchfree.journal.checked_lines import HEADER_START
from batchfree.journal.journal_lines import read_header
from batchfree.journal.regular_file import open_regular

if TYPE_CHECKING:
    from batchfree.jobspec import JobSpec

METADATA = "batchfree"
"""Key of the Parquet metadata that names the job."""
RESULT_KEYS = {"custom_id", "response", "error"}
"""Keys of every line of OpenAI's batch results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The job that wrote a table: its name and its job file."""

    job: str
    file: Path

    def is_of(self, spec: JobSpec) -> bool:
        """Whether it is this job. A job file that no longer exists was renamed or moved."""
        return self.file == spec.file or (self.job == spec.name and not self.file.exists())


def metadata_of(spec: JobSpec, table: Path) -> dict[str, str]:
    """The Parquet metadata that names the job; the path of the job file is relative to the folder of the table."""
    file = os.path.relpath(spec.file, table.resolve().parent)
    return {METADATA: json.dumps({"job": spec.name, "file": file})}


def is_journal(path: Path) -> bool:
    """Whether the file is the journal of a job."""
    try:
        with path.open("rb") as file:
            return file.read(len(HEADER_START)) == HEADER_START
    except OSError:
        return False


def owner_of(table: Path) -> Owner | None:
    """The job that wrote the table, by its metadata or by a run folder beside it; None if neither names a job."""
    return _by_metadata(table) or next(_by_run_folders(table, table.parent.glob("*/spec.yaml")), None)


def _by_metadata(table: Path) -> Owner | None:
    if formats.output_format(table.name) != "parquet":
        return None
    try:
        noted = json.loads(pl.read_parquet_metadata(table)[METADATA])
        return Owner(job=noted["job"], file=(table.parent / noted["file"]).resolve())
    except (pl.exceptions.PolarsError, OSError, ValueError, KeyError, TypeError):
        return None


def _by_run_folders(table: Path, specs: Iterable[Path]) -> Iterator[Owner]:
    """The jobs whose run folder says that they write this table."""
    import yaml

    for path in sorted(specs):
        try:
            with open(path, encoding="utf-8", opener=open_regular) as file:
                text = file.read()
            if table.name not in text:
                continue
            written = yaml.safe_load(text)["output"]["path"]
            header = read_header(path.parent / "journal.jsonl", any_format=True)
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError, StorageError):
            continue
        if header is not None and os.path.realpath(written) == str(table):
            yield Owner(job=header.job, file=Path(os.path.realpath(path.parent / header.file)))


def is_own(table: Path, spec: JobSpec) -> bool:
    """Whether this job may replace the table: it is empty, its run folder names it, or it has the job's columns."""
    if not table.stat().st_size or any(True for _ in _by_run_folders(table, [spec.run_dir / "spec.yaml"])):
        return True
    names = _columns_of(table)
    if formats.output_format(table.name) == formats.OPENAI_BATCH:
        return names >= RESULT_KEYS
    return names >= {column.name for column in job_columns(spec)}


def _columns_of(table: Path) -> set[str]:
    """The names of the columns; none if the file can't be read as its suffix says."""
    try:
        match formats.output_format(table.name):
            case "parquet":
                return set(pl.read_parquet_schema(table))
            case "arrow":
                return set(pl.read_ipc_schema(table))
            case "csv":
                with table.open(encoding="utf-8", newline="") as file:
                    return set(next(csv.reader(file), []))
            case _:
                with table.open("rb") as file:
                    first = json.loads(file.readline())
                return set(first) if isinstance(first, dict) else set()
    except (pl.exceptions.PolarsError, OSError, ValueError, csv.Error, RecursionError):
        return set()
