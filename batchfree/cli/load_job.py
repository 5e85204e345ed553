"""From the options of a command to a job."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from batchfree.core.errors import Mistake, SpecError
from batchfree.jobspec import EndpointSpec, load_endpoint
from batchfree.jobspec.job import Job
from batchfree.jobspec.job import load as load_job


def load(arguments: argparse.Namespace) -> Job:
    """The job that the arguments name, with everything that they change. Raises SpecError."""
    return load_job(
        arguments.job,
        overrides=arguments.set,
        environment=environment(arguments.env_file),
        endpoint=getattr(arguments, "endpoint", None),
        output=getattr(arguments, "output", None),
    )


def endpoint_of(arguments: argparse.Namespace, job: Job | None) -> EndpointSpec:
    """The endpoint of the job, else of `--endpoint`, else OpenRouter. Raises SpecError."""
    if job is not None:
        return job.spec.endpoint
    return EndpointSpec() if arguments.endpoint is None else load_endpoint(arguments.endpoint)


def environment(env_file: Path | None) -> Mapping[str, str]:
    """The process's variables, with those of `--env-file` where the process has none. Raises SpecError."""
    if env_file is None:
        return dict(os.environ)
    from dotenv import dotenv_values

    try:
        with env_file.open(encoding="utf-8-sig") as file:
            given = dotenv_values(stream=file, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "this is not UTF-8 text"
        raise SpecError([Mistake(file=str(env_file), key="--env-file", message=f"can't be read: {why}")]) from error
    return {**{name: value for name, value in given.items() if value is not None}, **os.environ}
