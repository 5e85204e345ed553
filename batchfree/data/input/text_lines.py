"""The lines of a text file, plain or compressed, local or remote, without holding the file in memory.

Local files are read as bytes, so bytes that are not UTF-8 are reported with their line. Polars reads remote files.
The first bytes of a file show how it is compressed; a byte order mark shows UTF-16 and UTF-32.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, cast

import polars as pl

from batchfree.core.errors import DatasetError, Mistake
from batchfree.data.input.input_files import is_remote

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
SKIPPABLE = b"\x2a\x4d\x18"
"""Bytes 1 to 3 of a skippable Zstandard frame (RFC 8878, 3.1.2); byte 0 is 0x50 to 0x5f. pzstd writes such frames."""
BUFFER = 1 << 20
LONGEST_LINE = 256 << 20
"""Most bytes of one line. Without it a file without line breaks, or a few compressed bytes, could fill the memory."""
BOM = codecs.BOM_UTF8
WIDE = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order mark → encoding; the longer marks come first, because one begins like a shorter one."""


def read_lines(file: str) -> Iterator[bytes]:
    """The lines with their ends, in UTF-8, without a byte order mark.

    Raises DatasetError with the line, counted from one.
    """
    lines = _polars_lines(file) if is_remote(file) else _local_lines(file)
    for first in lines:
        yield first.removeprefix(BOM)
        break
    yield from lines


def mistake_at(file: str, line: int | None, message: str) -> DatasetError:
    """An error with one mistake; `line` counts from one."""
    return DatasetError([Mistake(message=message, file=file, line=line)])


def first_bytes(file: str, count: int) -> bytes:
    """The first bytes of a local file, as they are stored. Raises DatasetError."""
    try:
        with Path(file).open("rb") as stream:
            return stream.read(count)
    except OSError as error:
        raise mistake_at(file, None, f"can't be read: {error.strerror}") from error


def _is_zstd(head: bytes) -> bool:
    return head == ZSTD or _is_skippable(head)


def _is_skippable(head: bytes) -> bool:
    return head[1:4] == SKIPPABLE and head[0] & 0xF0 == 0x50


def _local_lines(file: str) -> Iterator[bytes]:
    number = 0
    try:
        with _open(file) as stream:
            mark = stream.peek(4)[:4]
            encoding = next((name for start, name in WIDE.items() if mark.startswith(start)), None)
            plain = iter(partial(stream.readline, LONGEST_LINE + 1), b"")
            lines: Iterable[bytes] = plain if encoding is None else _decoded(stream, encoding)
            for number, line in enumerate(lines, start=1):
                if len(line) > LONGEST_LINE:
                    raise mistake_at(file, number, f"this line is longer than {LONGEST_LINE >> 20} MB")
                yield line
    except UnicodeError as error:
        raise mistake_at(file, number + 1, f"broken UTF-16 text: {error.args[-1]}") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise mistake_at(file, number + 1, f"the compressed data is damaged: {error}") from error
    except OSError as error:
        raise mistake_at(file, number + 1, f"can't be read: {error.strerror}") from error


def _open(file: str) -> io.BufferedReader | gzip.GzipFile:
    head = first_bytes(file, 4)
    if head.startswith(GZIP):
        return gzip.open(file, "rb")
    if _is_zstd(head):
        from batchfree.data.input.zstd_stream import ZstdStream  # zstandard takes 15 ms to import

        return io.BufferedReader(ZstdStream(file, BUFFER), BUFFER)
    return cast("io.BufferedReader", Path(file).open("rb", buffering=BUFFER))


def _decoded(stream: io.BufferedReader | gzip.GzipFile, encoding: str) -> Iterator[bytes]:
    """The lines of UTF-16 or UTF-32 text, as UTF-8. Raises UnicodeError."""
    with io.TextIOWrapper(cast("IO[bytes]", stream), encoding=encoding, newline="\n") as text:
        for line in text:
            yield line.encode()


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
