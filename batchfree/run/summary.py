"""The result of a run, as a person and `--json` see it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchfree.core.chat import Json, JsonObject
from batchfree.core.stops import Counts, Stopped
from batchfree.core.text import iso
from batchfree.journal.attempts import PilotDecision, Status
from batchfree.journal.pack_statistics import PackStatistics
from batchfree.journal.rehearsals import is_emulated
from batchfree.journal.request_statistics import RequestStatistics
from batchfree.quality.intervals import Proportion

SAMPLE = 12
"""The number of rows of the table that a summary shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRow:
    """A row of the table for people: its first text, its answer, and the model that answered."""

    about: str
    answer: str
    model: str


@dataclass(slots=True)
class Tally:
    """Counts the rows of the table while it is written, and keeps the first rows for the summary."""

    status: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Status, 0))
    labels: dict[str, int] = field(default_factory=dict)
    """Answered rows by label. All labels of the job are there from the start; none in a job without labels."""
    models: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    sample: list[SampleRow] = field(default_factory=list)
    correct: int = 0
    scored: int = 0
    """Rows whose answer was compared with an expected value; `correct` of them are right."""
    may_get_votes: bool = False
    """Whether rows that have an answer may still get votes."""

    @property
    def samples_needed(self) -> int:
        """How many of the next rows are among the first rows, which the summary shows."""
        return SAMPLE - len(self.sample)

    def add(self, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Sequence[Any]]) -> None:
        """Adds the values of some rows by column name. `rows` are their rows of the input, or the samples of them."""
        statuses = columns["status"]
        none = [None] * len(statuses)
        for place, row in enumerate(rows[: self.samples_needed]):
            self.sample.append(_shown(row, {name: values[place] for name, values in columns.items()}))
        answers, models = columns.get("answer", none), columns.get("model", none)
        errors, kinds = columns.get("error", none), columns.get("error_kind", none)
        for status, answer, model, kind, error in zip(statuses, answers, models, kinds, errors, strict=True):
            self.status[status] += 1
            if status is Status.OK:
                name = model or "unknown"
                self.models[name] = self.models.get(name, 0) + 1
                if self.labels and isinstance(answer, str) and answer in self.labels:
                    self.labels[answer] += 1
            elif kind:
                self.errors[kind] = self.errors.get(kind, 0) + 1
                self.examples.setdefault(kind, error or "")
        scores = [score for score in columns.get("correct", ()) if score is not None]
        self.scored += len(scores)
        self.correct += sum(scores)

    def counts(self) -> Counts:
        """The rows by status."""
        return Counts(**{str(status): number for status, number in self.status.items()})


def _shown(row: Mapping[str, Any], columns: Mapping[str, Any]) -> SampleRow:
    """The row with its first text or the last of its messages, else with its first value."""
    asked = [text for value in row.values() if (text := _asked(value)) is not None]
    about = asked[0] if asked else next(iter(row.values()), "")
    answer = columns.get("answer")
    if columns["status"] is not Status.OK:
        answer = f"({columns['status']}: {columns['error_kind']})" if columns.get("error_kind") else "(pending)"
    elif not isinstance(answer, str):
        answer = json.dumps(answer, ensure_ascii=False)
    return SampleRow(about=str(about), answer=str(answer), model=columns.get("model") or "")


def _asked(value: Json) -> str | None:
    """A text itself, or the last message in the body of an OpenAI batch request; None for anything else."""
    if isinstance(value, dict) and isinstance(messages := value.get("messages"), list) and messages:
        content = messages[-1].get("content") if isinstance(messages[-1], dict) else None
        return content if isinstance(content, str) else None
    return value if isinstance(value, str) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The result of one run: the questions that it finished, and its requests."""

    ok: int = 0
    failed: int = 0
    statistics: RequestStatistics = field(default_factory=RequestStatistics)

    def to_json(self) -> JsonObject:
        """As `run --json` prints it."""
        return {"ok": self.ok, "failed": self.failed, **self.statistics.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The result of a run.

    `models` counts the answered rows of the table by model, `errors` the other rows by `error_kind`. `requests` counts
    the requests of this run. `exit_code` is the exit code of the process.
    """

    job: str
    stopped: Stopped | None
    counts: Counts
    requests: int
    models: Mapping[str, int]
    errors: Mapping[str, int]
    examples: Mapping[str, str]
    """The error sentence of the first row of each kind."""
    output: Path | None
    """The table; None for a part of a job, which writes none."""
    part: str | None = None
    """The part of the job that was run, such as `2/8`; its rows alone are counted."""
    labels: Mapping[str, int] = field(default_factory=dict)
    """Answered rows by label; empty in a job without labels."""
    this_run: RunResult = field(default_factory=RunResult)
    all_runs: RequestStatistics = field(default_factory=RequestStatistics)
    sample: tuple[SampleRow, ...] = ()
    """The first rows of the table."""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    exit_code: int = 0
    packs: PackStatistics | None = None
    """The effects of packs over all runs; None without packs."""
    correct: Proportion | None = None
    """Right answers among those with an expected value, over all runs; None without `evaluate`."""
    pilot: PilotDecision | None = None
    """What the last pilot decided; None without one."""
    same_alone: Proportion | None = None
    """Checked rows of packs whose answer was the same alone, over all runs; None without `evaluate.pack_check`."""

    @property
    def name(self) -> str:
        """The name of the job as a person reads it, with the part."""
        return self.job if self.part is None else f"{self.job}, part {self.part}"

    @property
    def statistics(self) -> RequestStatistics:
        """The requests of this run."""
        return self.this_run.statistics

    @property
    def had_nothing_to_do(self) -> bool:
        """Whether every row was done before this run."""
        is_done = self.counts.rows > 0 and not self.counts.pending
        return is_done and self.stopped is None and not self.statistics.requests and self.all_runs.requests > 0

    @property
    def is_rehearsal(self) -> bool:
        """Whether emulated models answered some of the rows."""
        return any(map(is_emulated, self.models))

    def _repr_html_(self) -> str:
        """The summary as a notebook shows it."""
        from batchfree.run.summary_html import summary_html

        return summary_html(self)

    def to_json(self) -> JsonObject:
        """The summary as `run --json` prints it."""
        stopped = self.stopped and {
            "reason": str(self.stopped.reason),
            "until": iso(self.stopped.until),
            "message": self.stopped.message,
        }
        return {
            "job": self.job,
            "part": self.part,
            "stopped": stopped,
            "counts": dict(self.counts),
            "requests": self.requests,
            "models": dict(self.models),
            "errors": dict(self.errors),
            "labels": dict(self.labels),
            "this_run": self.this_run.to_json(),
            "all_runs": self.all_runs.to_json(),
            "output": str(self.output) if self.output else None,
            "warnings": list(self.warnings),
            "packs": self.packs and self.packs.to_json(),
            "correct": self.correct and self.correct.to_json(),
            "pilot": self.pilot and _pilot_json(self.pilot),
            "pack_check": self.same_alone and self.same_alone.to_json(),
        }


def _pilot_json(pilot: PilotDecision) -> JsonObject:
    """A pilot's decision, with the share of right votes and its interval for each model.

    Both are null if there are too few votes.
    """
    ranking = []
    for each in pilot.ranking:
        right = Proportion(count=each.right * each.votes, total=each.votes).to_json()
        shown = {"right": right["share"], "votes": each.votes, "interval": right["interval"], "count": right["count"]}
        ranking.append({"model": each.model, **shown, "measured": each.measured})
    return {"kept": list(pilot.kept), "ranking": ranking}
