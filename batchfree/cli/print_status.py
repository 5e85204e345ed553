"""The status of a job on stderr."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from batchfree.cli.outcome_text import head_line, outcome_lines, request_counts
from batchfree.cli.terminal import say, with_noun
from batchfree.cli.times import duration, moment, with_local_times
from batchfree.job.run_history import PastRun
from batchfree.job.status import JobStatus

MESSAGE_WIDTH = 100
"""Most characters of the reason why a run stopped."""


def print_status(status: JobStatus, job: Path, now: float) -> None:
    """Prints how far the job is, its last runs, and what to type next; `now` in epoch seconds."""
    for line in status_lines(status, now):
        say(line)
    for line in next_lines(status, job, now):
        say(line, wrap=False)


def status_lines(status: JobStatus, now: float) -> Iterator[str]:
    """How far the job is, and its last runs."""
    yield head_line(status) + ("; running" if status.running else "; not running")
    if status.waiting_for and status.until:
        yield f"  waiting for: {status.waiting_for}, until {moment(status.until, now)}"
    if status.rehearsed:
        yield (
            f"  {with_noun(status.rehearsed, 'answer')} of rehearsals left out: emulated models count only with the "
            "endpoint of the rehearsal, such as --endpoint embedded"
        )
    if status.statistics.requests:
        requests = request_counts(status.statistics.requests, status.statistics.without_answer)
        yield f"  {requests}, over all runs; {status.requests_today:,} today (UTC)"
    yield from outcome_lines(status)
    if status.packs is not None:
        yield f"  {status.packs}"
    if status.last_runs:
        yield "last runs:"
    for number, run in enumerate(status.last_runs):
        yield f"  {run_text(run, now, is_going=status.running and number == 0)}"


def run_text(run: PastRun, now: float, *, is_going: bool) -> str:
    """When a run began, how long it took, what it did, and how it ended."""
    began = moment(run.started_at, now)
    if run.ended_at is None:
        return f"{began}: running" if is_going else f"{began}: cut off: killed, or left by a second signal"
    took = f"{began}, {duration(run.ended_at - run.started_at)}: {with_noun(run.requests, 'request')}"
    if run.counts is not None:
        took += f"; then {run.counts.ok:,} ok, {run.counts.failed:,} failed, {run.counts.pending:,} pending"
    end = "" if run.exit_code is None else f"; exit code {run.exit_code}"
    why = with_local_times(run.message or "", now)
    why = why if len(why) <= MESSAGE_WIDTH else why[:MESSAGE_WIDTH] + "…"
    return took + end + (f": {why}" if why else "")


def next_lines(status: JobStatus, job: Path, now: float) -> Iterator[str]:
    """The command to type next, if no run of the job is going and rows are pending or failed."""
    if status.running:
        return
    command = f"batchfree run {shlex.quote(str(job))}"
    if status.counts.pending:
        is_quota = status.waiting_for == "quota" and status.until is not None
        when = f" after {moment(status.until, now)}" if is_quota and status.until else ""
        yield f"next{when}: {command}"
    elif status.counts.failed:
        yield f"to ask the failed rows again: {command} --retry-failed"
