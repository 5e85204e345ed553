"""The summary of a run, as a person reads it."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Collection, Iterator

from batchfree.cli.terminal import plain, say
from batchfree.core.stops import NEEDS_A_PERSON, OK, ROWS_FAILED, StopReason
from batchfree.run.summary import Summary

MODEL_WIDTH = 40
"""Characters of a model's id that are shown in the sample."""
WIDEST = 60
"""Characters of an error that are shown."""


def tell(summary: Summary, arguments: argparse.Namespace, said: Collection[str] = ()) -> None:
    """Says what came out: the whole of it, or with `-q` the reason of an early stop only; `said` are warnings that the
    person has read already."""
    if not arguments.quiet:
        for warning in summary.warnings:
            if warning not in said:
                say(f"warning: {warning}")
        show_sample(summary)
        for line in lines(summary):
            say(line)
    if summary.stopped is not None and (summary.counts.pending or summary.exit_code not in (OK, ROWS_FAILED)):
        say(f"stopped: {summary.stopped.message}")
    if not arguments.quiet:
        for line in what_next(summary, arguments):
            say(line)


def show_sample(summary: Summary) -> None:
    """The first rows of the table, as wide as the terminal."""
    if not summary.counts.ok:
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column("row", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("answer", ratio=1, no_wrap=True, overflow="ellipsis")
    widest = max(len(row.model) for row in summary.sample)
    table.add_column("model", width=min(widest, MODEL_WIDTH), no_wrap=True, overflow="ellipsis")
    for row in summary.sample:
        table.add_row(*(Text(plain(" ".join(text.split()))) for text in (row.about, row.answer, row.model)))
    Console(stderr=True, highlight=False).print(table)


def lines(summary: Summary) -> Iterator[str]:
    """What came out, who answered, what failed and why."""
    counts = summary.counts
    yield (
        f"{summary.job}: {counts.ok} of {counts.rows} rows answered, {counts.failed} failed, {counts.pending} pending; "
        f"{summary.requests} requests in {summary.seconds:.1f} s"
    )
    width = max((len(model) for model in summary.models), default=0)
    for model, rows in sorted(summary.models.items(), key=lambda item: (-item[1], item[0])):
        yield f"  {model:<{width}}  {rows:>6} row{'s' * (rows != 1)}"
    for kind, rows in sorted(summary.errors.items(), key=lambda item: (-item[1], item[0])):
        example = summary.examples.get(kind, "")
        example = example if len(example) <= WIDEST else example[:WIDEST] + "…"
        yield f"  {kind}: {rows} row{'s' * (rows != 1)}, e.g. {example}"
    if summary.packs is not None:
        yield f"  {summary.packs}"
    if any(model.startswith("emulated/") for model in summary.models):
        yield "  Models named emulated/… are the OpenRouter emulation inside batchfree: a rehearsal, no real answers."
        yield "  They stand until you start anew: --fresh asks every row again."
    if summary.output is not None:
        yield f"table: {os.path.relpath(summary.output)}"


def what_next(summary: Summary, arguments: argparse.Namespace) -> Iterator[str]:
    """What to type next, where there is something to do."""
    again = shlex.join(["batchfree", *(each for each in sys.argv[1:] if each != "--fresh")])
    stopped = summary.stopped
    if summary.counts.pending and summary.exit_code != NEEDS_A_PERSON and not arguments.limit:
        when = ""
        if stopped is not None and stopped.until is not None and stopped.reason is StopReason.QUOTA:
            when = time.strftime(" after %Y-%m-%d %H:%M", time.localtime(stopped.until))
        yield f"next{when}: {again}"
    if summary.exit_code == ROWS_FAILED:
        again = again if "--retry-failed" in sys.argv else f"{again} --retry-failed"
        yield f"to ask the failed rows again: {again}"
