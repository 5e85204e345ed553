"""A job: its spec, and the environment that holds its API key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batchfree.core.errors import Mistake
from batchfree.jobspec import JobSpec, check_spec, load_spec
from batchfree.jobspec.env_files import env_file_beside, read_environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job: its spec, and the environment variables that hold its API key."""

    spec: JobSpec
    environment: Mapping[str, str] = field(repr=False)
    env_file: Path | None = None
    """The file that `--env-file` names."""

    @property
    def protected(self) -> tuple[Path, ...]:
        """Files that no table may replace, beside those that the spec was read from."""
        beside = env_file_beside(self.spec.file)
        return (beside,) if self.env_file is None else (beside, self.env_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedJob:
    """A job and the mistakes of its file. Wrong values are left out of the job; None if too little is left."""

    job: Job | None
    mistakes: tuple[Mistake, ...]


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

    `overrides` are of the form KEY=VALUE, such as `limits.concurrency=4`. `endpoint` and `output` replace the job's
    own. If `environment` is None, the variables come from the process, from `env_file` and from the `.env` beside the
    job file, in this order. No table is written over these two files.
    """
    environment = read_environment(Path(file), env_file) if environment is None else environment
    spec = load_spec(Path(file), overrides=overrides, environment=environment, endpoint=endpoint, output=output)
    return Job(spec=spec, environment=dict(environment), env_file=env_file)


def check_job_file(
    file: Path,
    *,
    overrides: Sequence[str] = (),
    endpoint: str | None = None,
    output: Path | None = None,
    env_file: Path | None = None,
) -> CheckedJob:
    """Reads a job file as `load` does, and keeps its mistakes. Raises SpecError if nothing can be read."""
    environment = read_environment(file, env_file)
    found = check_spec(file, overrides=overrides, environment=environment, endpoint=endpoint, output=output)
    job = None if found.spec is None else Job(spec=found.spec, environment=dict(environment), env_file=env_file)
    return CheckedJob(job=job, mistakes=found.mistakes)
