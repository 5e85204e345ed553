"""Job files near a wrong path, for a person who mistyped a name or is in another folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from batchfree.core.errors import Mistake
from batchfree.core.text import nearest

SUFFIXES = (".yaml", ".yml")
INPUT = re.compile(rb"^(input|[\"']input[\"'])[ \t]*:", re.MULTILINE)
"""The one key that every job file has, at the start of a line."""
MOST_BYTES = 1 << 16
"""Bytes at the start of a file in which the key `input` is looked for."""
MOST_FILES = 500
"""Most files of a folder that are opened."""
SHOWN = 8
"""Most job files that a message names."""
NEAR = 0.7
"""How similar two names must be, from 0 to 1: one wrong letter of four still counts."""
UP = 3
"""Folders above the current one in which the typed path is tried."""
FIRST_JOB = "`batchfree init` writes a first job here"


def wrong_job_file(path: Path) -> Mistake | None:
    """The mistake if the path is a folder or does not exist, with the job files near it; None if it is a file."""
    if os.path.isdir(path):  # noqa: PTH112  (never raises)
        return Mistake(file=str(path), message=_folder_message(path))
    if os.path.lexists(path):
        return None
    return Mistake(file=str(path), message=f"there is no such file{_advice(path)}")


def _folder_message(folder: Path) -> str:
    found = job_files(folder) or job_files(folder / "jobs")
    if found:
        return f"this is a folder; its job files are {_named(found)}"
    return f"this is a folder, and no job file is in it{_other_jobs()}"


def _advice(path: Path) -> str:
    """What to do about a missing file: the end of a sentence that names the files near it."""
    around = job_files(path.parent)
    meant = _most_similar(path, around) or next(_elsewhere(path), None)
    if meant is not None:
        return f"; did you mean `{meant}`?"
    if around:
        return f"; the job files in this folder are {_named(around)}"
    if os.path.isdir(path.parent):  # noqa: PTH112
        return f", and no job file in {_seen(path.parent)}{_other_jobs()}"
    return f", and no folder {_seen(path.parent)}{_other_jobs()}"


def _other_jobs() -> str:
    """The job files of the current folder, or how to get a first one."""
    found = [*job_files(Path()), *job_files(Path("jobs"))]
    return f"; there are job files elsewhere: {_named(found)}" if found else f"; {FIRST_JOB}"


def _seen(folder: Path) -> str:
    """The folder as an absolute path, if the current folder still exists."""
    try:
        return str(folder.absolute())
    except OSError:
        return str(folder)


def _elsewhere(path: Path) -> Iterator[Path]:
    """Job files of this name in other places: in `jobs` below the typed folder, here, and in the folders above."""
    if path.is_absolute():
        return
    tried = [path.parent / "jobs" / path.name, Path(path.name)]
    for levels in range(1, UP + 1):
        above = Path(*[".."] * levels)
        tried += [above / path, above / "jobs" / path.name, above / path.name]
    yield from (each for each in tried if os.path.isfile(each))  # noqa: PTH113  (never raises)
    for folder in (path.parent / "jobs", Path("jobs"), Path()):
        if near := _most_similar(path, job_files(folder)):
            yield near


def _most_similar(path: Path, files: Sequence[Path]) -> Path | None:
    """The file whose name without its suffix is most similar to that of `path`; None if none is similar."""
    by_stem = {each.stem: each for each in reversed(files)}
    near = nearest(path.stem, by_stem, NEAR)
    return None if near is None else by_stem[near]


def job_files(folder: Path) -> Sequence[Path]:
    """The job files in a folder, by name: YAML files with the key `input`. Empty if the folder can't be read."""
    try:
        inside = sorted(each for each in folder.iterdir() if each.suffix in SUFFIXES)
    except OSError:
        return []
    return [each for each in inside[:MOST_FILES] if _is_job(each)]


def _is_job(file: Path) -> bool:
    try:
        if not file.is_file():
            return False
        with file.open("rb") as content:
            return INPUT.search(content.read(MOST_BYTES)) is not None
    except OSError:
        return False


def _named(files: Sequence[Path]) -> str:
    more = len(files) - SHOWN
    return ", ".join(str(each) for each in files[:SHOWN]) + (f" and {more} more" if more > 0 else "")
