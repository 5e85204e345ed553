"""The outcome of a job in lines that the summary of a run and `status` share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from batchfree.cli.terminal import with_noun
from batchfree.core.routes import ROUTERS
from batchfree.job.status import JobStatus
from batchfree.run.summary import Summary

ERROR_WIDTH = 60
"""Most characters of an example of an error."""
LABELS = 20
"""Most labels that are listed with their number of rows."""
UNUSED = 3
"""Most labels without any row that are named."""
NO_MODEL = "(no model named)"
"""Shown instead of a model if the failures name none."""
MODELS = 12
"""Most models that are listed."""


def head_line(outcome: Summary | JobStatus) -> str:
    """The rows of the whole job, or of the part that was run, by status."""
    counts = outcome.counts
    return (
        f"{outcome.name}: {counts.ok:,} of {with_noun(counts.rows, 'row')} answered, "
        f"{counts.failed:,} failed, {counts.pending:,} pending"
    )


def outcome_lines(outcome: Summary | JobStatus) -> Iterator[str]:
    """Label counts, the models with their answers and failures, and the rows that failed and why."""
    yield from _label_lines(outcome.labels)
    yield from _model_lines(outcome)
    for kind, rows in sorted(outcome.errors.items(), key=lambda item: (-item[1], item[0])):
        example = outcome.examples.get(kind, "")
        example = example if len(example) <= ERROR_WIDTH else example[:ERROR_WIDTH] + "…"
        yield f"  {kind}: {with_noun(rows, 'row')}, e.g. {example}"


def _label_lines(labels: Mapping[str, int]) -> Iterator[str]:
    if not any(labels.values()):
        return
    ranked = sorted(labels.items(), key=lambda item: (-item[1], item[0]))
    unused = [label for label, rows in ranked if not rows]
    if len(unused) > UNUSED:
        ranked = ranked[: -len(unused)]
    more = f", {len(ranked) - LABELS} more labels" if len(ranked) > LABELS else ""
    more += f"; {len(unused)} labels on no row" if len(unused) > UNUSED else ""
    yield "  answers: " + ", ".join(f"{label} {rows:,}" for label, rows in ranked[:LABELS]) + more


def _model_lines(outcome: Summary | JobStatus) -> Iterator[str]:
    """One line for each model: the rows of the table that it answered, and its requests without an answer."""
    statistics = outcome.statistics
    names = sorted({*outcome.models, *statistics.wasted}, key=lambda name: (-outcome.models.get(name, 0), name))
    shown = {name: NO_MODEL if name in ROUTERS else name for name in names[:MODELS]}
    width = max(map(len, shown.values()), default=0)
    for name in names[:MODELS]:
        rows, wasted = outcome.models.get(name, 0), statistics.wasted.get(name)
        answered = f"{with_noun(rows, 'row')} answered" if rows else ""
        lost = ""
        if wasted:
            kinds = ", ".join(f"{number:,} {kind}" for kind, number in wasted.most_common())
            lost = f"{with_noun(wasted.total(), 'request')} without answer: {kinds}"
        yield f"  {shown[name]:<{width}}  " + "; ".join(part for part in (answered, lost) if part)
    if len(names) > MODELS:
        yield f"  and {with_noun(len(names) - MODELS, 'other model')}"


def request_counts(requests: int, without_answer: int) -> str:
    """Requests, and how many of them brought no answer."""
    lost = f", {without_answer:,} of them without answer" if without_answer else ""
    return f"{with_noun(requests, 'request')}{lost}"
