"""What to do next: commands to type, models to exclude, and a forecast of the requests that are still needed."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence

from batchfree.core.stops import Counts
from batchfree.quality.evaluation import Evaluation
from batchfree.quality.intervals import LEAST_FOR_SHARE, Proportion, Z
from batchfree.report.figures import Advice, ModelFigures


def next_steps(job_file: str, counts: Counts, *, requests: int, begun: bool, may_get_votes: bool) -> list[Advice]:
    """What to type next. `job_file` is the path as it is typed; `requests` is the number sent to the job's endpoint."""
    command = f"batchfree run {shlex.quote(job_file)}"
    if not begun:
        return [Advice(text="Nothing was asked yet.", line=command)]
    if not requests and counts.pending:
        rehearsal = f"batchfree report {shlex.quote(job_file)} --set endpoint=embedded"
        return [
            Advice(text="Nothing was asked on the job's endpoint yet.", line=command),
            Advice(text="A rehearsal with `--endpoint embedded` has a report of its own.", line=rehearsal),
        ]
    steps = []
    if counts.pending:
        text = "Rows are pending. The same command continues where the last run stopped."
        steps.append(Advice(text=text, line=command))
    elif may_get_votes:
        steps.append(Advice(text="Some rows may still get votes.", line=command))
    if counts.failed:
        steps.append(Advice(text="Failed rows are asked again only on request.", line=f"{command} --retry-failed"))
    return steps or [Advice(text="Every row is answered. There is nothing left to ask.")]


def forecast(counts: Counts, requests: int, day_limit: int | None, busiest_day: int) -> Advice | None:
    """How many requests and days the pending rows need at the rate so far; None if nothing is known or pending.

    The interval takes the number of requests as Poisson distributed: its variance is its mean (normal approximation).
    """
    finished = counts.ok + counts.failed
    if not counts.pending or not finished or not requests:
        return None
    per_row, half = requests / finished, Z * math.sqrt(requests) / finished
    needed = math.ceil(counts.pending * per_row)
    text = f"Forecast: about {needed:,} more requests"
    if finished >= LEAST_FOR_SHARE:
        least, most = (max(1, math.ceil(counts.pending * (per_row + way * half))) for way in (-1, 1))
        text += f" (95 % interval {least:,}–{most:,})"
    text += f", at {per_row:.2f} per finished row so far (n = {finished:,})"
    pace, words = (day_limit, "as the job allows") if day_limit else (busiest_day, "as on the busiest day so far")
    if pace:
        days = math.ceil(needed / pace)
        text += f"; that is {days:,} day{'s' * (days != 1)} at {pace:,} requests a day, {words}"
    return Advice(text=text + ".")


def models_to_exclude(
    models: Sequence[ModelFigures], evaluation: Evaluation | None, excluded: Sequence[str], *, least: int
) -> list[Advice]:
    """The models that are worse than at least half of the others, with the line for the job file.

    Worse means that the 95 % interval lies wholly below the other interval. Only measured figures count: accuracy
    against expected values, and the share of usable answers. `least` is the number of models that must stay;
    `excluded` is what the job excludes already.
    """
    accuracies = {} if evaluation is None else {name: each.accuracy for name, each in evaluation.models.items()}
    reasons = dict[str, list[str]]()
    for shares, words in ((accuracies, "right"), ({each.model: each.valid for each in models}, "usable")):
        for name, share in _worse(shares):
            reasons.setdefault(name, []).append(f"{words}: {share}")
    worst = sorted(reasons)[: max(0, len(models) - least)]
    advice = [Advice(text=f"{name}: {'; '.join(reasons[name])}.") for name in worst]
    if advice:
        names = json.dumps([*excluded, *worst], ensure_ascii=False)
        text = "To leave these models out, put this into the job file:"
        advice.append(Advice(text=text, line=f"router: {{exclude: {names}}}"))
    return advice


def _worse(shares: Mapping[str, Proportion]) -> list[tuple[str, Proportion]]:
    """The shares whose interval lies wholly below the intervals of at least half of the other models."""
    known = {name: share for name, share in shares.items() if share.is_shown}
    found = []
    for name, share in known.items():
        better = sum(each.interval.low > share.interval.high for each in known.values())
        if better and 2 * better >= len(known) - 1:
            found.append((name, share))
    return found
