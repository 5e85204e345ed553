"""The values of the options, as the commands take them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from batchfree.core.parts import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The options that change a job or name the service. `set` holds the texts KEY=VALUE, in the order given."""

    job: Path | None
    set: tuple[str, ...] = ()
    env_file: Path | None = None
    endpoint: str | None = None
    output: Path | None = None
    json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobArguments(Arguments):
    """The arguments of a command that needs a job."""

    job: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewArguments(JobArguments):
    """The arguments of `preview`. `rows`: how many rows to show."""

    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportArguments(JobArguments):
    """The arguments of `report`. `page`: where to write it; None for the place beside the job's output."""

    page: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsArguments(Arguments):
    """The arguments of `models`. `requires`: names of abilities, separated by commas."""

    requires: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeArguments(Arguments):
    """The arguments of `serve`. `max_wait` in seconds."""

    host: str
    port: int
    max_wait: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunArguments(JobArguments):
    """The arguments of `run`.

    `fail_threshold` is in per cent. `until` is the text that was typed. `typed` holds the words behind `batchfree`.
    """

    limit: int | None = None
    retry_failed: bool = False
    fail_threshold: float = 0.0
    fresh: bool = False
    until: str | None = None
    on_quota: Literal["stop", "wait"] | None = None
    progress: str = "auto"
    quiet: bool = False
    verbose: bool = False
    part: Part | None = None
    executor: Literal["local", "ray"] | None = None
    parts: int | None = None
    typed: tuple[str, ...] = ()
