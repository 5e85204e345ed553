"""The plan of a job on stdout."""

from __future__ import annotations

from collections.abc import Iterator

from batchfree.cli.terminal import print_result, with_noun, wrapped
from batchfree.cli.times import duration, moment
from batchfree.job.plan import Plan

MODELS = 5
"""Most models that are named."""


def plan_lines(plan: Plan, now: float) -> Iterator[str]:
    """The plan in lines; `now` in epoch seconds."""
    counts = f"{plan.answered:,} answered, {plan.failed:,} failed, {plan.to_do:,} to do"
    yield f"{plan.job}: {with_noun(plan.rows, 'row')}: {counts}"
    if plan.unrenderable:
        unrenderable = with_noun(plan.unrenderable, "row")
        yield f"  {unrenderable} can't be rendered from the template and will fail without a request"
    if plan.reasked:
        reasked = with_noun(plan.reasked, "row")
        yield f"  {reasked} asked again, because their question has changed since they were answered"
    if plan.rehearsed:
        yield f"  {with_noun(plan.rehearsed, 'answer')} of rehearsals left out: they do not count on this endpoint"
    if not plan.requests:
        yield "  nothing to ask: a run sends no request"
        return
    yield f"requests: about {plan.requests:,} for {' and '.join(_asked(plan))}"
    yield from _quota_lines(plan, now)
    yield f"done: {_finish(plan.finishes_at, now)}{_if_run_daily(plan)}"
    yield from _model_lines(plan, now)
    yield "assumptions: " + "; ".join(plan.assumptions)
    if plan.faster:
        yield "what would change it:"
    for each in plan.faster:
        yield f"  {each.change}: about {with_noun(each.requests, 'request')}, done {_finish(each.finishes_at, now)}"


def _asked(plan: Plan) -> Iterator[str]:
    """What is asked: questions, and rows of packs that are also asked alone."""
    if plan.questions:
        packs = f", {plan.pack:.4g} rows per request" if plan.pack > 1 else ""
        yield f"{with_noun(plan.questions, 'question')}{packs}"
    if plan.checks:
        yield f"{with_noun(plan.checks, 'row')} of packs asked alone as well"


def _quota_lines(plan: Plan, now: float) -> Iterator[str]:
    usage = plan.usage
    if usage is None:
        yield "quota: this endpoint has no limits"
        return
    day = "no limit per day"
    if usage.day_limit is not None:
        resets = moment(usage.day_resets_at, now)
        day = f"{usage.left('day'):,} of {usage.day_limit:,} requests left today; the next day begins {resets}"
    minute = "" if usage.minute_limit is None else f"; {usage.minute_limit:,} a minute"
    yield f"quota: {day}{minute}"


def _finish(at: float | None, now: float) -> str:
    return "never: the quota leaves no request" if at is None else f"{moment(at, now)} (in {duration(at - now)})"


def _if_run_daily(plan: Plan) -> str:
    """The condition for the date, if the requests need more than today's quota."""
    left = None if plan.usage is None else plan.usage.left("day")
    return ", if it runs every day" if left is not None and plan.requests > left else ""


def _model_lines(plan: Plan, now: float) -> Iterator[str]:
    if plan.catalogue_at is None and not plan.models:
        yield "models: unknown, since the catalogue can't be read"
        return
    age = "" if plan.catalogue_at is None else f" (catalogue of {duration(max(0.0, now - plan.catalogue_at))} ago)"
    more = len(plan.models) - MODELS
    named = ", ".join(plan.models[:MODELS]) + (f" and {with_noun(more, 'other')}" if more > 0 else "")
    whole = len(plan.models) + plan.refused
    yield f"models: {len(plan.models)} of {whole} may answer{age}" + (f": {named}" if named else "")


def print_plan(plan: Plan, now: float) -> None:
    """Prints the plan, wrapped to the width of the terminal."""
    for line in plan_lines(plan, now):
        for part in wrapped(line):
            print_result(part)
