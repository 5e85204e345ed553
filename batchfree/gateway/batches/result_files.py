"""The results of a batch: the table of its job, split into a file of answers and a file of failures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from batchfree.gateway.batches.batch_record import FileRecord
from batchfree.gateway.batches.record_store import CONTENT, RecordStore

PURPOSE = "batch_output"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFiles:
    """The ids of the two files; None for a file that would be empty."""

    output: str | None
    errors: str | None


def split_results(table: Path, batch: str, files: RecordStore[FileRecord], now: float) -> ResultFiles:
    """Writes the two files from the job's `.openai.jsonl` table. Raises OSError. `now` in epoch seconds."""
    if not table.exists():
        return ResultFiles(output=None, errors=None)
    return ResultFiles(
        output=_write(table, f"{batch}_output.jsonl", files, now, failed=False),
        errors=_write(table, f"{batch}_error.jsonl", files, now, failed=True),
    )


def _write(table: Path, name: str, files: RecordStore[FileRecord], now: float, *, failed: bool) -> str | None:
    """Writes one file. It replaces a file of the same name, which a crash may have left before its id was noted."""
    old = next((record for record in files.all() if record.filename == name), None)
    if old is not None:
        files.remove(old.id)
    id = files.new_id()
    with files.making(id) as folder:
        size = 0
        with table.open("rb") as lines, (folder / CONTENT).open("wb") as target:
            for line in lines:
                if (json.loads(line).get("error") is not None) is failed:
                    size += target.write(line)
        if not size:
            return None
        files.put(FileRecord(id=id, bytes=size, created_at=int(now), filename=name, purpose=PURPOSE))
    return id
