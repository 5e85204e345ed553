"""`batchfree run`."""

from __future__ import annotations

import argparse
import re
from datetime import datetime, timedelta

from batchfree.cli.job_commands import show
from batchfree.cli.load_job import load
from batchfree.cli.print_summary import tell
from batchfree.cli.progress import Observer, observer
from batchfree.cli.terminal import say, talking
from batchfree.core.errors import Mistake, SpecError
from batchfree.job.api import run as run_job
from batchfree.job.options import RunOptions
from batchfree.run.progress import Progress


def run(arguments: argparse.Namespace) -> int:
    """Runs the job and says what came out."""
    job = load(arguments)
    options = RunOptions(
        limit=arguments.limit,
        retry_failed=arguments.retry_failed,
        fail_threshold=arguments.fail_threshold,
        fresh=arguments.fresh,
        until=None if arguments.until is None else deadline(arguments.until, datetime.now()),
        on_quota=arguments.on_quota,
        signals=True,
    )
    said: list[str] = []
    with observer(arguments, job.spec.name) as watch:
        summary = run_job(job, options, watch if arguments.quiet else warning(watch, said))
    if arguments.json:
        show(summary.to_json(), indent=None)
    with talking():
        tell(summary, arguments, said)
    return summary.exit_code


def warning(watch: Observer, said: list[str]) -> Observer:
    """An observer that says warnings when they come, and notes them in `said`."""

    def show(progress: Progress) -> None:
        for text in progress.warnings[len(said) :]:
            said.append(text)
            say(f"warning: {text}")
        watch(progress)

    return show


def deadline(text: str, now: datetime) -> float:
    """`HH:MM` (local time, tomorrow's if past) or a duration such as `1h30m`, in epoch seconds. Raises SpecError."""
    if clock := re.fullmatch(r"(\d{1,2}):(\d{2})", text):
        hour, minute = int(clock[1]), int(clock[2])
        if hour < 24 and minute < 60:
            at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
            return (at if at > now else at + timedelta(days=1)).timestamp()
    elif (span := re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)) and any(span.groups()):
        hours, minutes, seconds = (int(part or 0) for part in span.groups())
        return now.timestamp() + 3600 * hours + 60 * minutes + seconds
    raise SpecError([Mistake(key="--until", message=f"expected HH:MM, 90s, 15m, 2h or 1h30m, got {text!r}")])
