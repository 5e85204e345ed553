"""The summary of a run on stderr."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from batchfree.cli.arguments import RunArguments
from batchfree.cli.outcome_text import head_line, outcome_lines, request_counts
from batchfree.cli.terminal import escape_control_characters, say, with_noun
from batchfree.cli.times import duration, moment, with_local_times
from batchfree.core.stops import NEEDS_A_PERSON, OK, ROWS_FAILED, TRY_LATER, USAGE, StopReason
from batchfree.run.summary import Summary

if TYPE_CHECKING:
    from batchfree.journal.attempts import PilotDecision

ONLY_TIME = {StopReason.QUOTA, StopReason.DEADLINE, StopReason.LOCKED, StopReason.POOL_DOWN}
"""Reasons to stop after which only time is needed. `-q` prints nothing for them."""
MODEL_WIDTH = 40
"""Most characters of a model's id in the sample."""


def print_summary(summary: Summary, arguments: RunArguments, printed: Collection[str] = ()) -> None:
    """Prints the summary; with `-q` only what needs attention. Warnings in `printed` are not repeated."""
    if arguments.quiet:
        for line in quiet_lines(summary, arguments):
            say(line)
        return
    for warning in summary.warnings:
        if warning not in printed:
            say(f"warning: {warning}")
    if not summary.had_nothing_to_do:
        print_sample(summary)
    for line in idle_lines(summary) if summary.had_nothing_to_do else result_lines(summary):
        say(line, wrap=not line.startswith("table: "))
    if summary.stopped is not None and (summary.counts.pending or summary.exit_code not in (OK, ROWS_FAILED)):
        say(f"stopped: {with_local_times(summary.stopped.message, time.time())}")
    for line in next_commands(summary, arguments):
        say(line, wrap=False)


def idle_lines(summary: Summary) -> Iterator[str]:
    """The lines of a run that had nothing to do, with the earlier failures."""
    counts = summary.counts
    table = "" if summary.output is None else f"; the table is {os.path.relpath(summary.output)}"
    failed = f", {counts.failed:,} failed for good" if counts.failed else ""
    yield f"{summary.name}: nothing to do: {counts.ok:,} of {with_noun(counts.rows, 'row')} answered{failed}{table}"
    for kind, rows in sorted(summary.errors.items(), key=lambda item: (-item[1], item[0])):
        yield f"  {kind}: {with_noun(rows, 'row')}"


def quiet_lines(summary: Summary, arguments: RunArguments) -> Iterator[str]:
    """What `-q` prints: nothing if all is well or only time is needed, else a line that says why."""
    stopped, counts, code = summary.stopped, summary.counts, summary.exit_code
    if code == ROWS_FAILED:
        kinds = ", ".join(
            f"{rows:,} {kind}" for kind, rows in sorted(summary.errors.items(), key=lambda item: -item[1])
        )
        yield f"{summary.name}: {counts.failed:,} of {with_noun(counts.rows, 'row')} failed for good: {kinds}"
        yield f"more: batchfree status {shlex.quote(str(arguments.job))}"
    elif code == TRY_LATER and (stopped is None or stopped.reason in ONLY_TIME):
        return
    elif code != OK and stopped is not None:
        yield f"{summary.name}: stopped: {with_local_times(stopped.message, time.time())}"


def print_sample(summary: Summary) -> None:
    """Prints the first rows of the table, as wide as the terminal. Prints nothing if no row is answered."""
    if not summary.counts.ok:
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column("row", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("answer", ratio=1, no_wrap=True, overflow="ellipsis")
    longest = max(len(row.model) for row in summary.sample)
    table.add_column("model", width=min(longest, MODEL_WIDTH), no_wrap=True, overflow="ellipsis")
    for row in summary.sample:
        cells = (row.about, row.answer, row.model)
        table.add_row(*(Text(escape_control_characters(" ".join(cell.split()))) for cell in cells))
    Console(stderr=True, highlight=False).print(table)


def result_lines(summary: Summary) -> Iterator[str]:
    """How many rows are answered, by which models, what failed and why, and where the table is."""
    this, whole = summary.this_run, summary.all_runs
    yield head_line(summary)
    requests = request_counts(this.statistics.requests, this.statistics.without_answer)
    yield f"  this run: {this.ok:,} answered, {this.failed:,} failed; {requests}, in {_seconds(summary.seconds)}"
    if whole.requests > this.statistics.requests:
        yield f"  all runs: {request_counts(whole.requests, whole.without_answer)}"
    yield from outcome_lines(summary)
    if summary.packs is not None:
        yield f"  {summary.packs}"
    if summary.same_alone is not None:
        checked = f"{summary.same_alone}" if summary.same_alone.total else "no row was asked alone yet"
        yield f"  same answer alone as in the pack: {checked}"
    if summary.correct is not None:
        yield f"  correct: {summary.correct}" if summary.correct.total else "  correct: no answer has an expected value"
    if summary.pilot is not None:
        yield from pilot_lines(summary.pilot)
    if summary.is_rehearsal:
        yield (
            "  This is a rehearsal: models named emulated/… are batchfree's own emulation of OpenRouter. "
            "Their answers are not real, and a real run asks these rows again."
        )
    if summary.output is not None:
        yield f"table: {os.path.relpath(summary.output)}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)


def pilot_lines(pilot: PilotDecision) -> Iterator[str]:
    """The models that a pilot kept and left out, and how it ranked them."""
    basis = "expected values" if pilot.is_measured else "agreement with the consensus (estimated)"
    yield f"  pilot: {len(pilot.kept)} of {with_noun(len(pilot.ranking), 'model')} kept, ranked by {basis}"
    yield f"    kept: {', '.join(pilot.kept)}"
    if pilot.left_out:
        yield f"    left out: {', '.join(pilot.left_out)}"


def next_commands(summary: Summary, arguments: RunArguments) -> Iterator[str]:
    """The command to type next, if rows are pending or failed."""
    again = shlex.join(["batchfree", *(word for word in arguments.typed if word != "--fresh")])
    stopped = summary.stopped
    if summary.counts.pending and summary.exit_code not in (NEEDS_A_PERSON, USAGE) and not arguments.limit:
        when = ""
        if stopped is not None and stopped.until is not None and stopped.reason is StopReason.QUOTA:
            when = f" after {moment(stopped.until, time.time())}"
        yield f"next{when}: {again}"
    if summary.exit_code == ROWS_FAILED:
        again = again if arguments.retry_failed else f"{again} --retry-failed"
        yield f"to ask the failed rows again: {again}"
