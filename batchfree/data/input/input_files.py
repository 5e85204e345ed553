"""The files of an input, and their format."""

from __future__ import annotations

import glob
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from batchfree.core.errors import DatasetError, Mistake
from batchfree.core.formats import COMPRESSED_SUFFIXES, INPUT_SUFFIXES, TABS_SUFFIX, TEXT_FORMATS
from batchfree.core.urls import split_url
from batchfree.data.input.wrong_files import HEAD_BYTES, wrong_kind

if TYPE_CHECKING:
    from batchfree.jobspec import InputSpec

SAMPLE = 1 << 16
"""Bytes from each end of a file that go into the digest of the input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFiles:
    """The files of an input in reading order, as paths or URLs. All have one format."""

    paths: tuple[str, ...]
    format: str
    separator: str | None = None
    """The separator of CSV cells that the job names."""

    def separators(self) -> dict[str, str]:
        """The separator of each CSV file."""
        return {path: self.separator or ("\t" if _suffix(path) == TABS_SUFFIX else ",") for path in self.paths}


def is_remote(path: str) -> bool:
    """Whether the path is a URL, which Polars reads."""
    return "://" in path


def find_files(spec: InputSpec, leave_out: Sequence[Path] = ()) -> InputFiles:
    """Finds the files and their format. Raises DatasetError with every mistake.

    A pattern does not find the files and folders in `leave_out`, nor what is inside these folders.
    """
    hidden = {os.path.realpath(each) for each in leave_out}
    mistakes: list[Mistake] = []
    paths: list[str] = []
    for path in spec.path:
        found = _matching(path, hidden)
        if not found:
            problem = "no file matches this pattern" if _is_pattern(path) else "there is no such file"
            mistakes.append(Mistake(message=problem, file=path, key="input.path"))
        paths.extend(found)
    mistakes.extend(_unreadable(paths))
    formats = {_format(path, spec.format, mistakes): path for path in paths} if not mistakes else {}
    if len(formats) > 1 and not mistakes:
        listed = " and ".join(f"{name} ({path})" for name, path in formats.items())
        mistakes.append(Mistake(message=f"the files are of different formats: {listed}", key="input.path"))
    if mistakes:
        raise DatasetError(mistakes)
    form = next(iter(formats))
    if spec.separator is not None and form != "csv":
        message = f"only CSV has a separator, and the input is {form}; leave this key out"
        raise DatasetError([Mistake(message=message, key="input.separator")])
    return InputFiles(paths=tuple(paths), format=form, separator=spec.separator)


def _is_pattern(path: str) -> bool:
    """Whether the path is a glob. A path that exists as it is written is not a glob."""
    return not is_remote(path) and any(each in path for each in "*?[") and not os.path.lexists(path)


def _matching(path: str, hidden: Set[str]) -> list[str]:
    if _is_pattern(path):
        found = [each for each in sorted(glob.glob(path, recursive=True)) if not Path(each).is_dir()]  # noqa: PTH207
        return [each for each in found if hidden.isdisjoint(map(str, _with_parents(each)))]
    return [path] if is_remote(path) or os.path.lexists(path) else []


def _with_parents(path: str) -> Iterator[Path]:
    place = Path(os.path.realpath(path))
    yield place
    yield from place.parents


def _unreadable(paths: Sequence[str]) -> Iterator[Mistake]:
    for path in paths:
        if is_remote(path):
            if split_url(path) is None:
                yield Mistake(message="is no valid URL", file=path, key="input.path")
            continue
        problem = None
        try:
            mode = Path(path).stat().st_mode
            if stat.S_ISDIR(mode):
                problem = "is a folder; name the files in it, for instance with a pattern such as /*.jsonl"
            elif not stat.S_ISREG(mode):
                problem = "is not a regular file; the input is read more than once, so a pipe can't be used"
            elif not os.access(path, os.R_OK):
                problem = "can't be read: permission denied"
        except OSError as error:
            problem = f"can't be read: {error.strerror}"
        if problem:
            yield Mistake(message=problem, file=path, key="input.path")


def _suffix(path: str) -> str:
    """The suffix that names the format, in lower case. A final .gz or .zst is left out."""
    name = PurePosixPath(urlsplit(path).path if is_remote(path) else path).name.lower()
    return PurePosixPath(name.rpartition(".")[0] if name.endswith(COMPRESSED_SUFFIXES) else name).suffix


def _format(path: str, wanted: str, mistakes: list[Mistake]) -> str:
    found = INPUT_SUFFIXES.get(_suffix(path)) if wanted == "auto" else wanted
    if found is not None and path.lower().endswith(COMPRESSED_SUFFIXES) and found not in TEXT_FORMATS:
        message = f"{found} files are compressed inside and can't be read through .gz or .zst; decompress the file"
        mistakes.append(Mistake(message=message, file=path, key="input.path"))
    elif not is_remote(path) and (kind := wrong_kind(_head(path), found)):
        mistakes.append(Mistake(message=kind, file=path, key="input.path"))
    elif found is None:
        known = ", ".join(INPUT_SUFFIXES)
        message = f"its suffix names no format ({known}); set input.format"
        mistakes.append(Mistake(message=message, file=path, key="input.format"))
    return found or ""


def _head(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b"?"  # the error is reported when the file is read


def digest_of(files: InputFiles) -> str:
    """A fingerprint of names, sizes, and the first and last 64 KiB of each file. Of a URL only its text counts."""
    digest = hashlib.blake2b(digest_size=16)
    for path in files.paths:
        if is_remote(path):
            digest.update(path.encode())
            continue
        size = Path(path).stat().st_size
        digest.update(f"{Path(path).name}\0{size}\0".encode(errors="surrogateescape"))
        with Path(path).open("rb") as file:
            digest.update(file.read(SAMPLE))
            file.seek(max(0, size - SAMPLE))
            digest.update(file.read(SAMPLE))
    return digest.hexdigest()
