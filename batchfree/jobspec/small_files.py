"""Reads small files that a user names: job files, schemas and files of environment variables.

Such a file may be a pipe, as in `batchfree run /dev/stdin` or `batchfree run <(make-job)`. A pipe that brings nothing
ends with an error after a while, so no command waits for ever.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from pathlib import Path

NO_WRITER_S = 3.0
"""Seconds to wait for a program that opens the pipe for writing."""
SILENT_S = 60.0
"""Seconds to wait for the next bytes of a program that has opened the pipe."""
BLOCK = 1 << 16


def read_bytes(path: Path, most: int, *, no_writer_s: float = NO_WRITER_S, silent_s: float = SILENT_S) -> bytes:
    """The bytes of a file or pipe, and no more than `most`. Raises OSError, and ValueError for an impossible path."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        content = bytearray()
        while len(content) < most and (block := _next_block(descriptor, not content, no_writer_s, silent_s)):
            content += block
        return bytes(content[:most])
    finally:
        os.close(descriptor)


def is_regular(path: Path) -> bool:
    """Whether the path is a plain file, which can be read twice."""
    return os.path.isfile(path)  # noqa: PTH113  (never raises)


def _next_block(descriptor: int, is_first: bool, no_writer_s: float, silent_s: float) -> bytes:
    """The next bytes; empty at the end. Raises OSError if a pipe brings nothing for too long."""
    is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    began = time.monotonic()
    while True:
        try:
            block = os.read(descriptor, BLOCK)
            if block or not (is_pipe and is_first):
                return block
            wait, silence = no_writer_s, f"no program has written to this pipe within {no_writer_s:g} s"
        except BlockingIOError:
            wait, silence = silent_s, f"nothing has come through this pipe for {silent_s:g} s"
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        left = began + wait - time.monotonic()
        events = poller.poll(max(0.0, left) * 1_000)
        if not events:
            raise OSError(errno.ETIMEDOUT, silence, None)
        if not events[0][1] & select.POLLIN:  # the writer has left
            return b""
