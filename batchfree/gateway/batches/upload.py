"""Reads an uploaded file, `multipart/form-data`, straight to disk."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
from starlette.requests import Request

from batchfree.core.text import single_line
from batchfree.gateway.http_refusal import HttpRefusal, invalid

if TYPE_CHECKING:
    import aiohttp

LARGEST_FILE = 200 * 1024 * 1024
"""Largest input file of a batch in bytes (OpenAI's guide to the Batch API)."""
LONGEST_FIELD = 1_000
"""Most bytes of a form field that is no file."""
MOST_FIELDS = 20
PART = 256 * 1024
"""Bytes that are read at a time."""
QUIET_S = 60.0
"""Seconds without a byte after which the upload ends as failed."""
LONGEST_NAME = 200
"""Most characters of a file name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An uploaded file that is on disk; `size` in bytes."""

    filename: str
    purpose: str
    size: int


class TooLargeError(Exception):
    """The file is larger than a batch may be."""


async def read_upload(request: Request, target: Path) -> Upload | HttpRefusal:
    """Writes the uploaded file to `target`. Raises OSError and ClientDisconnect.

    A cancellation leaves a part of the file.
    """
    import aiohttp

    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        return invalid("send the file as multipart/form-data, with the fields `file` and `purpose`")
    for warning in (aiohttp.BadContentDispositionHeader, aiohttp.BadContentDispositionParam):
        warnings.filterwarnings("ignore", category=warning)  # the warning would quote text of the client
    try:
        content = cast(Any, _BodyStream(request.stream()))
        return await _read_form(aiohttp.MultipartReader({"Content-Type": kind}, content), target)
    except TooLargeError:
        return invalid(f"the file is larger than {LARGEST_FILE >> 20} MB", "file", status=413)
    except TimeoutError:
        return invalid(f"nothing came for {QUIET_S:g} seconds", status=408)
    except (
        ValueError,
        AssertionError,
        LookupError,
        RuntimeError,
        aiohttp.ClientError,
        aiohttp.http.HttpProcessingError,
    ):
        return invalid("the form can't be read; send `file` and `purpose` as multipart/form-data")


async def _read_form(reader: aiohttp.MultipartReader, target: Path) -> Upload | HttpRefusal:
    from aiohttp import BodyPartReader

    fields, name, size, count = dict[str, str](), None, 0, 0
    while (part := await reader.next()) is not None:
        count += 1
        if count > MOST_FIELDS or not isinstance(part, BodyPartReader):
            return invalid("the form has too many fields")
        if part.name == "file":
            name, size = single_line(part.filename or "file")[:LONGEST_NAME], await _write(part, target)
        elif part.name is not None:
            fields[part.name] = (await part.read_chunk(LONGEST_FIELD)).decode("utf-8", "replace")
            await part.release()
    if name is None:
        return invalid("`file` is missing", "file")
    if (purpose := fields.get("purpose")) != "batch":
        return invalid(f"`purpose` must be batch, not {purpose!r}: this server knows no other use of files", "purpose")
    return Upload(filename=name, purpose="batch", size=size)


async def _write(part: aiohttp.BodyPartReader, target: Path) -> int:
    size = 0
    async with await anyio.open_file(target, "wb") as file:
        while data := await part.read_chunk(PART):
            size += len(data)
            if size > LARGEST_FILE:
                raise TooLargeError
            await file.write(data)
    return size


class _BodyStream:
    """The body of a request with the methods of `aiohttp.StreamReader` that its multipart reader calls."""

    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._parts, self._buffer, self._has_ended = parts, bytearray(), False
        self.total = 0

    def at_eof(self) -> bool:
        """Whether all bytes were read."""
        return self._has_ended and not self._buffer

    async def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        while not self._buffer and not self._has_ended:
            await self._more()
        return self._take(size)

    async def readline(self, *, max_line_length: int = PART) -> bytes:
        """The bytes up to the end of a line. Raises ValueError for a line that is too long."""
        while (end := self._buffer.find(b"\n")) < 0 and not self._has_ended:
            if len(self._buffer) > max_line_length:
                raise ValueError("a line of the form is too long")
            await self._more()
        return self._take(end + 1 if end >= 0 else len(self._buffer))

    def unread_data(self, data: bytes) -> None:
        """Puts bytes back."""
        self._buffer[:0] = data

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    async def _more(self) -> None:
        with anyio.fail_after(QUIET_S):
            part = await anext(self._parts, None)
        self._has_ended = part is None
        self._buffer += part or b""
        self.total += len(part or b"")
        if self.total > LARGEST_FILE + PART:
            raise TooLargeError
