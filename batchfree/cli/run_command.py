"""The command `run`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from datetime import datetime, timedelta
from io import StringIO

from batchfree.cli.arguments import RunArguments
from batchfree.cli.load_job import load_job
from batchfree.cli.print_summary import print_summary
from batchfree.cli.show_progress import show_progress
from batchfree.cli.terminal import ignore_closed_terminal, print_json, say
from batchfree.cli.times import seconds_in
from batchfree.core.errors import Mistake, SpecError
from batchfree.core.parts import MOST_PARTS
from batchfree.executors.run_job import run as run_job
from batchfree.job.options import RunOptions
from batchfree.jobspec.job import Job
from batchfree.run.progress import Observer, Progress


def run(arguments: RunArguments) -> int:
    """Runs the job and prints the summary."""
    job = with_executor(load_job(arguments.job, arguments), arguments)
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
    with clean_stdout(job), show_progress(arguments, job.spec.name) as observer:
        watching = observer if arguments.quiet else with_warnings(observer, printed)
        summary = run_job(job, options, watching)
    if arguments.json:
        print_json(summary.to_json(), indent=None)
    with ignore_closed_terminal():
        print_summary(summary, arguments, printed)
    return summary.exit_code


@contextmanager
def clean_stdout(job: Job) -> Iterator[None]:
    """Drops what Ray prints to stdout inside the block: it reports every dead worker there, and has no setting for it.

    batchfree itself prints nothing to stdout during a run.
    """
    if job.spec.executor.name != "ray":
        yield
        return
    with redirect_stdout(StringIO()):
        yield


def with_executor(job: Job, arguments: RunArguments) -> Job:
    """The job with the executor that the options name. Raises SpecError if they contradict each other."""
    executor = job.spec.executor
    name = arguments.executor or ("local" if arguments.part is not None else executor.name)
    if name == "local" and arguments.parts is not None:
        raise SpecError([Mistake(key="--parts", message="this needs --executor ray; a single part is --part K/N")])
    if name == "ray" and arguments.part is not None:
        raise SpecError([Mistake(key="--part", message="Ray runs all parts; leave --executor or --part out")])
    if arguments.parts is not None and arguments.parts > MOST_PARTS:
        raise SpecError([Mistake(key="--parts", message=f"expected at most {MOST_PARTS}, got {arguments.parts}")])
    changed = executor.model_copy(update={"name": name, "parts": arguments.parts or executor.parts})
    return replace(job, spec=job.spec.model_copy(update={"executor": changed}))


def with_warnings(observer: Observer, printed: list[str]) -> Observer:
    """An observer that also prints each warning at once, and adds it to `printed`."""

    def observe(progress: Progress) -> None:
        for text in progress.warnings[len(printed) :]:
            printed.append(text)
            say(f"warning: {text}")
        observer(progress)

    return observe


def deadline(text: str, now: datetime) -> float:
    """The time in epoch seconds at which `--until` ends the run. Raises SpecError.

    `HH:MM` is local time, tomorrow's if it is past. Any other text is a duration such as `1h30m`.
    """
    if clock := re.fullmatch(r"(\d{1,2}):(\d{2})", text):
        hour, minute = int(clock[1]), int(clock[2])
        if hour < 24 and minute < 60:
            at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
            return (at if at > now else at + timedelta(days=1)).timestamp()
    elif (seconds := seconds_in(text)) is not None:
        return now.timestamp() + seconds
    raise SpecError([Mistake(key="--until", message=f"expected HH:MM, 90s, 15m, 2h or 1h30m, got {text!r}")])
