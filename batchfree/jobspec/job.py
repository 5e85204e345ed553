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


def load(
    file: str | Path,
    *,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    endpoint: str | None = None,
    output: Path | None = None,
) -> Job:
    """Reads a job file. Raises SpecError with every mistake.

    `overrides` are of the form KEY=VALUE, such as `limits.concurrency=4`. `endpoint` and `output` take the place of the
    job's own. `environment` is that of the process if None.
    """
    environment = os.environ if environment is None else environment
    spec = load_spec(Path(file), overrides=overrides, environment=environment, endpoint=endpoint, output=output)
    return Job(spec=spec, environment=dict(environment))
