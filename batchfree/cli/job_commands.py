"""The commands that only read: preview, validate, status, export."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence

from batchfree.cli.load_job import load
from batchfree.cli.terminal import placed, say
from batchfree.core.chat import Json
from batchfree.core.errors import Mistake, MistakesError
from batchfree.core.stops import OK, USAGE


def show(value: Json, indent: int | None = 2) -> None:
    """One JSON value on stdout, in ASCII where stdout is not UTF-8."""
    is_unicode = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    print(json.dumps(value, ensure_ascii=not is_unicode, indent=indent))  # noqa: T201


def preview(arguments: argparse.Namespace) -> int:
    """Prints the request bodies of the first rows."""
    from batchfree.job.preview import bodies

    def unrenderable(row: int, why: str) -> None:
        say(f"warning: row {row + 1} can't be rendered: {why}")

    show(bodies(load(arguments), arguments.rows, unrenderable))
    return OK


def validate(arguments: argparse.Namespace) -> int:
    """Says every mistake, and whether there is one."""
    from batchfree.job.preview import mistakes

    try:
        found: Sequence[Mistake] = mistakes(load(arguments))
    except MistakesError as error:
        found = error.mistakes
    found = [placed(mistake, arguments) for mistake in found]
    if arguments.json:
        listed = [{key: getattr(mistake, key) for key in ("file", "line", "key", "message")} for mistake in found]
        show({"ok": not found, "mistakes": listed})
    else:
        for mistake in found:
            say(f"error: {mistake}")
        if not found:
            say(f"{arguments.job}: no mistakes")
    return USAGE if found else OK


def status(arguments: argparse.Namespace) -> int:
    """Says how far the job is."""
    from batchfree.job.status import status as status_of

    job_status = status_of(load(arguments), time.time())
    if arguments.json:
        show(job_status.to_json())
        return OK
    counts = job_status.counts
    running = "running" if job_status.running else "not running"
    say(f"{job_status.job}: {counts.ok} ok, {counts.failed} failed, {counts.pending} pending; {running}")
    say(f"  {job_status.requests_today} requests this UTC day")
    for kind, rows in sorted(job_status.errors.items()):
        say(f"  {kind}: {rows} rows")
    if job_status.waiting_for and job_status.until:
        until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job_status.until))
        say(f"  waiting for: {job_status.waiting_for}, until {until}")
    return OK


def export(arguments: argparse.Namespace) -> int:
    """Writes the table as it stands."""
    from batchfree.data import output as results
    from batchfree.job.state import reading

    job = load(arguments)
    results.check_writable(job.spec.output.path)
    found = reading(job)
    tally = found.export(job.spec.output.path)
    rows = tally.counts().rows
    for warning in found.warnings:
        say(f"warning: {warning}")
    if arguments.json:
        show({"output": str(job.spec.output.path), "rows": rows})
    else:
        say(f"{rows} rows written to {os.path.relpath(job.spec.output.path)}")
    return OK
