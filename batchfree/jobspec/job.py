"""A job: its spec, and the environment that holds its API key."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batchfree.jobspec import JobSpec, load_spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job: its spec, and the environment variables that hold its API key."""

    spec: JobSpec
    environment: Mapping[str, str] = field(repr=False)
    env_file: Path | None = None
    """The file that some variables of the environment come from."""

    @property
    def protected(self) -> tuple[Path, ...]:
        """Files that no table may replace, beside those that the spec was read from."""
        return () if self.env_file is None else (self.env_file,)


def load(
    file: str | Path,
    *,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    endpoint: str | None = None,
    output: Path | None = None,
    env_file: Path | None = None,
) -> Job:
    """Reads a job file. Raises SpecError with every mistake.

    `overrides` are of the form KEY=VALUE, such as `limits.concurrency=4`. `endpoint` and `output` take the place of the
    job's own. `environment` is that of the process if None. `env_file` is the file
    that some of its variables were read from; no table is written over it.
    """
    environment = os.environ if environment is None else environment
    spec = load_spec(Path(file), overrides=overrides, environment=environment, endpoint=endpoint, output=output)
    return Job(spec=spec, environment=dict(environment), env_file=env_file)
