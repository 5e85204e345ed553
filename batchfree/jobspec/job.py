"""A job file that was read: its spec, and the environment in which its key is looked up."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batchfree.jobspec import JobSpec, load_spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job: its spec, and the environment in which its key and variables are looked up."""

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
    """Reads a job spec. `overrides` are dotted, as in `limits.concurrency=4`. Raises SpecError with every mistake."""
    environment = os.environ if environment is None else environment
    spec = load_spec(Path(file), overrides=overrides, environment=environment, endpoint=endpoint, output=output)
    return Job(spec=spec, environment=dict(environment))
