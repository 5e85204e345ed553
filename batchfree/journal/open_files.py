"""The number of files that this process may have open."""

from __future__ import annotations

import resource
from contextlib import suppress

OTHERS = 256
"""Files and connections that a process needs beside its journals and their locks."""


def allow_open_files(count: int) -> None:
    """Raises the limit of this process if `count` more files do not fit, as far as the system allows.

    The usual limit is 1,024, kept for old programs. A process may raise it far above that (getrlimit(2),
    RLIMIT_NOFILE).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + OTHERS
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
