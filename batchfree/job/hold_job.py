"""Who may run a job at the same time: one run of the whole job, or one run of each of N parts.

Locks decide. But some shared file systems keep no locks between machines, so a part may be started twice, for example
by Ray after the network was split. Therefore a run begins a journal of its own if the last run of the part was on
another machine and nothing says that it ended. So two machines never write one file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from batchfree.core.parts import Part
from batchfree.journal import lock
from batchfree.journal.open_files import allow_open_files
from batchfree.journal.run_folder import RunFolder


@contextmanager
def hold_job(folder: RunFolder, part: Part | None) -> Iterator[str | None]:
    """Holds all locks of the job, or the locks that a part needs, inside the block and yields None.

    If another run holds one of them, yields a phrase that names it. Creates the run folder. Raises StorageError, or
    OutputError if the spec names a wrong place.
    """
    with ExitStack() as locks:
        folder.create()
        yield _hold_all(folder, locks) if part is None else _hold_part(folder, part, locks)


def find_run(folder: RunFolder) -> str | None:
    """The process that runs the job or one of its parts, as a phrase for a message; None if nobody does."""
    found = lock.find_holder(folder.lock, folder.journal)
    return found or _find_part(folder, lambda part: True)


def _hold_all(folder: RunFolder, locks: ExitStack) -> str | None:
    """Takes the locks of the job and of every part; returns who has one of them, else None."""
    holder = locks.enter_context(lock.hold_alone(folder.lock, folder.journal))
    if holder is not None:
        return _find_part(folder, lambda part: True) or holder
    parts = folder.parts()
    allow_open_files(2 * len(parts))
    for part, each in parts.items():
        holder = locks.enter_context(lock.hold_alone(each.lock, each.journal))
        if holder is not None:
            return f"part {part}, {holder}"
    return None


def _hold_part(folder: RunFolder, part: Part, locks: ExitStack) -> str | None:
    """Takes the lock of a part, and shares the lock of the job with other parts. Returns who prevents it, else None."""
    holder = locks.enter_context(lock.hold_shared(folder.lock))
    if holder is not None:
        return holder
    own = folder.of_part(part)
    own.create()
    may_go_on_elsewhere = lock.was_left_elsewhere(own.lock)
    holder = locks.enter_context(lock.hold_alone(own.lock, own.journal))
    if holder is not None:
        return f"part {part}, {holder}"
    if may_go_on_elsewhere:  # a shared file system may keep no locks between machines: never two writers of one file
        own.begin_journal()
        locks.enter_context(lock.hold_new_journal(own.journal))
    return _find_part(folder, lambda other: other.count != part.count)  # after the own lock: two see each other


def _find_part(folder: RunFolder, is_meant: Callable[[Part], bool]) -> str | None:
    """A part that is running, with its process."""
    for part, each in folder.parts().items():
        if is_meant(part) and (holder := lock.find_holder(each.lock, each.journal)) is not None:
            return f"part {part}, {holder}"
    return None
