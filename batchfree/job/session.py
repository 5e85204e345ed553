"""One run of a job from lock to table."""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext

import anyio
import anyio.lowlevel
import anyio.to_thread

from batchfree.core.errors import DatasetError, StorageError
from batchfree.core.stops import Stopped, StopReason, exit_code
from batchfree.data import output as results
from batchfree.job import reasked as reasking
from batchfree.job.endpoint import Endpoint
from batchfree.job.open_job import open_job
from batchfree.job.options import RunOptions
from batchfree.job.state import Reading, reading
from batchfree.jobspec.job import Job
from batchfree.journal import lock
from batchfree.journal.attempts import Attempt
from batchfree.journal.file import Journal, JournalLine
from batchfree.journal.run_folder import EventLog, RunFolder
from batchfree.run.follow_up import Patience
from batchfree.run.packer import Packs
from batchfree.run.pool import Pool, Switch
from batchfree.run.progress import Observer, Watch
from batchfree.run.sender import Sender
from batchfree.run.signals import heeded, is_interruption
from batchfree.run.summary import Summary, Tally
from batchfree.run.task_queue import Feed
from batchfree.run.tasks import Task
from batchfree.service.connection import Transport, connect, find_api_key
from batchfree.service.router import Router

REMEMBERED = 2_000
"""Attempts of earlier runs from which the health of models is taken."""
GRACE = 30.0
"""Seconds that answers in flight have to land after an interruption."""


