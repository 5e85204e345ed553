"""Run whole datasets through free language models: paced, resumable, every row with the model that answered it.

import batchfree

job = batchfree.load("jobs/quickstart.yaml")
summary = batchfree.run(job)
table = batchfree.table(job)
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from batchfree.core.errors import (
    BatchfreeError,
    DatasetError,
    Mistake,
    MistakesError,
    OutputError,
    SpecError,
    StorageError,
    UnavailableError,
)
from batchfree.core.version import __version__

if TYPE_CHECKING:
    from batchfree.cli.notebook import arun
    from batchfree.core.stops import Counts, Stopped
    from batchfree.executors.run_job import run
    from batchfree.job.api import table
    from batchfree.job.options import RunOptions
    from batchfree.jobspec.job import Job, load
    from batchfree.run.progress import Progress
    from batchfree.run.summary import Summary

__all__ = [
    "BatchfreeError",
    "Counts",
    "DatasetError",
    "Job",
    "Mistake",
    "MistakesError",
    "OutputError",
    "Progress",
    "RunOptions",
    "SpecError",
    "Stopped",
    "StorageError",
    "Summary",
    "UnavailableError",
    "__version__",
    "arun",
    "load",
    "run",
    "table",
]

_LATE = {
    "arun": "batchfree.cli.notebook",
    "run": "batchfree.executors.run_job",
    "table": "batchfree.job.api",
    **dict.fromkeys(("Job", "load"), "batchfree.jobspec.job"),
    "RunOptions": "batchfree.job.options",
    **dict.fromkeys(("Counts", "Stopped"), "batchfree.core.stops"),
    "Progress": "batchfree.run.progress",
    "Summary": "batchfree.run.summary",
}
"""The modules of the names that are imported when they are first used, since these modules load polars and pydantic."""


def __dir__() -> list[str]:
    return __all__


def _late(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'batchfree' has no attribute {name!r}")
    return getattr(importlib.import_module(_LATE[name]), name)


if not TYPE_CHECKING:  # a type checker that saw this function would accept every name
    __getattr__ = _late


class _Package(ModuleType):
    """Keeps `batchfree.run` the function: Python sets that attribute to the room `run/` when the room is imported."""

    @property
    def run(self) -> Any:
        return _late("run")

    @run.setter
    def run(self, room: ModuleType) -> None:
        """Ignores the room; `from batchfree.run import …` finds it in sys.modules."""


sys.modules[__name__].__class__ = _Package
