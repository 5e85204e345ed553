"""The summary of a run as a small HTML table, which a notebook shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchfree.run.summary import Summary

MOST_WORDS = 8
"""Labels, models or kinds of failures that are named in one line."""


def summary_html(summary: Summary) -> str:
    """The summary as HTML; every text from outside is escaped."""
    lines = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in _lines(summary)
    )
    return f"<table><caption>{escape(summary.name)}</caption>{lines}</table>"


def _lines(summary: Summary) -> Iterator[tuple[str, str]]:
    """The names and values of the lines; lines without a value are left out."""
    counts, this = summary.counts, summary.this_run
    yield "rows", f"{counts.ok:,} ok, {counts.failed:,} failed, {counts.pending:,} pending"
    without = this.statistics.without_answer
    yield "requests", f"{summary.requests:,} in this run" + (f", {without:,} without answer" if without else "")
    if summary.stopped is not None:
        yield "stopped", summary.stopped.message
    if any(summary.labels.values()):
        yield "answers", _counted(summary.labels)
    if summary.models:
        yield "models", _counted(summary.models)
    if summary.errors:
        yield "failures", _counted(summary.errors)
    if summary.correct is not None and summary.correct.total:
        yield "correct", str(summary.correct)
    for warning in summary.warnings:
        yield "warning", warning
    if summary.is_rehearsal:
        yield "rehearsal", "emulated models answered; a real run asks these rows again"
    if summary.output is not None:
        yield "table", str(summary.output)


def _counted(rows: Mapping[str, int]) -> str:
    """Words with their numbers of rows, the most frequent first."""
    ranked = sorted(rows.items(), key=lambda item: (-item[1], item[0]))
    more = f", {len(ranked) - MOST_WORDS} more" if len(ranked) > MOST_WORDS else ""
    return ", ".join(f"{word} {number:,}" for word, number in ranked[:MOST_WORDS]) + more
