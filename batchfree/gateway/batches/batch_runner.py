"""Takes every batch through its states: checks its file, runs its job until nothing is pending, writes its results."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio
import anyio.to_thread
import msgspec
from anyio.abc import TaskGroup

from batchfree.core.errors import BatchfreeError, StorageError
from batchfree.core.stops import Stopped, StopReason
from batchfree.gateway.batches.batch_job import INPUT, BatchJob, BatchSettings, write_job
from batchfree.gateway.batches.batch_lines import LineChecker
from batchfree.gateway.batches.batch_record import (
    OPEN,
    BatchRecord,
    BatchStatus,
    FileRecord,
    LineMistake,
    RequestCounts,
)
from batchfree.gateway.batches.record_store import CONTENT, RecordStore
from batchfree.gateway.batches.result_files import split_results
from batchfree.job.endpoint import routing_policy
from batchfree.journal.event_log import EventLog
from batchfree.run.summary import Summary
from batchfree.service.unless import unless

AT_ONCE = 4
"""Most batches that run at a time. The others wait in the order in which they came."""
RUN_AGAIN_S = 60.0
"""Seconds until a batch with pending requests runs again, if its run named no time. Doubled after every run."""
LONGEST_PAUSE_S = 900.0
"""The longest such pause, in seconds."""
FOR_A_PERSON_S = 600.0
"""Seconds until a batch runs again after it stopped for a person, or because the disk was full."""
FATAL = (StopReason.REFUSED, StopReason.REQUEST, StopReason.INPUT, StopReason.CHARGED)
"""Reasons that end a batch as failed, since another run would only spend requests or money."""


class BatchRunner:
    """Works on all batches that are not done."""

    def __init__(
        self,
        *,
        batches: RecordStore[BatchRecord],
        files: RecordStore[FileRecord],
        settings: BatchSettings,
        charged: Callable[[Stopped], None],
        log: EventLog,
    ) -> None:
        """`charged` is called when an answer had a price."""
        self._batches, self._files, self._settings = batches, files, settings
        self._charged, self._log, self.clock = charged, log, settings.clock
        self.running: dict[str, BatchJob] = {}
        self._cancels: dict[str, anyio.Event] = {}
        self._room = anyio.Semaphore(AT_ONCE)
        self._stopping = anyio.Event()
        self._tasks: TaskGroup | None = None

    async def run(self) -> None:
        """Continues every open batch, and works on new ones until `stop`. A cancellation waits for running jobs."""
        async with anyio.create_task_group() as self._tasks:
            for record in reversed(self._batches.all()):
                if record.status in OPEN:
                    self.begin(record.id)
            await self._stopping.wait()

    def begin(self, id: str) -> None:
        """Begins to work on a batch."""
        self._cancels[id] = anyio.Event()
        assert self._tasks is not None, "batches come while the runner runs"
        self._tasks.start_soon(self._work, id)

    def cancel(self, id: str) -> BatchRecord:
        """Cancels an open batch. Requests in flight still get their answers, and all answers stay. Raises OSError."""
        record = self._move(id, "cancelling")
        self._cancels[id].set()
        if (job := self.running.get(id)) is not None:
            job.stop(Stopped(reason=StopReason.INTERRUPTED, message="the batch was cancelled"))
        return record

    def now(self, record: BatchRecord) -> BatchRecord:
        """The batch with the counts of its run, if it runs."""
        job = self.running.get(record.id)
        counts = record.counts if job is None else job.counts
        return msgspec.structs.replace(record, counts=counts) if counts.total else record

    def stop(self) -> None:
        """Ends all runs. The batches continue when `serve` starts again."""
        self._stopping.set()
        for job in self.running.values():
            job.stop(Stopped(reason=StopReason.TERMINATED, message="`serve` ends"))

    async def _work(self, id: str) -> None:
        """Takes one batch from its present state to its end. If the disk is full, it tries again later."""
        pause = RUN_AGAIN_S
        while not self._stopping.is_set() and (record := self._record(id)).status in OPEN:
            try:
                if record.status == "validating":
                    await self._check(id)
                elif record.status == "in_progress":
                    pause = await self._run_once(id, pause)
                else:
                    await self._finish(id, "cancelled" if record.status == "cancelling" else "completed")
            except (OSError, StorageError) as error:
                self._log.write("batch_waits", batch=id, message=str(error))
                await self._pause(id, FOR_A_PERSON_S)
        self._cancels.pop(id, None)

    async def _check(self, id: str) -> None:
        """Checks the lines of the input file, and makes the job of the batch."""
        checker = await anyio.to_thread.run_sync(self._check_lines, id)
        counts = RequestCounts(total=checker.lines)
        if mistakes := checker.end():
            self._change(id, errors=tuple(mistakes), counts=RequestCounts())
            self._move(id, "failed")
            return
        self._change(id, route=checker.model, counts=counts)
        if self._record(id).status == "validating":  # else it was cancelled meanwhile
            self._move(id, "in_progress")

    def _check_lines(self, id: str) -> LineChecker:
        folder, record = self._batches.folder(id), self._record(id)
        checker = LineChecker(allowed=routing_policy(self._settings.spec).ids)
        source = self._files.folder(record.input_file_id) / CONTENT
        if not source.exists():
            checker.mistakes.append(LineMistake(code="file_not_found", message="the input file was deleted"))
            return checker
        with source.open("rb") as lines, (folder / INPUT).open("wb") as target:
            for number, raw in enumerate(lines, 1):
                target.write(checker.take(raw, number) or b"")
                if checker.has_enough:
                    break
        if not checker.mistakes and checker.model is not None:
            write_job(folder, self._settings.spec, checker.model)
        return checker

    async def _run_once(self, id: str, pause: float) -> float:
        """Runs the job once, and pauses if requests are pending. Returns the pause after the next run, in seconds."""
        if not await self._take_room(id):
            return pause
        job = self.running[id] = BatchJob(self._batches.folder(id), self._settings)
        try:
            summary = await job.run()
        except StorageError:
            raise
        except BatchfreeError as error:
            await self._fail(id, "job_failed", str(error))
            return pause
        finally:
            del self.running[id]
            self._room.release()
        counts = summary.counts
        requests = RequestCounts(total=counts.rows, completed=counts.ok, failed=counts.failed)
        self._change(id, counts=requests)
        self._log.write("batch_ran", batch=id, **dict(counts), stopped=summary.stopped and summary.stopped.reason)
        return await self._follow(id, summary, pause)

    async def _follow(self, id: str, summary: Summary, pause: float) -> float:
        """Fails or finishes the batch after a run, or pauses. Returns the pause after the next run, in seconds."""
        stopped = summary.stopped
        if stopped is not None and stopped.reason is StopReason.CHARGED:
            self._charged(stopped)
        if self._stopping.is_set() or self._record(id).status != "in_progress":
            return pause
        if stopped is not None and stopped.reason in FATAL:
            await self._fail(id, str(stopped.reason), stopped.message)
        elif not summary.counts.pending:
            self._move(id, "finalizing")
        else:
            await self._pause(id, _seconds_to_next_run(stopped, self.clock(), pause))
        return min(2 * pause, LONGEST_PAUSE_S)

    async def _take_room(self, id: str) -> bool:
        """Waits until the batch may run. Returns False if the batch was cancelled or everything stopped meanwhile."""
        taken = False

        async def take() -> None:
            nonlocal taken
            await self._room.acquire()
            taken = True

        await unless(self._stopping, partial(unless, self._cancels[id], take))
        if taken and (self._stopping.is_set() or self._cancels[id].is_set()):
            self._room.release()
            return False
        return taken

    async def _pause(self, id: str, seconds: float) -> None:
        """Sleeps, at most until the batch is cancelled or everything stops."""
        await unless(self._stopping, partial(unless, self._cancels[id], partial(anyio.sleep, seconds)))

    async def _fail(self, id: str, code: str, message: str) -> None:
        self._change(id, errors=(LineMistake(code=code, message=message),))
        await self._finish(id, "failed")

    async def _finish(self, id: str, status: BatchStatus) -> None:
        """Writes the results and ends the batch."""
        await anyio.to_thread.run_sync(self._write_results, id)
        self._move(id, status)
        self._log.write("batch_ended", batch=id, status=status)

    def _write_results(self, id: str) -> None:
        try:
            table = BatchJob(self._batches.folder(id), self._settings).export()
        except StorageError:
            raise
        except BatchfreeError:  # a job that can't be opened has no results
            table = None
        if table is not None:
            results = split_results(table, id, self._files, self.clock())
            self._change(id, output_file_id=results.output, error_file_id=results.errors)

    def _record(self, id: str) -> BatchRecord:
        record = self._batches.get(id)
        assert record is not None, "batches are never removed"
        return record

    def _change(self, id: str, **fields: object) -> None:
        self._batches.change(id, lambda record: msgspec.structs.replace(record, **fields))

    def _move(self, id: str, status: BatchStatus) -> BatchRecord:
        return self._batches.change(id, lambda record: record.moved_to(status, self.clock()))


def _seconds_to_next_run(stopped: Stopped | None, now: float, pause: float) -> float:
    """Seconds until a batch with pending requests runs again."""
    if stopped is not None and stopped.until is not None:
        return max(1.0, stopped.until - now)
    return FOR_A_PERSON_S if stopped is not None and stopped.exit_code == 3 else pause
