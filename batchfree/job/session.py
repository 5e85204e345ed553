"""One run of a job, from the lock to the table. Long, because one object holds a run together from end to end."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    contextmanager,
    nullcontext,
)
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread

from batchfree.core.errors import BatchfreeError, DatasetError, Mistake, SpecError, StorageError
from batchfree.core.stops import OUT_OF_MEMORY, Stopped, StopReason
from batchfree.data import output
from batchfree.job.end_run import end_run
from batchfree.job.endpoint import Endpoint
from batchfree.job.hold_job import hold_job
from batchfree.job.open_endpoint import open_endpoint
from batchfree.job.open_job import OpenJob, open_job
from batchfree.job.options import RunOptions
from batchfree.job.reasked import with_reask_warning
from batchfree.job.rounds import Rounds, Tasks
from batchfree.job.state import JobState, read_state
from batchfree.job.summarize import summarize
from batchfree.job.workforce import Workforce
from batchfree.jobspec.job import Job
from batchfree.journal import lock
from batchfree.journal.event_log import EventLog
from batchfree.journal.file import Journal
from batchfree.journal.run_folder import RunFolder
from batchfree.run.progress import Observer, ProgressTracker
from batchfree.run.signals import is_interruption, stop_on_signals
from batchfree.run.summary import Summary, Tally
from batchfree.run.switch import Switch
from batchfree.run.tasks import Task
from batchfree.service.connection import Transport
from batchfree.service.quota.wait_policy import WaitPolicy

GRACE = 30.0
"""Seconds that answers in flight have to arrive after an interruption."""


class Session:
    """One run."""

    def __init__(
        self,
        job: Job,
        options: RunOptions,
        observer: Observer,
        clock: Callable[[], float],
        transport: Transport,
        switch: Switch | None = None,
    ) -> None:
        """`clock` gives epoch seconds; `transport` is None for the network; whoever holds `switch` may end the run."""
        self._job, self._spec, self._options, self._clock = job, job.spec, options, clock
        self._transport = transport
        self._job_folder = RunFolder(job.spec.run_dir)
        self._folder = self._job_folder if options.part is None else self._job_folder.of_part(options.part)
        self._switch = switch or Switch()
        self._tracker = ProgressTracker(observer, EventLog(self._folder.log, clock), clock)

    async def run(self) -> Summary:
        """Answers what is not answered yet and writes the table. Raises BatchfreeError."""
        began = self._clock()
        opened = self._open_checked()
        with ExitStack() as locks:
            holder = locks.enter_context(hold_job(self._job_folder, self._options.part))
            if holder is not None:
                message = f"another run of this job is going: {holder}"
                state = read_state(self._job, opened=opened)
                return self._summary(state, state.counts(), Stopped(reason=StopReason.LOCKED, message=message))
            if self._options.fresh and not await self._start_afresh(locks):
                state = read_state(self._job, opened=opened)
                summary = self._summary(state, state.counts(), stopped := self._switch.stopped)
                return summary if stopped is None else replace(summary, exit_code=stopped.exit_code)
            state = read_state(self._job, opened=opened)
            self._folder.write_spec(self._spec.resolved())
            for warning in (*opened.warnings(), *state.warnings):
                self._tracker.warn(warning)
            async with stop_on_signals(self._switch) if self._options.signals else nullcontext():
                try:
                    await self._answer_or_stop(state)
                    tally = await end_run(state, self._table(), self._switch, in_thread=self._options.signals)
                except BatchfreeError as error:
                    self._tracker.fail(error)
                    raise
            summary = self._summary(state, tally, self._switch.stopped, self._clock() - began)
            self._tracker.end(summary)
            return summary

    def _open_checked(self) -> OpenJob:
        """The open job, once everything that can be checked without a request is right. Raises BatchfreeError."""
        part = self._options.part
        if part is not None and self._options.fresh:
            message = "a part can't set the earlier progress of the others aside; run the whole job with --fresh first"
            raise SpecError([Mistake(key="--fresh", message=message)])
        opened = open_job(self._spec, part)
        if mistakes := opened.dataset.check():
            raise DatasetError(mistakes)
        output.check_names(self._spec, opened.dataset.schema)
        output.check_place(
            self._spec, opened.dataset, protected=self._job.protected, any_plain=self._options.fresh, part=part
        )
        return opened

    async def _answer_or_stop(self, state: JobState) -> None:
        """Like `_answer`. If memory runs out and no row is to blame, the run stops."""
        try:
            await self._answer(state)
        except* MemoryError:
            self._switch.throw(OUT_OF_MEMORY)

    async def _answer(self, state: JobState) -> None:
        """Sends the open rows. Does not use the network if there is nothing to send."""
        self._tracker.start(self._spec.name, self._spec.endpoint.base_url, state.opened.count_to_answer())
        plan = Rounds(state, self._options)
        rounds = (self._round(state, number, tasks) for number, tasks in enumerate(plan.tasks()))
        try:
            with self._open_journal(state) as journal:
                state.index.keep_open()
                for tasks in rounds:
                    plan.first = await self._first(tasks)
                    if plan.first is not None:
                        first_round = itertools.chain([plan.first], tasks)
                        await self._send(state, plan, itertools.chain([first_round], rounds), journal)
        except StorageError as error:
            self._stop_for_disk(error)

    def _round(self, state: JobState, number: int, tasks: Tasks) -> Iterator[Task | None]:
        """The tasks of a round, with None now and then while rows are skipped. The first round counts those rows."""
        if number:
            return (task if isinstance(task, Task) else None for task in tasks)
        return self._tracker.count_skipped(with_reask_warning(tasks, state.opened, state.index, self._tracker.warn))

    async def _first(self, tasks: Iterator[Task | None]) -> Task | None:
        """The first task; None if there is none. Signals are noticed while answered rows are skipped."""
        for task in tasks:
            if task is not None or self._switch.stopped is not None:
                return task
            await anyio.lowlevel.checkpoint()
        return None

    async def _send(
        self, state: JobState, plan: Rounds, rounds: Iterator[Iterator[Task | None]], journal: Journal
    ) -> None:
        """Runs the worker pool, round by round, until all are done or the switch is thrown."""
        async with self._endpoint() as endpoint, anyio.create_task_group() as beside:
            if endpoint is not None:
                beside.start_soon(self._until_disk_fails, journal.keep_synced)
                beside.start_soon(self._until_disk_fails, journal.watch_place)
                beside.start_soon(self._watch_server, endpoint)
                policy = self._wait_policy()
                workforce = Workforce(state, endpoint, journal, policy, switch=self._switch, tracker=self._tracker)
                await plan.join(workforce)
                for tasks in rounds:
                    if self._switch.stopped is not None:
                        break
                    await workforce.run(tasks, self._grace)
                beside.cancel_scope.cancel()

    def _endpoint(self) -> AbstractAsyncContextManager[Endpoint | None]:
        return open_endpoint(self._job, self._clock, self._transport, self._switch, self._tracker.warn)

    async def _watch_server(self, endpoint: Endpoint) -> None:
        """Ends the run if the server that this process has started ends."""
        if endpoint.connection.server is not None:
            end = await endpoint.connection.server.wait_for_end()
            self._switch.throw(Stopped(reason=StopReason.SERVICE_DOWN, message=end))

    async def _until_disk_fails(self, guard: Callable[[], Awaitable[None]]) -> None:
        """Awaits `guard`. A failing disk ends the run, which still waits for the requests in flight."""
        try:
            await guard()
        except StorageError as error:
            self._stop_for_disk(error)

    @contextmanager
    def _open_journal(self, state: JobState) -> Iterator[Journal]:
        """The journal, closed at the end. Raises StorageError if it cannot be opened."""
        journal = self._folder.open_journal(self._spec, state.opened.dataset.input_digest())
        try:
            yield journal
        finally:
            try:
                journal.close()
            except StorageError as error:
                self._stop_for_disk(error)

    def _stop_for_disk(self, error: StorageError) -> None:
        self._switch.throw(Stopped(reason=StopReason.DISK, message=str(error)))

    async def set_aside(self) -> Stopped | None:
        """Sets earlier progress aside, for the runs of parts that follow. Returns the reason if it can't.

        Raises BatchfreeError.
        """
        self._open_checked()
        with ExitStack() as locks:
            holder = locks.enter_context(hold_job(self._job_folder, None))
            if holder is not None:
                return Stopped(reason=StopReason.LOCKED, message=f"another run of this job is going: {holder}")
            await self._start_afresh(locks)
            return self._switch.stopped

    def _table(self) -> Path | None:
        """The path of the table that this run writes; None without one. A part writes only into a folder of parts."""
        part, output = self._options.part, self._spec.output
        if not self._options.table:
            return None
        if part is None:
            return output.path
        return None if output.folder is None else output.folder / part.file

    async def _start_afresh(self, locks: ExitStack) -> bool:
        """Sets earlier progress aside. If the key is missing or refused, returns False and changes nothing."""
        self._folder.check_owner(self._spec.name, self._spec.file, any_format=True)
        if not self._spec.endpoint.is_llama:  # a model on this machine needs no key, and takes long to start
            async with self._endpoint():
                pass
        if self._switch.stopped is not None:
            return False
        kept = self._folder.set_aside(self._clock())
        if kept is not None:
            if not self._folder.journal.exists():
                locks.enter_context(lock.hold_new_journal(self._folder.journal))
            self._tracker.warn(f"starting anew; earlier progress is kept as {kept}")
        return True

    def _wait_policy(self) -> WaitPolicy:
        """What ends the wait for a start. The last request starts early enough for its answer to arrive by `until`."""
        until = self._options.until
        deadline = None if until is None else until - min(GRACE, (until - self._clock()) / 10)
        on_quota, yields = self._options.on_quota or self._spec.limits.on_quota, self._options.yields
        return WaitPolicy(on_quota=on_quota, deadline=deadline, yields=yields)

    def _grace(self, stopped: Stopped) -> float:
        """Seconds that answers in flight have to arrive. The progress shows them."""
        seconds = GRACE if is_interruption(stopped) else self._spec.retry.timeout + GRACE
        if stopped.reason is StopReason.DEADLINE and self._options.until is not None:
            seconds = max(1.0, self._options.until - self._clock())
        self._tracker.stop(stopped, seconds)
        return seconds

    def _summary(self, state: JobState, tally: Tally, stopped: Stopped | None, seconds: float = 0.0) -> Summary:
        return summarize(state, tally, self._options, self._tracker, self._table(), stopped=stopped, seconds=seconds)
