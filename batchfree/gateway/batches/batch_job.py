"""The job of one batch: its job file, and its runs. Each run has its own thread, so chat calls never wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
import yaml

from batchfree.core.routes import ROUTERS
from batchfree.core.stops import Counts, Stopped
from batchfree.gateway.batches.batch_record import RequestCounts
from batchfree.job.api import arun
from batchfree.job.options import RunOptions
from batchfree.job.state import read_state
from batchfree.jobspec import JobSpec
from batchfree.jobspec.job import Job, load
from batchfree.run.progress import Progress
from batchfree.run.summary import Summary
from batchfree.run.switch import Switch
from batchfree.service.connection import Transport

JOB_FILE, INPUT, TABLE, RUN = "job.yaml", "input.jsonl", "results.openai.jsonl", "run"
SHARE = 0.8
"""Share of the requests of a minute that batches may use. The rest lets a chat call start within the same minute."""
SECTIONS = ("limits", "retry", "endpoint", "router")
"""Sections that a batch takes over from the job of `serve`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """What the jobs of all batches have in common. `yields`: whether a chat call waits for a start."""

    spec: JobSpec
    environment: Mapping[str, str]
    yields: Callable[[], bool]
    clock: Callable[[], float]
    transport: Transport = None
    server_url: str | None = None
    """The base URL of the server that `serve` itself started; None if it started none. It changes with every start."""


def write_job(folder: Path, spec: JobSpec, model: str) -> None:
    """Writes the job file of a batch whose lines ask for `model`. Raises OSError."""
    job = {
        "name": spec.name,
        "run_dir": RUN,
        "input": {"path": INPUT, "format": "openai-batch"},
        "output": TABLE,
        **spec.model_dump(mode="json", by_alias=True, include=set(SECTIONS)),
    }
    own = spec.router.route is not None and spec.router.route[0] not in ROUTERS
    if not (own and model in ROUTERS):  # else the job of `serve` names the only models that may be asked
        job["router"]["route"] = [model]
    if (per_minute := spec.limits.requests_per_minute) is not None:
        job["limits"]["requests_per_minute"] = max(1, int(SHARE * per_minute))
    (folder / JOB_FILE).write_text(yaml.safe_dump(job, sort_keys=False), encoding="utf-8")


class BatchJob:
    """One run of the job of a batch."""

    def __init__(self, folder: Path, settings: BatchSettings) -> None:
        self._folder, self._settings = folder, settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._switch: Switch | None = None
        self._wanted: Stopped | None = None
        self._before, self.progress = Counts(), Progress(total=0)

    @property
    def counts(self) -> RequestCounts:
        """The requests of the batch, as far as they are counted."""
        total = max(self.progress.total, self._before.rows)
        completed, failed = self._before.ok + self.progress.ok, self._before.failed + self.progress.failed
        return RequestCounts(total=total, completed=completed, failed=failed)

    async def run(self) -> Summary:
        """Answers what is not answered yet. Raises BatchfreeError. A cancellation waits for the end of the run."""
        return await anyio.to_thread.run_sync(self._run)

    def stop(self, stopped: Stopped) -> None:
        """Ends the run once the answers in flight are recorded. May be called from any thread, also before the run."""
        self._wanted = stopped
        if self._loop is not None and self._switch is not None:
            self._loop.call_soon_threadsafe(self._switch.throw, stopped)

    def export(self) -> Path | None:
        """Writes the table as the journal stands, and returns its path; None if the batch has no job yet.

        Raises BatchfreeError.
        """
        if not (self._folder / JOB_FILE).exists():
            return None
        job = self._load()
        read_state(job).export(job.spec.output.path)
        return job.spec.output.path

    def _load(self) -> Job:
        settings = self._settings
        return load(self._folder / JOB_FILE, environment=settings.environment, endpoint=settings.server_url)

    def _run(self) -> Summary:
        job = self._load()
        self._before = read_state(job).counts(brief=True).counts()
        return anyio.run(self._main, job)

    async def _main(self, job: Job) -> Summary:
        self._switch, self._loop = Switch(), asyncio.get_running_loop()
        if self._wanted is not None:
            self._switch.throw(self._wanted)
        options = RunOptions(on_quota="wait", yields=self._settings.yields)
        clock, transport = self._settings.clock, self._settings.transport
        try:
            return await arun(job, options, self._observe, clock, transport, self._switch)
        finally:
            self._loop = None

    def _observe(self, progress: Progress) -> None:
        self.progress = progress
