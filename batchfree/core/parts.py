"""The parts of a job: a run may answer one of N parts, and other runs, also on other machines, answer the others.

The digest of a question says to which part it belongs. So equal questions are always in the same part, and every
machine and every version of every library divides a job in the same way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_PARTS = 512
"""The journals of all parts and their locks are open at the same time, and some systems allow few open files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of `count` parts; `number` counts from one."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def folder(self) -> str:
        """The name of the part's folder."""
        return f"{self.number}-of-{self.count}"

    @property
    def file(self) -> str:
        """The name of the part's file in an output that is a folder."""
        return f"part-{self.folder}.parquet"

    def has(self, question: str | None) -> bool:
        """Whether a question, by its digest, is in this part. Rows without a question are in the first part."""
        return (0 if question is None else int(question, 16) % self.count) == self.number - 1

    def share(self, rows: int) -> int:
        """The expected number of rows in this part, if the job has `rows` rows. Over all parts the sum is `rows`."""
        return rows // self.count + (self.number <= rows % self.count)


WHOLE = Part(number=1, count=1)
"""A whole job, as the only part."""


def table_path(output: str) -> str:
    """The path of the table. For a folder, which ends in `/`, it is the path of a whole run's file in the folder."""
    return output + WHOLE.file if output.endswith("/") else output


def parse_part(text: str) -> Part | None:
    """The part that a text such as `2/8` names; None if it names none."""
    return _part(re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip()))


def part_of_file(name: str) -> Part | None:
    """The part whose file in an output folder has this name; None if it is no name of such a file."""
    return _part(re.fullmatch(r"part-(\d{1,6})-of-(\d{1,6})\.parquet", name))


def part_of_folder(name: str) -> Part | None:
    """The part whose folder has this name; None if it is no name of such a folder."""
    return _part(re.fullmatch(r"(\d{1,6})-of-(\d{1,6})", name))


def _part(found: re.Match[str] | None) -> Part | None:
    if found is None:
        return None
    number, count = int(found[1]), int(found[2])
    return Part(number=number, count=count) if 1 <= number <= count <= MOST_PARTS else None
