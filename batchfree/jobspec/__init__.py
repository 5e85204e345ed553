"""The job spec: YAML text → frozen, validated values, or every mistake with its file, line and key.

Pure but for `files.py`, which reads the job file and a schema that it names, and `lines.py`, which looks it up again.
"""

from batchfree.jobspec.editor_schema import json_schema
from batchfree.jobspec.load import load_spec
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
    "json_schema",
    "load_spec",
]
