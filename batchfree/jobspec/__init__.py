"""The job file: YAML in; out comes a frozen, validated `JobSpec`, or every mistake with file, line and key.

Imports: core.
Pure: all but env_files, job, loader, near_jobs, schema_file, small_files, spec_files.
"""

from batchfree.jobspec.loader import check_spec, load_default_spec, load_endpoint, load_spec
from batchfree.jobspec.schema import (
    AnswerSpec,
    EndpointSpec,
    InputSpec,
    JobSpec,
    LimitsSpec,
    OutputSpec,
    RetrySpec,
    RouterSpec,
)

__all__ = [
    "AnswerSpec",
    "EndpointSpec",
    "InputSpec",
    "JobSpec",
    "LimitsSpec",
    "OutputSpec",
    "RetrySpec",
    "RouterSpec",
    "check_spec",
    "load_default_spec",
    "load_endpoint",
    "load_spec",
]
