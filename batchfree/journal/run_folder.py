"""The run folder: the files that a run leaves behind, and the job that owns them."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from batchfree.core.chat import Json
from batchfree.core.errors import OutputError, StorageError, unwritable
from batchfree.core.parts import Part, part_of_folder
from batchfree.core.version import __version__
from batchfree.journal.atomic_file import atomic_write
from batchfree.journal.file import Journal
from batchfree.journal.journal_lines import FORMAT, Header, read_header

if TYPE_CHECKING:
    from batchfree.jobspec import JobSpec


PARTS = "parts"
"""The folder inside a run folder that holds the folders of the parts."""
LATER_JOURNAL = re.compile(r"journal\.(\d{1,4})\.jsonl").fullmatch
"""Finds the number of a journal that was begun after the first one of its folder."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run folder and the paths of its files."""

    path: Path

    @property
    def journal(self) -> Path:
        """The journal that a run writes: the last one of the folder. It need not exist yet."""
        return self.journals[-1]

    @property
    def journals(self) -> Sequence[Path]:
        """All journals of the folder, in the order in which they were begun. Only a part may have several."""
        return (self.path / "journal.jsonl", *map(self._later_journal, self._later_journals()))

    def _later_journal(self, number: int) -> Path:
        return self.path / f"journal.{number}.jsonl"

    def _later_journals(self) -> Sequence[int]:
        """The numbers of the journals after the first one, in order."""
        try:
            return sorted(int(found[1]) for each in self.path.iterdir() if (found := LATER_JOURNAL(each.name)))
        except OSError:  # opening the journal will report why the folder can't be read
            return ()

    @property
    def spec(self) -> Path:
        """The resolved spec of the last run."""
        return self.path / "spec.yaml"

    @property
    def lock(self) -> Path:
        """The lock file of the current run."""
        return self.path / "lock"

    @property
    def log(self) -> Path:
        """The event log, for programs."""
        return self.path / "log.jsonl"

    def of_part(self, part: Part) -> RunFolder:
        """The run folder of a part: it has a journal, a lock and a log of its own."""
        return RunFolder(self.path / PARTS / part.folder)

    def parts(self) -> Mapping[Part, RunFolder]:
        """The folders of all parts that were ever begun, also of runs with another number of parts."""
        try:
            names = sorted(each.name for each in (self.path / PARTS).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return {}
        found = (part for name in names if (part := part_of_folder(name)) is not None)
        return {part: self.of_part(part) for part in found}

    def all(self) -> Sequence[RunFolder]:
        """This folder and those of the parts. Their journals together hold the attempts of the job."""
        return (self, *self.parts().values())

    def all_journals(self) -> Sequence[Path]:
        """The journals of this folder and of the parts: together they hold the attempts of the job."""
        return tuple(path for folder in self.all() for path in folder.journals)

    def begin_journal(self) -> None:
        """Begins a further journal. From now on runs write to it and only read the others. Raises StorageError."""
        path = self._later_journal(max(self._later_journals(), default=1) + 1)
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise unwritable(f"{path}: the journal can't be written", error) from error

    def create(self) -> None:
        """Creates the folder. Raises OutputError, or StorageError on a full disk."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)  # it holds the rows and the answers of the user
        except OSError as error:
            raise unwritable(f"{self.path}: the run folder can't be created", error) from error

    def check_owner(self, job: str, file: Path, *, any_format: bool = False) -> None:
        """Raises OutputError if a journal belongs to another job: another name, or another job file that exists.

        A journal of another format raises StorageError unless `any_format` is set.
        """
        for journal in self.all_journals():
            self._check_journal(journal, job, file, any_format=any_format)

    def _check_journal(self, journal: Path, job: str, file: Path, *, any_format: bool) -> None:
        header = read_header(journal, any_format=any_format)
        if header is None:
            return
        other = (journal.parent / header.file).resolve()
        if header.job != job or (other != file.resolve() and other.exists()):
            raise OutputError(
                f"{self.path}: this run folder belongs to the job '{header.job}' ({other}); "
                "change `run_dir`, `name` or `output` in one of the two jobs."
            )

    def open_journal(self, spec: JobSpec, input: str) -> Journal:
        """Opens this job's journal or starts a new one; `input` is the digest of the input. Raises StorageError."""
        text = json.dumps(spec.resolved(), sort_keys=True, default=str)
        header = Header(
            batchfree=FORMAT,
            version=__version__,
            job=spec.name,
            file=os.path.relpath(spec.file.resolve(), self.path.resolve()),
            spec=hashlib.blake2b(text.encode(), digest_size=16).hexdigest(),
            input=input,
        )
        return Journal(self.journal, header)

    def write_spec(self, resolved: Json) -> None:
        """Writes the resolved spec. Raises StorageError."""
        import yaml

        text = yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True)
        try:
            with atomic_write(self.spec) as unfinished:
                unfinished.write_text(text, encoding="utf-8")
        except OSError as error:
            raise unwritable(f"{self.spec}: can't be written", error) from error

    def set_aside(self, now: float) -> Path | None:
        """Renames the journal, and the folder of the parts, so that the next run starts from nothing.

        `now` is in epoch seconds. Returns a new path, or None if there was no journal. Raises StorageError.
        """
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%S")
        kept = None
        if self.parts():
            kept = _renamed(self.path / PARTS, f"{PARTS}.{stamp}")
        if self.journal.exists() and self.journal.stat().st_size:
            kept = _renamed(self.journal, f"journal.{stamp}")
        return kept


def _renamed(path: Path, stem: str) -> Path:
    """Renames a file or a folder; its suffix stays. Returns the new path. Raises StorageError."""
    names = (f"{stem}{number}{path.suffix}" for number in ("", *map("-{}".format, range(99))))
    kept = next(each for name in names if not (each := path.with_name(name)).exists())
    try:
        return path.rename(kept)
    except OSError as error:
        raise StorageError(f"{path}: can't be renamed: {error.strerror}.") from error
