"""What the rows of a job say: label counts, scores, the doubtful rows, and a sample of rows to search."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchfree.core.chat import ChatRequest, Failure, Json, JsonObject
from batchfree.journal.attempts import Attempt, Status
from batchfree.quality.evaluation import Evaluation, EvaluationCounter, score_answer
from batchfree.quality.intervals import Proportion
from batchfree.quality.normalise import normalise
from batchfree.quality.pack_comparison import PackComparison, PackedPair, compare_packs
from batchfree.quality.scoring import ScoringRule, scored_text
from batchfree.report.figures import DoubtfulRow, LabelFigures

MOST_ROWS = 2_000
"""Most rows on the page. Of a longer table, the page shows every second, third … row."""
MOST_DOUBTFUL = 25
"""Most doubtful rows on the page."""
MOST_ATTEMPTS = 20
"""Most attempts that are shown for one row; the latest are shown."""
TEXT = 600
"""Most characters of a prompt, an answer or a reply on the page."""
LONG_PROMPT = 160
"""Most characters of a prompt in a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedRow:
    """A row with everything that the report needs. `number` counts from zero.

    `values` are the row's columns in the table. `answers` are all answers to the row, each with its model's id.
    """

    number: int
    name: str | None
    request: ChatRequest | Failure
    question: str | Failure
    expected: Json
    values: Mapping[str, Any]
    answers: Sequence[tuple[str, Json]]
    pair: PackedPair | None = None
    """A model's answer in a pack beside its answer alone, if the row was checked."""


