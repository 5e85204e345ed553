"""Opens files of the run folder. A pipe in the place of such a file is refused, because opening it would wait."""

from __future__ import annotations

import errno
import os
import stat


def open_regular(path: str, flags: int) -> int:
    """An opener for `open`. Raises OSError if the path is a pipe, a socket or a device."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "It is not a regular file", path)
    return descriptor
