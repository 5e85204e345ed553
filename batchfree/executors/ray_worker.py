"""What runs on the workers of Ray: the task of a part, and the actor that takes the reports of all parts."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from batchfree.core.errors import BatchfreeError
from batchfree.core.stops import Stopped, StopReason
from batchfree.executors.part_task import PartTask, run_task
from batchfree.executors.whole_run import PartResult
from batchfree.run.progress import Progress

REPORT_TIMEOUT = 10.0
"""Seconds that a part waits until its report is taken."""
LOST_REPORTS = 6
"""Reports in a row that nobody takes, after which a part ends: it may have been started again elsewhere."""
OUT_OF_REACH = Stopped(reason=StopReason.WORKERS_LOST, message="the command that started this part is out of reach")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReport:
    """The progress of a part, and the id of the machine (node of Ray) on which it runs."""

    progress: Progress
    node: str


class Hub:
    """Takes the reports of all parts, as an actor of Ray beside the process that the user started."""

    def __init__(self) -> None:
        self._reports = dict[int, PartReport]()
        self._stopped: Stopped | None = None

    def take(self, part: int, report: PartReport) -> Stopped | None:
        """Takes the report of a part, by its number. Returns why the run is to end, if it is."""
        self._reports[part] = report
        return self._stopped

    def look(self, stopped: Stopped | None) -> dict[int, PartReport]:
        """The last reports of the parts by number; passes on to them why the run is to end."""
        self._stopped = stopped
        return self._reports


def run_part(task: PartTask, hub: Any) -> PartResult | BatchfreeError:
    """The task of Ray. An expected error is a value, since Ray would wrap an exception."""
    ray = import_module("ray")
    assert task.options.part is not None
    number, node, untaken = task.options.part.number, ray.get_runtime_context().get_node_id(), 0

    def report(progress: Progress) -> Stopped | None:
        nonlocal untaken
        try:
            taken = hub.take.remote(number, PartReport(progress=progress, node=node))
            stopped: Stopped | None = ray.get(taken, timeout=REPORT_TIMEOUT)
        except ray.exceptions.RayError:  # the next report may arrive
            untaken += 1
            return None if untaken < LOST_REPORTS else OUT_OF_REACH
        untaken = 0
        return stopped

    try:
        return run_task(task, report)
    except BatchfreeError as error:
        return error
