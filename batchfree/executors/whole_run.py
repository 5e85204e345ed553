"""The run of a whole job, put together from the runs of its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from batchfree.core.stops import INTERRUPTED, NEEDS_A_PERSON, OK, ROWS_FAILED, TERMINATED, TRY_LATER, USAGE, Stopped
from batchfree.journal.model_statistics import ModelStatistics
from batchfree.journal.request_statistics import RequestStatistics
from batchfree.run.progress import Progress
from batchfree.run.summary import RunResult

BEST_FIRST = (OK, ROWS_FAILED, TRY_LATER, TERMINATED, INTERRUPTED, NEEDS_A_PERSON, USAGE)
"""The exit codes of parts; the whole run has the worst one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartResult:
    """How the run of one part ended."""

    exit_code: int
    stopped: Stopped | None = None
    this_run: RunResult = field(default_factory=RunResult)
    warnings: tuple[str, ...] = ()


def worst(results: Sequence[PartResult]) -> PartResult:
    """The part with the worst exit code; its reason to stop is that of the whole run."""
    return max(results, key=lambda each: BEST_FIRST.index(each.exit_code))


def result_of(results: Iterable[PartResult]) -> RunResult:
    """What the parts did together."""
    ok = failed = 0
    statistics = RequestStatistics()
    for each in results:
        ok, failed = ok + each.this_run.ok, failed + each.this_run.failed
        statistics.requests += each.this_run.statistics.requests
        for model, kinds in each.this_run.statistics.wasted.items():
            statistics.wasted.setdefault(model, Counter()).update(kinds)
    return RunResult(ok=ok, failed=failed, statistics=statistics)


def progress_of(parts: Iterable[Progress], total: int, stopped: Stopped | None = None) -> Progress:
    """The progress of the whole job, which has `total` rows. It waits for what the first waiting part waits for."""
    known = list(parts)
    models, failures = dict[str, ModelStatistics](), Counter[str]()
    for each in known:
        failures.update(each.failures)
        for name, one in each.models.items():
            sum_ = models.setdefault(name, ModelStatistics())
            sum_.answered, sum_.failed = sum_.answered + one.answered, sum_.failed + one.failed
            sum_.last_failure = one.last_failure or sum_.last_failure
    waiting = next((each for each in known if each.waiting_for is not None), None)
    return Progress(
        total=total,
        skipped=sum(each.skipped for each in known),
        ok=sum(each.ok for each in known),
        failed=sum(each.failed for each in known),
        requests=sum(each.requests for each in known),
        in_flight=sum(each.in_flight for each in known),
        waiting_for=None if waiting is None else waiting.waiting_for,
        until=None if waiting is None else waiting.until,
        warnings=tuple(dict.fromkeys(warning for each in known for warning in each.warnings)),
        models=models,
        failures=failures,
        usage=next((each.usage for each in known if each.usage is not None), None),
        stopped=stopped,
    )
