"""From the arguments of a command to the job, the endpoint and the environment variables that they name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from batchfree.cli.arguments import Arguments
from batchfree.core.errors import Mistake, SpecError
from batchfree.jobspec import EndpointSpec, load_endpoint
from batchfree.jobspec.env_files import read_environment
from batchfree.jobspec.job import CheckedJob, Job, check_job_file
from batchfree.jobspec.job import load as load_job_file


def load_job(path: Path, arguments: Arguments) -> Job:
    """The job of this file, changed by the arguments. Raises SpecError."""
    return load_job_file(
        path,
        overrides=arguments.set,
        endpoint=arguments.endpoint,
        output=arguments.output,
        env_file=arguments.env_file,
    )


def check_job(path: Path, arguments: Arguments) -> CheckedJob:
    """The same job with the mistakes of its file. Raises SpecError if nothing can be read."""
    return check_job_file(
        path,
        overrides=arguments.set,
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


def environment_of(arguments: Arguments, job: Job | None) -> Mapping[str, str]:
    """The environment variables of a job; without a job those of the process and of `--env-file`. Raises SpecError."""
    return read_environment(env_file=arguments.env_file) if job is None else job.environment
