"""Checks the lengths of buffers in Arrow files before Polars believes them.

Polars allocates as much memory as a buffer claims to need. An absurd claim, from damage or from malice, would end the
process. A compressed buffer begins with its length after decompression (int64; -1: it is not compressed). Sources:
https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format and Arrow's Message.fbs, Schema.fbs and File.fbs.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from batchfree.data.input.flatbuffer import FlatTable

END_OF_FILE = b"ARROW1"
BLOCK = "<qi4xq"
"""`Block` in File.fbs: the place of a batch, the length of its metadata, the length of its body."""
BUFFER = "<qq"
"""`Buffer` in Schema.fbs: the place of a buffer in the body, and its length."""
DICTIONARY, BATCH = 2, 3
"""Kinds of messages (`MessageHeader` in Message.fbs)."""
LARGEST_METADATA = 64 << 20
LARGEST_SMALL = 64 << 20
"""Bytes that every buffer may have."""
MOST_RATIO = 50_000
"""Most bytes that one compressed byte may stand for. Zstandard comes close to it for one repeated byte."""
LARGEST_BATCH = 8 << 30
"""Most bytes of one batch."""


class AbsurdLengthError(Exception):
    """A buffer claims a length that it can't have."""


def check_file(path: str) -> None:
    """Checks a file with a footer. Other files are left to Polars. Raises AbsurdLengthError, OSError."""
    with Path(path).open("rb") as file, suppress(struct.error, OverflowError):
        for at, metadata, _ in _blocks(file):
            file.seek(at)
            head = file.read(min(metadata, LARGEST_METADATA))
            _check_message(FlatTable.root(head[8:]), file, at + metadata)


def check_message(content: bytes, metadata: int) -> None:
    """Checks one message of a stream; `metadata` is the length of its head and metadata. Raises AbsurdLengthError."""
    with suppress(struct.error, OverflowError):
        _check_message(FlatTable.root(content[8:metadata]), io.BytesIO(content), metadata)


def _blocks(file: IO[bytes]) -> Iterator[tuple[int, ...]]:
    """The places of all batches, from the footer."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 10))
    tail = file.read(10)
    if tail[4:] != END_OF_FILE:
        return
    length = int.from_bytes(tail[:4], "little", signed=True)
    if not 0 < length <= min(size - 10, LARGEST_METADATA):
        return
    file.seek(size - 10 - length)
    footer = FlatTable.root(file.read(length))
    for field in (2, 3):
        yield from (block for block in footer.structs(field, BLOCK) if block[0] >= 0 and block[1] > 0)


def _check_message(message: FlatTable, file: IO[bytes], body: int) -> None:
    kind, header = message.number(1, "<B"), message.table(2)
    if kind not in (BATCH, DICTIONARY) or header is None:
        return
    batch = header.table(1) if kind == DICTIONARY else header
    if batch is None:
        return
    size, whole = file.seek(0, io.SEEK_END), 0
    for place, length in batch.structs(2, BUFFER):
        if place < 0 or length < 0 or body + place + length > size:
            raise AbsurdLengthError(f"the file is damaged: {length:,} bytes of a column would stand outside the file")
        if length < 8 or batch.table(3) is None:  # not compressed
            continue
        file.seek(body + place)
        claimed = int.from_bytes(file.read(8), "little", signed=True)
        whole += max(0, claimed)
        if claimed < -1 or claimed > max(LARGEST_SMALL, MOST_RATIO * length) or whole > LARGEST_BATCH:
            raise AbsurdLengthError(f"the file is damaged: {length} compressed bytes claim to hold {claimed:,} bytes")
