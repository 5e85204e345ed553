"""From the arguments of a command to the job, the endpoint and the environment variables that they name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from batchfree.cli.arguments import Arguments
from batchfree.core.errors import Mistake, SpecError
from batchfree.jobspec import EndpointSpec, load_endpoint
from batchfree.jobspec.job import Job
from batchfree.jobspec.job import load as load_job_file


def load_job(path: Path, arguments: Arguments) -> Job:
    """The job of this file with the changes that the arguments make. Raises SpecError."""
    return load_job_file(
        path,
        overrides=arguments.set,
        environment=environment(arguments.env_file),
        endpoint=arguments.endpoint,
        output=arguments.output,
        env_file=arguments.env_file,
    )


def load_optional_job(arguments: Arguments) -> Job | None:
    """The job if the arguments name one. Raises SpecError."""
    if arguments.job is not None:
        return load_job(arguments.job, arguments)
    if arguments.set:
        raise SpecError([Mistake(key="--set", message="this changes a job: name the job, or leave --set out")])
    return None


def endpoint_of(arguments: Arguments, job: Job | None) -> EndpointSpec:
    """The job's endpoint; without a job that of `--endpoint`; else OpenRouter. Raises SpecError."""
    if job is not None:
        return job.spec.endpoint
    return EndpointSpec() if arguments.endpoint is None else load_endpoint(arguments.endpoint)


def environment(env_file: Path | None) -> Mapping[str, str]:
    """The environment variables, with those of `--env-file` where the process has none. Raises SpecError."""
    if env_file is None:
        return dict(os.environ)
    from dotenv import dotenv_values

    try:
        with env_file.open(encoding="utf-8-sig") as file:
            variables = dotenv_values(stream=file, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "this is not UTF-8 text"
        raise SpecError([Mistake(file=str(env_file), key="--env-file", message=f"can't be read: {why}")]) from error
    return {**{name: value for name, value in variables.items() if value is not None}, **os.environ}
