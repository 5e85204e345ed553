"""The run folder: what a run leaves behind, and whose it is."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from batchfree.core.chat import Json
from batchfree.core.errors import OutputError, StorageError, unwritable
from batchfree.core.version import __version__
from batchfree.journal.file import FORMAT, Header, Journal, read_header

if TYPE_CHECKING:
    from batchfree.jobspec import JobSpec


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of one run folder."""

    path: Path

    @property
    def journal(self) -> Path:
        """Every attempt."""
        return self.path / "journal.jsonl"

    @property
    def spec(self) -> Path:
        """The spec as it was resolved for the last run."""
        return self.path / "spec.yaml"

    @property
    def lock(self) -> Path:
        """Held while a run is going."""
        return self.path / "lock"

    @property
    def log(self) -> Path:
        """What happened, for machines."""
        return self.path / "log.jsonl"

    def create(self) -> None:
        """Makes the folder. Raises OutputError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(f"{self.path}: the run folder can't be made", error) from error

    def check_owner(self, job: str, file: Path, *, any_format: bool = False) -> None:
        """Raises OutputError where the journal is another job's: of another name, or of another job file still there.

        A journal of another format raises StorageError, unless it is to be set aside.
        """
        header = read_header(self.journal, any_format=any_format)
        if header is None:
            return
        other = (self.path / header.file).resolve()
        if header.job != job or (other != file.resolve() and other.exists()):
            raise OutputError(
                f"{self.path}: this run folder belongs to the job '{header.job}' ({other}); "
                "give one of the two another `run_dir`, `name` or `output`."
            )

    def open_journal(self, spec: JobSpec, input: str) -> Journal:
        """The journal of this job, begun where there is none; `input` is a fingerprint. Raises StorageError."""
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
        """Keeps the resolved spec. Raises StorageError."""
        import yaml

        text = yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True)
        unfinished = self.spec.with_name(".spec.yaml.tmp")
        try:
            unfinished.write_text(text, encoding="utf-8")
            unfinished.replace(self.spec)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink()
            raise unwritable(f"{self.spec}: can't be written", error) from error

    def set_aside(self, now: float) -> Path | None:
        """Keeps an earlier journal under another name, so that the next run starts anew; the name, if there was one."""
        if not self.journal.exists():
            return None
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%S")
        kept = next(
            path
            for path in (self.path / f"journal.{stamp}{suffix}.jsonl" for suffix in ("", *map("-{}".format, range(99))))
            if not path.exists()
        )
        try:
            return self.journal.rename(kept)
        except OSError as error:
            raise StorageError(f"{self.journal}: can't be set aside: {error.strerror}.") from error


class EventLog:
    """`log.jsonl`: one JSON object per event, with its time. What can't be written is left out; it stops no run."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path, self._clock = path, clock

    def write(self, event: str, **facts: Json) -> None:
        """Appends one event, on a line of its own also after one that was torn."""
        at = datetime.fromtimestamp(self._clock(), UTC).isoformat()
        line = json.dumps({"at": at, "event": event, **facts}, default=str).encode() + b"\n"
        with suppress(OSError), self._path.open("a+b") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)
