"""A run of a job on Ray: each part is a task, and this process watches them, stops them, and writes the table.

Ray (ray.io) starts the tasks on the cluster that `RAY_ADDRESS` names, or on this machine. If a worker dies, Ray starts
its task again on another one, which continues from the journal of the part. If this process dies, Ray ends the tasks.
Long, because only this file imports Ray.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import anyio
import anyio.to_thread

from batchfree.core.errors import BatchfreeError, Mistake, SpecError
from batchfree.core.parts import MOST_PARTS, Part
from batchfree.core.stops import NEEDS_A_PERSON, TRY_LATER, USAGE, Stopped, StopReason
from batchfree.core.version import __version__
from batchfree.executors.part_task import PartTask
from batchfree.executors.ray_worker import REPORT_TIMEOUT, Hub, PartReport, run_part
from batchfree.executors.whole_run import PartResult, progress_of, result_of, worst
from batchfree.job.api import single
from batchfree.job.open_job import open_job
from batchfree.job.options import RunOptions
from batchfree.job.session import Session
from batchfree.jobspec.job import Job
from batchfree.jobspec.variables import LEDGER_VARIABLE
from batchfree.run.progress import Observer, Progress
from batchfree.run.signals import stop_on_signals
from batchfree.run.summary import Summary
from batchfree.run.switch import Switch
from batchfree.service.openrouter.catalogue import CACHE_VARIABLE

LOOK_EVERY = 0.5
"""Seconds between two checks of the tasks."""
LOST_WORKERS = 100
"""Times that Ray starts a part again after its worker died."""
LOCKED_TRIES = 5
"""How often a part is tried again if another process seems to run it: a lost worker may take a moment to end."""
LOST_TRIES = 90
"""The same for a part whose machine was lost: after a split of the network its worker goes on there for a while."""
LOOK_FOR_NODES_EVERY = 5.0
"""Seconds between two looks for machines that were lost."""
LOCKED_WAIT = 2.0
"""Seconds until such a part is tried again."""
PASSED_ON = (LEDGER_VARIABLE, "BATCHFREE_STATE_DIR", CACHE_VARIABLE)
"""Environment variables that the workers get, beside that of the API key and those of PostgreSQL (`PG*`)."""


def run_on_ray(job: Job, options: RunOptions, observer: Observer | None) -> Summary:
    """Runs a job in parts on Ray and writes its table. Raises BatchfreeError if nothing can be done."""
    return anyio.run(arun_on_ray, job, options, observer)


async def arun_on_ray(job: Job, options: RunOptions, observer: Observer | None) -> Summary:
    """`run_on_ray` inside a running event loop. A cancellation ends the tasks; the next run continues."""
    try:
        return await run_parts(job, options, observer or _unobserved)
    except BaseExceptionGroup as group:
        raise single(group) from None


async def run_parts(job: Job, options: RunOptions, observer: Observer) -> Summary:
    executor = job.spec.executor
    began, switch = time.time(), Switch()
    rows = open_job(job.spec).dataset.count()
    if options.fresh:
        stopped = await Session(job, options, observer, time.time, None).set_aside()
        if stopped is not None:
            return await _summary(job, options, [PartResult(exit_code=stopped.exit_code, stopped=stopped)])
    async with stop_on_signals(switch) if options.signals else nullcontext():
        ray = await anyio.to_thread.run_sync(_start, job)
        try:
            at_once = int(ray.cluster_resources().get("CPU", 1) / executor.cpus)
            count = executor.parts or max(1, min(MOST_PARTS, at_once))
            watch = _Watch(ray, job, options, observer, rows)
            results = await watch.run(count, executor.cpus, switch)
        finally:
            await anyio.to_thread.run_sync(ray.shutdown)
        summary = await _summary(job, options, results)
    return replace(summary, seconds=time.time() - began)


def _unobserved(progress: Progress) -> None:
    """Ignores the progress of a run that nobody watches."""


def _start(job: Job) -> Any:
    """Ray, connected to its cluster. Raises SpecError if it is not installed, or a shared ledger is missing."""
    if find_spec("ray") is None:
        message = "Ray is not installed here; install it with: pip install 'batchfree[ray]'"
        raise SpecError([Mistake(key="executor", message=message)])
    ray = import_module("ray")
    settings = {} if os.environ.get("RAY_ADDRESS") else {"include_dashboard": False}
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True, **settings)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise SpecError([Mistake(key="executor", message=f"Ray can't be reached: {error}")]) from error
    hosts = {node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
    limits = job.spec.limits
    is_limited = limits.requests_per_minute is not None or limits.requests_per_day is not None
    if len(hosts) > 1 and is_limited and not job.environment.get(LEDGER_VARIABLE):
        ray.shutdown()
        message = (
            f"the workers are on {len(hosts)} hosts, and the limits of the account hold for all of them: name the one "
            f"ledger that they share in {LEDGER_VARIABLE}"
        )
        raise SpecError([Mistake(key="executor", message=message)])
    return ray


class _Watch:
    """Starts the tasks, shows their progress together, and passes a stop on to them."""

    def __init__(self, ray: Any, job: Job, options: RunOptions, observer: Observer, rows: int) -> None:
        self._ray, self._observer, self._rows = ray, observer, rows
        self._job, self._options = _for_workers(job), options
        here = ray.get_runtime_context().get_node_id()
        affinity = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy(here, soft=False)
        self._hub = ray.remote(Hub).options(num_cpus=0, max_restarts=-1, scheduling_strategy=affinity).remote()
        self._tries, self._given_up = dict[Part, int](), set[tuple[Part, str]]()
        self._looked_for_nodes = 0.0

    async def run(self, count: int, cpus: float, switch: Switch) -> list[PartResult]:
        """Runs all parts to their end. Raises the BatchfreeError of a part. A cancellation ends the parts.

        If a part finds that a person is needed, or a mistake, the others are stopped within their grace.
        """
        start, results, error = self._starter(cpus), list[PartResult](), None
        tasks = {start(part): part for part in (Part(number=number, count=count) for number in range(1, count + 1))}
        while tasks:
            for ref in await anyio.to_thread.run_sync(self._finished, list(tasks)):
                part = tasks.pop(ref)
                try:
                    result = await anyio.to_thread.run_sync(self._result, ref)
                except BatchfreeError as raised:
                    error = error or raised
                    switch.throw(Stopped(reason=StopReason.INTERRUPTED, message=str(raised)))
                    continue
                if self._is_to_be_tried_again(part, result) and switch.stopped is None:
                    await anyio.sleep(LOCKED_WAIT)
                    tasks[start(part)] = part
                    continue
                results.append(result)
                if result.exit_code in (NEEDS_A_PERSON, USAGE) and result.stopped is not None:
                    switch.throw(result.stopped)
            reports = await anyio.to_thread.run_sync(self._look, switch.stopped)
            self._observer(progress_of((each.progress for each in reports.values()), self._rows, switch.stopped))
            for ref in await anyio.to_thread.run_sync(self._find_lost, tasks, reports):
                part = tasks.pop(ref)
                tasks[start(part)] = part
            await anyio.sleep(LOOK_EVERY if tasks else 0)
        if error is not None:
            raise error
        return results

    def _starter(self, cpus: float) -> Callable[[Part], Any]:
        remote = self._ray.remote(run_part).options(num_cpus=cpus, max_retries=LOST_WORKERS, retry_exceptions=False)
        limit = self._options.limit

        def start(part: Part) -> Any:
            each = replace(
                self._options, part=part, limit=None if limit is None else part.share(limit), signals=False, fresh=False
            )
            return remote.remote(PartTask(job=self._job, options=each, version=__version__), self._hub)

        return start

    def _finished(self, tasks: list[Any]) -> list[Any]:
        ready, _ = self._ray.wait(tasks, num_returns=len(tasks), timeout=0)
        return list(ready)

    def _result(self, ref: Any) -> PartResult:
        try:
            result = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError:
            raise
        except self._ray.exceptions.RayError as error:
            message = f"a part was given up, since its workers died: {str(error).splitlines()[0]}"
            return PartResult(exit_code=TRY_LATER, stopped=Stopped(reason=StopReason.WORKERS_LOST, message=message))
        if isinstance(result, BatchfreeError):
            raise result
        assert isinstance(result, PartResult)
        return result

    def _is_to_be_tried_again(self, part: Part, result: PartResult) -> bool:
        if result.stopped is None or result.stopped.reason is not StopReason.LOCKED:
            return False
        self._tries[part] = self._tries.get(part, 0) + 1
        was_lost = any(part == lost for lost, _ in self._given_up)
        return self._tries[part] <= (LOST_TRIES if was_lost else LOCKED_TRIES)

    def _find_lost(self, tasks: Mapping[Any, Part], reports: Mapping[int, PartReport]) -> list[Any]:
        """The tasks on machines that Ray has lost, each given up.

        Ray itself starts a task again as soon as its connection breaks. If the network was split, nothing breaks it,
        and Ray would wait for about seven minutes.
        """
        if time.monotonic() - self._looked_for_nodes < LOOK_FOR_NODES_EVERY:
            return []
        self._looked_for_nodes = time.monotonic()
        dead = {node["NodeID"] for node in self._ray.nodes() if not node["Alive"]}
        lost = list[Any]()
        for ref, part in tasks.items():
            report = reports.get(part.number)
            if report is not None and report.node in dead and (part, report.node) not in self._given_up:
                self._given_up.add((part, report.node))
                self._ray.cancel(ref, force=True)
                lost.append(ref)
        return lost

    def _look(self, stopped: Stopped | None) -> dict[int, PartReport]:
        try:
            found: dict[int, PartReport] = self._ray.get(self._hub.look.remote(stopped), timeout=REPORT_TIMEOUT)
        except self._ray.exceptions.RayError:  # the actor is started again
            return {}
        return found


def _for_workers(job: Job) -> Job:
    """The job with only those environment variables that the workers need."""
    names = (job.spec.endpoint.api_key_env, *PASSED_ON)
    needed = {name: value for name, value in job.environment.items() if name in names or name.startswith("PG")}
    return replace(job, environment=needed)


async def _summary(job: Job, options: RunOptions, results: list[PartResult]) -> Summary:
    """The summary of the whole run. Writes the table, except in a folder of parts, which the workers wrote."""
    only_table = RunOptions(limit=0, fail_threshold=options.fail_threshold, table=job.spec.output.folder is None)
    summary = await Session(job, only_table, _unobserved, time.time, None).run()
    bad, done = worst(results), result_of(results)
    warnings = dict.fromkeys(warning for each in results for warning in each.warnings)
    return replace(
        summary,
        exit_code=summary.exit_code if summary.stopped is not None else bad.exit_code,
        stopped=summary.stopped or bad.stopped,
        requests=done.statistics.requests,
        this_run=done,
        warnings=tuple(warnings),
    )