class Session:
    """One run."""

    def __init__(
        self, job: Job, options: RunOptions, observer: Observer, clock: Callable[[], float], transport: Transport
    ) -> None:
        self._job, self._spec, self._options, self._clock = job, job.spec, options, clock
        self._transport = transport
        self._folder = RunFolder(job.spec.run_dir)
        self._log = EventLog(self._folder.log, clock)
        self._switch = Switch()
        self._rng = random.Random(job.spec.router.seed)
        self._watch = Watch(0, observer, self._log)
        self._patience = Patience(max_attempts=job.spec.retry.max_attempts, reask=job.spec.answer.reask)

    async def run(self) -> Summary:
        """Answers what is not answered yet and writes the table. Raises BatchfreeError."""
        began = self._clock()
        opened = open_job(self._spec)
        if mistakes := opened.dataset.check():
            raise DatasetError(mistakes)
        results.check_names(self._spec, opened.dataset.schema)
        results.check_writable(self._spec.output.path)
        self._folder.create()
        with lock.hold(self._folder.lock) as holder:
            if holder is not None:
                message = f"another run of this job is going: {holder}"
                found = reading(self._job, opened=opened)
                return self._summary(found, found.counts(), Stopped(reason=StopReason.LOCKED, message=message))
            if self._options.fresh:
                self._set_aside()
            recent = deque[Attempt](maxlen=REMEMBERED)
            found = reading(self._job, recent.append, opened)
            self._folder.write_spec(self._spec.resolved())
            for warning in found.warnings:
                self._watch.warn(warning)
            async with heeded(self._switch) if self._options.signals else nullcontext():
                await self._answer(found, recent)
                tally = await self._exported(found)
            summary = self._summary(found, tally, self._switch.stopped, self._clock() - began)
            self._watch.ended(summary)
            return summary

    async def _exported(self, found: Reading) -> Tally:
        """Writes the table; beside the event loop where a second signal is to be heard meanwhile."""
        if self._options.signals:
            return await anyio.to_thread.run_sync(self._export, found)
        return self._export(found)

    async def _answer(self, found: Reading, recent: Iterable[Attempt]) -> None:
        """Sends what there is to send; touches no network where there is nothing."""
        watch, options, opened = self._watch, self._options, found.opened
        watch.rows(opened.dataset.count())
        tasks = opened.tasks(found.index, retry_failed=options.retry_failed, limit=options.limit)
        announced = watch.counted(reasking.announced(tasks, opened, found.index, watch.warn))
        journal = self._folder.open_journal(self._spec, opened.dataset.input_digest())
        try:
            found.index.keep_open()
            first = await self._first(announced)
            if first is not None:
                await self._connect(found, itertools.chain([first], announced), journal, recent)
        except StorageError as error:
            self._switch.throw(Stopped(reason=StopReason.DISK, message=str(error)))
        finally:
            self._close(journal)

    async def _first(self, tasks: Iterator[Task | None]) -> Task | None:
        """The first task; signals are heeded while rows that are answered are passed over."""
        for task in tasks:
            if task is not None or self._switch.stopped is not None:
                return task
            await anyio.lowlevel.checkpoint()
        return None

    async def _connect(
        self, found: Reading, tasks: Iterator[Task | None], journal: Journal, recent: Iterable[Attempt]
    ) -> None:
        """Opens the connection and sends."""
        if self._spec.endpoint.is_openrouter and find_api_key(self._spec.endpoint, self._job.environment) is None:
            message = f"no API key: set {self._spec.endpoint.api_key_env} in the environment or in --env-file"
            self._switch.throw(Stopped(reason=StopReason.KEY_MISSING, message=message))
            return
        spec = self._spec
        connecting = connect(
            spec.endpoint, self._job.environment, self._clock, spec.limits.concurrency, self._transport
        )
        async with connecting as connection:
            endpoint = Endpoint(spec=spec, connection=connection)
            await self._send(found, tasks, endpoint, journal, recent)

    async def _send(
        self,
        found: Reading,
        tasks: Iterator[Task | None],
        endpoint: Endpoint,
        journal: Journal,
        recent: Iterable[Attempt],
    ) -> None:
        """Runs the worker pool until the feed is done or the switch is thrown."""
        refused = await endpoint.open()
        if refused is not None:
            self._switch.throw(refused)
            return
        router = endpoint.router(self._rng)
        packs = Packs(found.opened.rule, self._patience, self._spec.pack, self._watch.warn)
        for attempt in recent:
            router.remember(attempt)
            packs.learn(attempt)
        sender = self._sender(found, router, packs, endpoint, journal)
        feed = Feed(tasks, lambda: packs.size, packs.company)
        limits, retry = self._spec.limits, self._spec.retry
        pool = Pool(
            feed=feed,
            sender=sender,
            switch=self._switch,
            workers=limits.concurrency,
            max_wait=retry.max_wait,
            rng=self._rng,
        )
        async with anyio.create_task_group() as beside:
            beside.start_soon(self._keep_synced, journal)
            await pool.run(self._grace)
            beside.cancel_scope.cancel()

    async def _keep_synced(self, journal: Journal) -> None:
        """Syncs the journal now and then; a disk that fails ends the run, not the others' requests."""
        try:
            await journal.keep_synced()
        except StorageError as error:
            self._switch.throw(Stopped(reason=StopReason.DISK, message=str(error)))

    def _close(self, journal: Journal) -> None:
        try:
            journal.close()
        except StorageError as error:
            self._switch.throw(Stopped(reason=StopReason.DISK, message=str(error)))

    def _export(self, found: Reading) -> Tally:
        """Writes the table. Raises StorageError, which also says why the run had stopped before that."""
        try:
            return found.export(self._spec.output.path)
        except StorageError as error:
            if self._switch.stopped is None:
                raise
            raise StorageError(f"{self._switch.stopped.message}\n{error}") from error

    def _set_aside(self) -> None:
        self._folder.check_owner(self._spec.name, self._spec.file, any_format=True)
        kept = self._folder.set_aside(self._clock())
        if kept is not None:
            self._watch.warn(f"starting anew; earlier progress is kept as {kept}")

    def _sender(self, found: Reading, router: Router, packs: Packs, endpoint: Endpoint, journal: Journal) -> Sender:
        def recorded(line: JournalLine) -> None:
            found.index.add(line)
            found.measure(line.attempt)
            self._watch.recorded(line.attempt)

        return Sender(
            rule=found.opened.rule,
            patience=self._patience,
            packs=packs,
            router=router,
            rate_limiter=endpoint.rate_limiter(self._options.on_quota, self._deadline(), self._watch.waiting),
            complete=endpoint.completer(self._watch.in_flight),
            journal=journal,
            recorded=recorded,
            stopping=self._switch.event,
            clock=self._clock,
            rng=self._rng,
            seed=self._spec.router.seed,
            any_model=not self._spec.endpoint.is_openrouter,
        )

    def _deadline(self) -> float | None:
        """When the last request may start, so that its answer is there by `until`."""
        until = self._options.until
        return None if until is None else until - min(GRACE, (until - self._clock()) / 10)

    def _grace(self, stopped: Stopped) -> float:
        """Seconds that answers in flight have to land."""
        if stopped.reason is StopReason.DEADLINE and self._options.until is not None:
            return max(1.0, self._options.until - self._clock())
        if is_interruption(stopped):
            return GRACE
        return self._spec.retry.timeout + GRACE

    def _summary(self, found: Reading, tally: Tally, stopped: Stopped | None, seconds: float = 0.0) -> Summary:
        counts, options, progress = tally.counts(), self._options, self._watch.progress
        limit_reached = options.limit is not None and progress.ok + progress.failed >= options.limit
        code = exit_code(stopped, counts, limit_reached=limit_reached, fail_threshold=options.fail_threshold)
        empty = () if counts.rows else ("the input has no rows",)
        return Summary(
            job=self._spec.name,
            stopped=stopped,
            counts=counts,
            requests=progress.requests,
            models=tally.models,
            errors=tally.errors,
            examples=tally.examples,
            output=self._spec.output.path,
            sample=tuple(tally.sample),
            warnings=(*progress.warnings, *empty),
            seconds=seconds,
            exit_code=code,
            packs=found.packs.statistics(),
        )
