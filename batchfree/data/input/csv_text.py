"""CSV files: a first pass finds broken lines, then rows are read in batches. Cells stay text; an empty cell is null.

Cells are separated by `input.separator`. Without it they are separated by tabs in .tsv files, and by commas in others.
A header that holds only another usual separator is a mistake. Excel's line `sep=;` is a mistake if it names another
separator than the one in use.
"""

from __future__ import annotations

import csv
import itertools
import json
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from batchfree.core.errors import DatasetError, Mistake
from batchfree.data.input.survey import Findings, Places, Survey
from batchfree.data.input.text_lines import mistake_at, read_lines

BATCH_ROWS = 4_096
BATCH_CHARACTERS = 8 << 20
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
"""The usual separators, in words."""
SEPARATOR_LINE = re.compile(r"\s*sep=(.)\s*", re.IGNORECASE | re.DOTALL)
"""A first line that tells Excel the separator of the file."""

RETURN_ALONE = "a line ends in a carriage return alone; save the file with LF or CR LF at the end of each line"


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvRow:
    """The cells of one row, and the line where it starts, counted from one."""

    cells: list[str]
    line: int


def read_rows(file: str, separator: str) -> Iterator[CsvRow]:
    """Every row of a file, the header first, without blank lines. Raises DatasetError."""
    csv.field_size_limit(sys.maxsize)
    text, line = _text(file), 1
    for first in text:
        named = SEPARATOR_LINE.fullmatch(first)
        if named is None:
            text = itertools.chain([first], text)
        elif named[1] == separator:
            line = 2
        else:
            words = SEPARATORS.get(named[1], "another character")
            wrong = f"`{first.strip()}` is not a header: it tells Excel that {words} separate the cells"
            message = f"{wrong}; {_advice(named[1])}"
            raise mistake_at(file, 1, message)
        break
    reader, above = csv.reader(text, delimiter=separator, strict=True), line - 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = RETURN_ALONE if "new-line character" in str(error) else str(error)
            raise mistake_at(file, line, f"broken CSV: {reason}") from error
        if cells:
            yield CsvRow(cells=cells, line=line)
        line = reader.line_num + 1 + above


def _advice(separator: str) -> str:
    return f"set input.separator: {json.dumps(separator)}"


def _other_separator(path: str, line: int, separator: str) -> str | None:
    """The mistake in a header of one cell that another usual separator cuts into several cells; None without one."""
    header = next(itertools.islice(_text(path), line - 1, None))
    for other, words in SEPARATORS.items():
        if other != separator and len(next(csv.reader([header], delimiter=other), [])) > 1:
            return f"the cells seem to be separated by {words}: {_advice(other)}"
    return None


def _text(file: str) -> Iterator[str]:
    for number, line in enumerate(read_lines(file), start=1):
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise mistake_at(
                file, number, f"not UTF-8 text (byte 0x{line[error.start]:02x}); save the file as UTF-8"
            ) from error


def survey(paths: Sequence[str], separators: Mapping[str, str]) -> Survey:
    """Reads every line once and finds the columns and the broken lines.

    `separators` gives the separator of each file.
    """
    columns: dict[str, pl.DataType] = {}
    findings, places = Findings(), Places()
    for path in paths:
        try:
            _survey_file(path, separators[path], columns, findings, places)
        except DatasetError as error:
            findings.add(*error.mistakes)
    return Survey(schema=pl.Schema(columns), places=places, mistakes=findings.list())


def _survey_file(
    path: str, separator: str, columns: dict[str, pl.DataType], findings: Findings, places: Places
) -> None:
    places.begin(path)
    rows = read_rows(path, separator)
    header = next(rows, None)
    if header is None:
        return
    if len(header.cells) == 1 and (problem := _other_separator(path, header.line, separator)):
        findings.add(Mistake(message=problem, file=path, line=header.line))
        return
    for name, times in Counter(header.cells).items():
        if times > 1:
            how_often = "twice" if times == 2 else f"{times} times"
            message = f"the header names this column {how_often}" if name else f"{times} columns have no name"
            findings.add(Mistake(message=message, file=path, line=header.line, key=name))
    columns.update(dict.fromkeys(header.cells, pl.String()))
    width = len(header.cells)
    for row in rows:
        places.add_row(row.line)
        if len(row.cells) != width:
            cells = "1 cell" if len(row.cells) == 1 else f"{len(row.cells)} cells"
            findings.add(Mistake(message=f"has {cells}, the header has {width}", file=path, line=row.line))


def batches(
    paths: Sequence[str], separators: Mapping[str, str], found: Survey, columns: Collection[str]
) -> Iterator[pl.DataFrame]:
    """The rows in batches of at most 4,096 rows or about 8 million characters.

    Raises DatasetError if a file has changed since the survey.
    """
    wanted = [name for name in found.schema if name in columns]
    for path in paths:
        rows = read_rows(path, separators[path])
        header = next(rows, None)
        if header is None:
            continue
        cells: list[list[str]] = []
        size = 0
        for row in rows:
            if len(row.cells) != len(header.cells):
                raise mistake_at(path, row.line, "the file was changed while it was read")
            cells.append(row.cells)
            size += sum(map(len, row.cells))
            if len(cells) == BATCH_ROWS or size >= BATCH_CHARACTERS:
                yield _frame(header.cells, cells, wanted)
                cells, size = [], 0
        if cells:
            yield _frame(header.cells, cells, wanted)


def _frame(header: list[str], cells: list[list[str]], wanted: list[str]) -> pl.DataFrame:
    columns = dict(zip(header, zip(*cells, strict=True), strict=True))
    nulls = (None,) * len(cells)
    frame = pl.DataFrame({name: pl.Series(columns.get(name, nulls), dtype=pl.String()) for name in wanted})
    return frame.select(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in wanted)
