"""The commands that read a job and send nothing: preview, validate, status, export, report."""

from __future__ import annotations

import os
import time

from batchfree.cli.arguments import JobArguments, PreviewArguments, ReportArguments
from batchfree.cli.error_messages import with_place
from batchfree.cli.load_job import check_job, load_job
from batchfree.cli.terminal import print_json, say, with_noun
from batchfree.core.errors import Mistake, MistakesError
from batchfree.core.stops import OK, USAGE


def warn(text: str) -> None:
    """Prints a warning."""
    say(f"warning: {text}")


def preview(arguments: PreviewArguments) -> int:
    """Prints the request bodies of the first rows."""
    from batchfree.job.preview import bodies

    def unrenderable(row: int, why: str) -> None:
        warn(f"row {row + 1} can't be rendered: {why}")

    print_json(bodies(load_job(arguments.job, arguments), arguments.rows, unrenderable, warn))
    return OK


def validate(arguments: JobArguments) -> int:
    """Prints every mistake in the job, its input and its templates."""
    from batchfree.job.find_mistakes import find_mistakes

    warnings: list[str] = []
    found: list[Mistake] = []
    try:
        checked = check_job(arguments.job, arguments)
        found += checked.mistakes
        if checked.job is not None:
            blamed = {each.key for each in checked.mistakes if each.key is not None}
            found += find_mistakes(checked.job, blamed, warnings.append)
    except MistakesError as error:
        found += error.mistakes
    found = [with_place(mistake, arguments) for mistake in found]
    if arguments.json:
        listed = [{key: getattr(mistake, key) for key in ("file", "line", "key", "message")} for mistake in found]
        print_json({"ok": not found, "mistakes": listed, "warnings": warnings})
    else:
        for warning in warnings:
            warn(warning)
        for mistake in found:
            say(f"error: {mistake}")
        if not found:
            say(f"{arguments.job}: no mistakes")
    return USAGE if found else OK


def status(arguments: JobArguments) -> int:
    """Prints how far the job is."""
    from batchfree.cli.print_status import print_status
    from batchfree.job.status import status as status_of

    job_status = status_of(load_job(arguments.job, arguments), time.time())
    for warning in job_status.warnings:
        warn(warning)
    if arguments.json:
        print_json(job_status.to_json())
        return OK
    print_status(job_status, arguments.job, time.time())
    return OK


def export(arguments: JobArguments) -> int:
    """Writes the table with the answers so far."""
    from batchfree.data import output as results
    from batchfree.job.state import read_state

    job = load_job(arguments.job, arguments)
    found = read_state(job)
    is_named = arguments.output is not None
    results.check_place(job.spec, found.opened.dataset, protected=job.protected, any_plain=is_named)
    tally = found.export(job.spec.output.path)
    rows = tally.counts().rows
    for warning in found.warnings:
        warn(warning)
    if arguments.json:
        print_json({"output": str(job.spec.output.path), "rows": rows})
    else:
        say(f"wrote {with_noun(rows, 'row')} to {os.path.relpath(job.spec.output.path)}")
    return OK


def report(arguments: ReportArguments) -> int:
    """Writes the report."""
    from batchfree.report.write_report import write_report

    job = load_job(arguments.job, arguments)
    written = write_report(job, arguments.page, time.time())
    for warning in written.report.warnings:
        warn(warning)
    if arguments.json:
        print_json(written.to_json())
    else:
        say(f"wrote the report on {with_noun(written.rows, 'row')} to {os.path.relpath(written.path)}")
    return OK
