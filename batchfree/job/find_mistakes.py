"""All mistakes of a job that can be found without the network, even if its file has mistakes."""

from __future__ import annotations

from collections.abc import Callable, Collection

import polars as pl

from batchfree.core.errors import Mistake, MistakesError
from batchfree.core.text import key_path
from batchfree.data import output
from batchfree.data.input import Dataset
from batchfree.data.prompts import compile_prompts
from batchfree.job.open_job import check_expected, open_input, open_job
from batchfree.job.preview import Warn
from batchfree.jobspec import JobSpec
from batchfree.jobspec.job import Job

INPUT = "input"
OF_THE_TABLE = frozenset({"answer", "output"})
"""Sections of the job file that decide the columns of the table, and its place."""


def find_mistakes(job: Job, blamed: Collection[str] = (), warn: Warn = lambda warning: None) -> list[Mistake]:
    """What is wrong with the input, the templates, and the place of the table.

    `blamed` holds the keys of the job file that are known to be wrong. Their sections are not checked again, and a
    wrong input is not read. If no mistake is found, `warn` is called with what may be a mistake.
    """
    sections = {str(key_path(key)[0]) for key in blamed if key_path(key)}
    spec, dataset = job.spec, None
    found: list[Mistake] = []
    if INPUT not in sections:
        dataset = _opened(spec, found)
    if dataset is not None:
        found.extend(_in_the_rows(spec, dataset))
        if not sections & OF_THE_TABLE:
            _collect(lambda: output.check_names(spec, dataset.schema), found)
    else:
        _collect(lambda: compile_prompts(spec, pl.Schema()), found)  # without columns any name may stand there
    if not sections & OF_THE_TABLE:
        _collect(lambda: output.check_place(spec, dataset, protected=job.protected), found)
    found = [each for each in found if each.key is None or str(key_path(each.key)[0]) not in sections]
    if not found and not blamed:
        for warning in open_job(spec).warnings():
            warn(warning)
    return found


def _opened(spec: JobSpec, found: list[Mistake]) -> Dataset | None:
    """The input with its columns; None if a mistake makes it unreadable."""
    try:
        dataset = open_input(spec)
        return dataset if dataset.schema is not None else None
    except MistakesError as error:
        found.extend(error.mistakes)
        return None


def _in_the_rows(spec: JobSpec, dataset: Dataset) -> list[Mistake]:
    """The mistakes in rows, and in keys that name columns. All checks are made, whatever the others find."""
    found = list(dataset.check())
    _collect(lambda: check_expected(spec, dataset), found)
    _collect(lambda: compile_prompts(spec, dataset.schema, dataset.files), found)
    return found


def _collect(check: Callable[[], object], found: list[Mistake]) -> None:
    """Makes a check and keeps its mistakes."""
    try:
        check()
    except MistakesError as error:
        found.extend(error.mistakes)
