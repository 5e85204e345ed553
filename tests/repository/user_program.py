"""A program of a user, written against the public API alone. It runs in a test, and a strict type checker reads it.

    python user_program.py JOB [OUTPUT]

Runs a job on the embedded endpoint and prints how many rows each model answered.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import assert_type

import polars as pl

import batchfree


def answered_by(table: pl.LazyFrame) -> dict[str, int]:
    """The number of answered rows by model."""
    counts = table.filter(pl.col("status") == "ok").group_by("model").len().collect()
    return dict(counts.iter_rows())


def watch(progress: batchfree.Progress) -> None:
    """Follows the run: every warning goes to stderr."""
    assert_type(progress.requests, int)
    for warning in progress.warnings:
        print(warning, file=sys.stderr)


def explain(summary: batchfree.Summary) -> str:
    """One sentence about the end of a run."""
    if summary.stopped is None:
        return f"{summary.counts.ok} of {summary.counts.rows} rows are answered"
    assert_type(summary.stopped, batchfree.Stopped)
    assert_type(summary.stopped.until, float | None)
    return summary.stopped.message


def main(file: Path, output: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Runs the first row alone, then the others in an event loop; returns the report."""
    try:
        job = batchfree.load(file, endpoint="embedded", output=output, environment=environment)
    except batchfree.SpecError as error:
        places = [f"{mistake.file}:{mistake.line}: {mistake.key}: {mistake.message}" for mistake in error.mistakes]
        return "\n".join(places)
    assert_type(job, batchfree.Job)
    first = batchfree.run(job, batchfree.RunOptions(limit=1), watch)
    assert first.exit_code == 0
    summary = asyncio.run(batchfree.arun(job))
    assert_type(summary, batchfree.Summary)
    assert_type(summary.counts, batchfree.Counts)
    assert_type(summary.models, Mapping[str, int])
    table = batchfree.table(job)
    assert_type(table, pl.LazyFrame)
    models = answered_by(table)
    assert models == dict(summary.models)
    return "\n".join([explain(summary), *(f"{model}: {rows}" for model, rows in sorted(models.items()))])


if __name__ == "__main__":
    file, *output = map(Path, sys.argv[1:])
    print(main(file, output[0] if output else None))
