"""The summary of a run, from the state of the job and the progress of the run."""

from __future__ import annotations

from pathlib import Path

from batchfree.core.stops import Stopped, exit_code
from batchfree.job.options import RunOptions
from batchfree.job.state import JobState
from batchfree.quality.intervals import Proportion
from batchfree.run.progress import ProgressTracker
from batchfree.run.summary import RunResult, Summary, Tally


def summarize(
    state: JobState,
    tally: Tally,
    options: RunOptions,
    tracker: ProgressTracker,
    table: Path | None,
    *,
    stopped: Stopped | None,
    seconds: float,
) -> Summary:
    """The summary of a run that took so many seconds. `tally` counts the rows of the table at the path `table`.

    `stopped` is the reason why the run ended early; None if it did not. Long, because each fact has a line.
    """
    spec, progress, part = state.opened.spec, tracker.progress, options.part
    return Summary(
        job=spec.name,
        part=None if part is None else str(part),
        stopped=stopped,
        counts=tally.counts(),
        requests=progress.requests,
        models=tally.models,
        errors=tally.errors,
        examples=tally.examples,
        output=table,
        labels=tally.labels,
        this_run=RunResult(ok=progress.ok, failed=progress.failed, statistics=tracker.statistics),
        all_runs=state.requests,
        sample=tuple(tally.sample),
        warnings=(*progress.warnings, *_empty(tally, options)),
        seconds=seconds,
        exit_code=_exit_code(state, tally, options, tracker, stopped),
        packs=state.packs.statistics(),
        correct=None if spec.expected is None else Proportion(count=tally.correct, total=tally.scored),
        pilot=state.pilots[-1] if state.pilots else None,
        same_alone=state.same_alone(),
    )


def _empty(tally: Tally, options: RunOptions) -> tuple[str, ...]:
    """The warning about a job or a part without rows."""
    if tally.counts().rows:
        return ()
    return ("the input has no rows" if options.part is None else "this part has no rows",)


def _exit_code(
    state: JobState, tally: Tally, options: RunOptions, tracker: ProgressTracker, stopped: Stopped | None
) -> int:
    finished = tracker.progress.ok + tracker.progress.failed
    return exit_code(
        stopped,
        tally.counts(),
        limit_reached=options.limit is not None and finished >= options.limit,
        fail_threshold=options.fail_threshold,
        may_ask_more=tally.may_get_votes or state.checks.is_open,
    )