class RowCounter:
    """Folds the rows of the table into figures. Its memory grows with models and labels, not with rows."""

    def __init__(self, *, rows: int, labels: Sequence[str] | None, scoring: ScoringRule | None) -> None:
        """`rows` is the number of rows in the table."""
        self.rows, self._labels, self._scoring = rows, labels, scoring
        self._stride = max(1, -(-rows // MOST_ROWS))
        self._given, self._given_by = Counter[str](), defaultdict[str, Counter[str]](Counter)
        self._table, self._votes = EvaluationCounter(), EvaluationCounter()
        self._pairs = dict[str | Failure, PackedPair]()
        self._doubtful: list[tuple[tuple[float, ...], int, ReportedRow, str]] = []

    def is_shown(self, number: int) -> bool:
        """Whether the page shows the row with this number."""
        return number % self._stride == 0

    def add(self, row: ReportedRow) -> None:
        """Counts one row."""
        answer = row.values.get("answer")
        if self._labels is not None:
            self._count_labels(answer, row.answers)
        if self._scoring is not None:
            self._table.add(score_answer(answer, row.expected, self._scoring))
            for model, given in row.answers:
                self._votes.add(score_answer(given, row.expected, self._scoring, model))
        if row.pair is not None:
            self._pairs.setdefault(row.question, row.pair)
        found = doubt(row.values)
        if found is not None:
            order, why = found
            entry = (tuple(-each for each in order), -row.number, row, why)
            push = heapq.heappush if len(self._doubtful) < MOST_DOUBTFUL else heapq.heappushpop
            push(self._doubtful, entry)

    def _count_labels(self, answer: Json, answers: Sequence[tuple[str, Json]]) -> None:
        if isinstance(answer, str):
            self._given[answer] += 1
        for model, given in answers:
            if isinstance(given, str):
                self._given_by[model][given] += 1

    def labels(self) -> LabelFigures | None:
        """How often each label was given; None in a job without labels."""
        if self._labels is None:
            return None
        models = {model: _shares(given, self._labels) for model, given in sorted(self._given_by.items())}
        return LabelFigures(labels=self._labels, overall=_shares(self._given, self._labels), models=models)

    def evaluation(self) -> Evaluation | None:
        """The scores of the table's answers, and those of each model; None without `evaluate`."""
        if self._scoring is None:
            return None
        return Evaluation(overall=self._table.evaluation().overall, models=self._votes.evaluation().models)

    def pack_check(self) -> PackComparison:
        """The checked rows of packs; equal rows share a check."""
        return compare_packs(list(self._pairs.values()))

    def doubtful(self) -> list[tuple[DoubtfulRow, ReportedRow]]:
        """The most doubtful rows; the most doubtful one first."""
        ordered = sorted(self._doubtful, key=lambda entry: (entry[0], entry[1]), reverse=True)
        return [
            (
                DoubtfulRow(
                    row=row.number + 1,
                    why=why,
                    prompt=cut(prompt_text(row.request), LONG_PROMPT),
                    answer=cut(answer_text(row.values.get("answer")), LONG_PROMPT),
                ),
                row,
            )
            for _, _, row, why in ordered
        ]


def _shares(given: Counter[str], labels: Sequence[str]) -> dict[str, Proportion]:
    total = sum(given[label] for label in labels)
    return {label: Proportion(count=given[label], total=total) for label in labels}


def doubt(values: Mapping[str, Any]) -> tuple[tuple[float, ...], str] | None:
    """How doubtful a row is and why; None if nothing speaks against it. A smaller value means more doubt."""
    votes, agreement = values.get("votes"), values.get("agreement")
    if votes and agreement is not None:
        if agreement == 1 and values.get("correct") is not False:
            return None
        kept = round(agreement * len(votes))
        what = "is tied" if values.get("error_kind") == "tied" else f"{kept} of {len(votes)} votes agree"
        wrong = "; not the expected answer" if values.get("correct") is False else ""
        return (agreement, values.get("confidence") or 0.0), what + wrong
    if values["status"] is Status.FAILED:
        return (1.0, 0.0), f"failed: {values.get('error_kind')}"
    if values.get("correct") is False:
        return (2.0, 0.0), "not the expected answer"
    if values.get("repaired"):
        return (3.0, 0.0), "the JSON syntax was mended"
    if (attempts := values.get("attempts") or 0) > 1:
        return (4.0, -attempts), f"{attempts} attempts"
    return None


def prompt_text(request: ChatRequest | Failure) -> str:
    """The messages of a request as text, without the system message; for a failure, its reason."""
    if isinstance(request, Failure):
        return f"(not asked: {request.message})"
    messages = [each for each in request.messages if each.get("role") != "system"]
    if len(messages) == 1:
        return _content(messages[0].get("content"))
    return "\n\n".join(f"{each.get('role')}: {_content(each.get('content'))}" for each in messages)


def _content(content: Json) -> str:
    if isinstance(content, list):
        return " ".join(part.get("text") or f"[{part.get('type')}]" for part in content if isinstance(part, dict))
    return str(content or "")


def answer_text(answer: Json) -> str:
    """An answer as text; empty if there is none."""
    return "" if answer is None else answer if isinstance(answer, str) else scored_text(answer)


def cut(text: str, most: int = TEXT) -> str:
    """The text; of a longer one the first `most` characters, and how many it has in all."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def row_record(row: ReportedRow, attempts: Sequence[Attempt]) -> JsonObject:
    """A row as the page's script reads it. Keys are short, since there are thousands of rows.

    The reply is left out if it equals the answer.
    """
    values, response = row.values, row.values.get("response") or ""
    record: JsonObject = {
        "n": row.number + 1,
        "s": str(values["status"]),
        "p": cut(prompt_text(row.request)),
        "a": cut(answer_text(values.get("answer"))),
    }
    optional = {
        "i": row.name,
        "m": values.get("model"),
        "r": None if response == answer_text(values.get("answer")) else cut(response) or None,
        "e": values.get("error") and cut(f"{values.get('error_kind')}: {values['error']}"),
        "x": None if row.expected is None else cut(scored_text(row.expected)),
        "c": values.get("correct"),
        "v": [[vote["model"], cut(vote["answer"], LONG_PROMPT)] for vote in values.get("votes") or ()] or None,
        "t": [_attempt_record(row.question, each) for each in attempts[-MOST_ATTEMPTS:]],
    }
    if row.expected is not None and values.get("correct") is not None:
        optional["k"] = [normalise(scored_text(row.expected)), normalise(answer_text(values.get("answer")))]
    return record | {key: value for key, value in optional.items() if value is not None}


def _attempt_record(question: str | Failure, attempt: Attempt) -> list[Json]:
    """Time, model or route, result for this row, seconds, and number of rows in the request."""
    outcome = next((each for each in attempt.outcomes if each.question == question), None)
    what = "" if outcome is None else "answered" if outcome.kind is None else f"{outcome.kind}: {outcome.error or ''}"
    at = attempt.at.strftime("%Y-%m-%d %H:%M:%S")
    return [at, attempt.model_or_route, cut(what, LONG_PROMPT), round(attempt.latency_s, 1), len(attempt.outcomes)]
