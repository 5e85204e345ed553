"""A Zstandard file as a stream of its text, decompressed in bounded steps.

Polars decompresses a whole line at a time, and a few compressed kilobytes may be a line of gigabytes.
"""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STEP = 1 << 10
"""Compressed bytes of one step. A block of 4 bytes may stand for 128 KiB (RFC 8878, 3.1.1.2), so a step makes at most
32 MB."""


class ZstdStream(io.RawIOBase):
    """The text of a file of one or more frames; frames to be skipped are skipped.

    Reading raises OSError, and as with gzip EOFError if the data ends in the middle, and zlib.error if it is damaged.
    """

    def __init__(self, path: str, buffer: int) -> None:
        self._file = Path(path).open("rb", buffering=buffer)  # noqa: SIM115 - closed by `close`
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._text = memoryview(b"")

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, target: WriteableBuffer) -> int:
        """Fills the target with the next text and returns the number of bytes; 0 at the end."""
        try:
            while not self._text and (packed := self._next_step()):
                self._text = memoryview(self._frame.decompress(packed))
        except zstandard.ZstdError as error:
            raise zlib.error(str(error)) from error
        view = memoryview(target).cast("B")
        count = min(len(view), len(self._text))
        view[:count], self._text = self._text[:count], self._text[count:]
        return count

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()

    def _next_step(self) -> bytes:
        """The next compressed bytes, with the frame ready for them; none at the end of the file."""
        packed = (self._frame.unused_data if self._frame.eof else b"") or self._file.read(STEP)
        if not packed and not self._frame.eof:
            raise EOFError("it ends in the middle")
        if packed and self._frame.eof:
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        return packed
