"""Arrow streams: Arrow files without a footer, as Hugging Face's `save_to_disk` and its cache write them.

Polars reads a stream only as a whole. Here a stream is cut into its messages, and Polars gets one batch at a time.
A message is the marker 0xFFFFFFFF, the length of its metadata (int32), the metadata (a flatbuffer `Message`), and a
body. The metadata holds the length of the body.
Source: https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import polars as pl

from batchfree.data.input.arrow_lengths import check_message
from batchfree.data.input.flatbuffer import FlatTable

MARKER = b"\xff\xff\xff\xff"
END = MARKER + bytes(4)
SCHEMA, DICTIONARY, BATCH = 1, 2, 3
"""Kinds of messages (`MessageHeader` in Arrow's Message.fbs)."""


class BrokenStreamError(Exception):
    """The file is not a whole Arrow stream. The message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMessage:
    """One message. `rows` is the number of rows of a batch; `content` is None if the body was passed over."""

    kind: int
    rows: int
    content: bytes | None


def is_stream(path: str) -> bool:
    """Whether a local file begins like a stream."""
    with Path(path).open("rb") as file:
        return file.read(len(MARKER)) == MARKER


def schema_of(path: str) -> pl.Schema:
    """The columns. Raises BrokenStreamError and Polars' errors."""
    for message in _messages(path, SCHEMA):
        if message.content is not None:
            return pl.read_ipc_stream(io.BytesIO(message.content + END)).schema
    raise BrokenStreamError("the stream has no schema")


def count_rows(path: str) -> int:
    """The number of rows, from the heads of the batches. Raises BrokenStreamError."""
    return sum(message.rows for message in _messages(path, SCHEMA))


def batches(path: str) -> Iterator[pl.DataFrame]:
    """The batches of the stream in order. Raises BrokenStreamError and Polars' errors."""
    before: list[bytes] = []
    for message in _messages(path, BATCH):
        content = message.content or b""
        check_message(content, 8 + int.from_bytes(content[4:8], "little", signed=True))
        if message.kind == BATCH:
            yield pl.read_ipc_stream(io.BytesIO(b"".join([*before, content, END])))
        else:
            before.append(content)


def _messages(path: str, most: int) -> Iterator[StreamMessage]:
    """The messages in order. The content of a message is skipped if its kind is greater than `most`."""
    with Path(path).open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        while head := file.read(8):
            if head == END:
                return
            message, length = _read_head(file, head)
            if file.tell() + length > size:
                raise BrokenStreamError("the stream breaks off in the middle of a batch")
            kind, rows = message.kind, message.rows
            if kind > most:
                file.seek(length, io.SEEK_CUR)
                yield StreamMessage(kind=kind, rows=rows, content=None)
            else:
                yield StreamMessage(kind=kind, rows=rows, content=(message.content or b"") + file.read(length))


def _read_head(file: IO[bytes], head: bytes) -> tuple[StreamMessage, int]:
    """A message without its body, and the length of the body in bytes."""
    length = int.from_bytes(head[4:], "little", signed=True)
    metadata = file.read(max(length, 0))
    if head[:4] != MARKER or len(metadata) != length:
        raise BrokenStreamError("this is not a whole Arrow stream")
    try:
        table = FlatTable.root(metadata)
        kind, header, body = table.number(1, "<B"), table.table(2), table.number(3, "<q")
        rows = header.number(0, "<q") if kind == BATCH and header is not None else 0
    except struct.error as error:
        raise BrokenStreamError("this is not a whole Arrow stream") from error
    if body < 0 or rows < 0:
        raise BrokenStreamError("this is not a whole Arrow stream")
    return StreamMessage(kind=kind, rows=rows, content=head + metadata), body
