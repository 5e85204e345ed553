"""The command `run`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from batchfree.cli.arguments import RunArguments
from batchfree.cli.load_job import load_job
from batchfree.cli.print_summary import print_summary
from batchfree.cli.show_progress import show_progress
from batchfree.cli.terminal import ignore_closed_terminal, print_json, say
from batchfree.cli.times import seconds_in
from batchfree.core.errors import Mistake, SpecError
from batchfree.job.api import run as run_job
from batchfree.job.options import RunOptions
from batchfree.run.progress import Observer, Progress


def run(arguments: RunArguments) -> int:
    """Runs the job and prints the summary."""
    job = load_job(arguments.job, arguments)
    options = RunOptions(
        limit=arguments.limit,
        retry_failed=arguments.retry_failed,
        fail_threshold=arguments.fail_threshold,
        fresh=arguments.fresh,
        until=None if arguments.until is None else deadline(arguments.until, datetime.now()),
        on_quota=arguments.on_quota,
        signals=True,
        part=arguments.part,
    )
    printed: list[str] = []
    with show_progress(arguments, job.spec.name) as observer:
        summary = run_job(job, options, observer if arguments.quiet else with_warnings(observer, printed))
    if arguments.json:
        print_json(summary.to_json(), indent=None)
    with ignore_closed_terminal():
        print_summary(summary, arguments, printed)
    return summary.exit_code


def with_warnings(observer: Observer, printed: list[str]) -> Observer:
    """An observer that also prints each warning at once, and adds it to `printed`."""

    def observe(progress: Progress) -> None:
        for text in progress.warnings[len(printed) :]:
            printed.append(text)
            say(f"warning: {text}")
        observer(progress)

    return observe


def deadline(text: str, now: datetime) -> float:
    """The moment that `--until` names, in epoch seconds. Raises SpecError.

    `HH:MM` is local time, tomorrow's if it is past. Anything else is a duration such as `1h30m`.
    """
    if clock := re.fullmatch(r"(\d{1,2}):(\d{2})", text):
        hour, minute = int(clock[1]), int(clock[2])
        if hour < 24 and minute < 60:
            at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
            return (at if at > now else at + timedelta(days=1)).timestamp()
    elif (seconds := seconds_in(text)) is not None:
        return now.timestamp() + seconds
    raise SpecError([Mistake(key="--until", message=f"expected HH:MM, 90s, 15m, 2h or 1h30m, got {text!r}")])
