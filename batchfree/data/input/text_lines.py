"""The lines of a text file, plain or compressed, local or remote, without holding the file in memory.

Local files are read as bytes, so bytes that are not UTF-8 are found with their line. Polars reads remote files and
Zstandard. The first bytes of a file tell how it is compressed.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import polars as pl

from batchfree.core.errors import DatasetError, Mistake
from batchfree.data.input.input_files import is_remote

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
BUFFER = 1 << 20
BOM = b"\xef\xbb\xbf"


def read_lines(file: str) -> Iterator[bytes]:
    """The lines with their ends, without a byte order mark. Raises DatasetError with the line, counted from one."""
    lines = _polars_lines(file) if is_remote(file) or _first_bytes(file) == ZSTD else _local_lines(file)
    for first in lines:
        yield first.removeprefix(BOM)
        break
    yield from lines


def mistake_at(file: str, line: int | None, message: str) -> DatasetError:
    """An error with one mistake; `line` counts from one."""
    return DatasetError([Mistake(message=message, file=file, line=line)])


def _first_bytes(file: str) -> bytes:
    try:
        with Path(file).open("rb") as stream:
            return stream.read(len(ZSTD))
    except OSError as error:
        raise mistake_at(file, None, f"can't be read: {error.strerror}") from error


def _local_lines(file: str) -> Iterator[bytes]:
    number = 0
    try:
        with _open(file) as stream:
            for number, line in enumerate(stream, start=1):  # noqa: B007
                yield line
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise mistake_at(file, number + 1, f"the compressed data is damaged: {error}") from error
    except OSError as error:
        raise mistake_at(file, number + 1, f"can't be read: {error.strerror}") from error


def _open(file: str) -> IO[bytes] | gzip.GzipFile:
    if _first_bytes(file).startswith(GZIP):
        return gzip.open(file, "rb")
    return Path(file).open("rb", buffering=BUFFER)


def _polars_lines(file: str) -> Iterator[bytes]:
    number = 0
    try:
        for batch in pl.scan_lines(file, glob=False).collect_batches():
            for line in batch.get_column("line"):
                number += 1
                yield line.encode() + b"\n"
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).partition("\n")[0]
        where = f" after line {number}" if number else ""
        why = "not UTF-8 text" if "utf8" in reason else f"can't be read: {reason}"
        raise mistake_at(file, None, f"{why}{where}") from error
