"""How reliable each model is and how probable each answer of a row is, estimated from votes alone.

A model is described in one of two ways, both fitted by expectation maximisation:

- A confusion matrix: the chance of each vote, given the true label (Dawid & Skene 1979, doi.org/10.2307/2346806).
- One accuracy: wrong votes are spread evenly over all other answers. This needs far fewer votes.

Both start from the assumption that models are mostly right, written as pseudo-votes. Every label counts as equally
frequent: if frequencies were learned from few votes, one label could win every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from batchfree.quality.ballots import Ballots, count_ballots, distinct_rows, readable_votes, sum_by

VOTES_PER_CELL = 20
"""Votes that a model needs for each cell of its confusion matrix, with three labels or more.

Measured in simulated panels with 20 votes per cell: matrices cost up to two points of accuracy if models err at random,
and gain up to seven if models confuse certain labels."""

RIGHT, WRONG = 4.0, 2.0
"""Right and wrong pseudo-votes of a model with one accuracy."""
ROW_VOTES, DIAGONAL = 4.0, 0.7
"""Pseudo-votes for each true label of a confusion matrix, and the share of them that are right."""

OPEN_ANSWERS = 10
"""Number of possible answers of a row without a list of labels. If a row got as many different answers, it is more."""

MOST_ROUNDS = 200
"""Most rounds of expectation maximisation."""
CONVERGED = 1e-4
"""The fit ends when no accuracy and no cell of a confusion matrix changes by more than this."""
MOST_ROWS = 200_000
"""Most rows that a fit uses, taken evenly from all rows."""
ROWS_AT_ONCE = 100_000
"""Rows whose probabilities are calculated at a time, to bound the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """The result of a fit."""

    labels: tuple[str, ...] | None
    """The possible answers; None if there is no list of them."""
    answers: int
    """Number of possible answers of a row."""
    models: pl.DataFrame
    """Columns `model`, `votes` (in the fit), `accuracy`. The last line, without a name, stands for a model without
    votes. The accuracy is an estimate: it orders the models, but it is often too high."""
    confusion: pl.DataFrame | None
    """The chance of each vote for each true label; None if each model has one accuracy.

    A line per model and given label, in the order of `models` and `labels`; a column per true label."""


def uses_confusion(*, votes: int, models: int, labels: int) -> bool:
    """Whether there are enough votes for a confusion matrix per model. With two labels there always are."""
    return labels == 2 or (labels > 2 and votes >= VOTES_PER_CELL * labels**2 * models)


def fit_reliability(votes: pl.DataFrame, labels: Sequence[str] | None = None) -> Reliability:
    """The reliability of each model from votes as `ballots` describes them.

    Without `labels` (free text, JSON) answers are only equal or different. With `labels` all other answers are left
    out.
    """
    votes = readable_votes(votes, labels)
    rows = votes["row"].unique().sort()
    votes = votes.filter(pl.col("row").is_in(rows.gather_every(-(-len(rows) // MOST_ROWS) or 1).implode()))
    models = votes.group_by("model").agg(votes=pl.len()).sort("model")
    models = pl.concat([models, pl.DataFrame({"model": [None], "votes": [0]}, schema=models.schema)])
    distinct, weights = distinct_rows(votes)
    ballots = count_ballots(distinct, models["model"], labels)
    if labels is not None and uses_confusion(votes=len(votes), models=len(models) - 1, labels=len(labels)):
        return _fit_confusion(ballots, weights, models, tuple(labels))
    return _fit_accuracy(ballots, weights, models, None if labels is None else tuple(labels))


def posteriors(votes: pl.DataFrame, reliability: Reliability) -> pl.DataFrame:
    """The probability of every answer that got a vote: columns `row`, `answer`, `votes`, `posterior`; sorted by row.

    The probabilities of a row may add up to less than 1, since the right answer may be one that no model gave. A model
    that is new to the fit counts like a model without votes.
    """
    votes = readable_votes(votes, reliability.labels).sort("row")
    firsts = votes["row"].unique(maintain_order=True).gather_every(ROWS_AT_ONCE)
    starts = [*votes["row"].search_sorted(firsts, side="left").to_list(), len(votes)]
    portions = [votes.slice(start, end - start) for start, end in pairwise(starts)]
    return pl.concat([_posteriors_at_once(portion, reliability) for portion in portions or [votes]])


def _posteriors_at_once(votes: pl.DataFrame, reliability: Reliability) -> pl.DataFrame:
    """The result of `posteriors` for one portion of the rows."""
    ballots = count_ballots(votes, reliability.models["model"], reliability.labels)
    candidates = ballots.candidates
    if reliability.confusion is None:
        posterior = _answer_posteriors(ballots, reliability.models["accuracy"], reliability.answers)
    else:
        table = _label_posteriors(ballots, reliability.confusion)
        place = candidates["label_id"].cast(pl.UInt64) * len(table) + candidates["row_id"]
        posterior = pl.concat([column.alias("posterior") for column in table]).gather(place)
    return candidates.select("row", "answer", "votes").with_columns(posterior.alias("posterior"))


def _fit_confusion(ballots: Ballots, weights: pl.Series, models: pl.DataFrame, labels: tuple[str, ...]) -> Reliability:
    """Dawid and Skene's fit. It starts with the share of votes for each label of a row.

    `weights` says how many rows have the votes of each row.
    """
    size = len(labels)
    row_id, cell = ballots.votes["row_id"], ballots.cells(size)
    label = ballots.candidates["label_id"].gather(ballots.votes["candidate_id"])
    given = pl.DataFrame({str(truth): label == truth for truth in range(size)}).cast(pl.Float64)
    table = _shares(sum_by(row_id, given, ballots.rows))
    prior = _confusion_prior(len(models), size)
    confusion = _per_truth(prior, size)
    for _ in range(MOST_ROUNDS):
        weighted = table.select(pl.all() * weights).select(pl.all().gather(row_id))
        before, counts = confusion, sum_by(cell, weighted, len(prior))
        confusion = _per_truth(counts + prior, size)
        table = _label_posteriors(ballots, confusion)
        if (confusion - before).select(pl.max_horizontal(pl.all().abs().max())).item() < CONVERGED:
            break
    frequency = table.select((pl.all() * weights).sum() / weights.sum())
    right = sum(frequency[name].item() * confusion[name].gather_every(size, int(name)) for name in table.columns)
    models = models.with_columns(accuracy=right)
    return Reliability(labels=labels, answers=size, models=models, confusion=confusion)


def _label_posteriors(ballots: Ballots, confusion: pl.DataFrame) -> pl.DataFrame:
    """The probability of each label (a column) for each row (a line)."""
    cell = ballots.cells(confusion.width)
    chances = confusion.select(pl.all().log()).select(pl.all().gather(cell))
    sums = sum_by(ballots.votes["row_id"], chances, ballots.rows)
    return _shares(sums.select(pl.all() - pl.max_horizontal(pl.all())).select(pl.all().exp()))


def _confusion_prior(models: int, size: int) -> pl.DataFrame:
    """The pseudo-votes, in the form of `Reliability.confusion`."""
    right, wrong = ROW_VOTES * DIAGONAL, ROW_VOTES * (1 - DIAGONAL) / (size - 1)
    return pl.DataFrame(
        {str(truth): [right if label == truth else wrong for label in range(size)] * models for truth in range(size)}
    )


def _per_truth(counts: pl.DataFrame, size: int) -> pl.DataFrame:
    """Counts as shares of all votes of a model for one true label."""
    model = pl.int_range(pl.len()) // size
    return counts.select(pl.all() / pl.all().sum().over(model))


def _shares(table: pl.DataFrame) -> pl.DataFrame:
    """Each line divided by its sum."""
    return table.select(pl.all() / pl.sum_horizontal(pl.all()))


def _fit_accuracy(
    ballots: Ballots, weights: pl.Series, models: pl.DataFrame, labels: tuple[str, ...] | None
) -> Reliability:
    """The fit of one accuracy per model. It starts with the share of votes for each answer of a row.

    `weights` says how many rows have the votes of each row.
    """
    candidates, votes = ballots.candidates, ballots.votes
    weight = weights.gather(votes["row_id"])
    most = candidates.group_by("row_id").len()["len"].max()
    answers = len(labels) if labels is not None else max(OPEN_ANSWERS, 1 + (most if isinstance(most, int) else 0))
    posterior = candidates.select(pl.col("votes") / pl.col("votes").sum().over("row_id"))["votes"]
    accuracy = pl.Series([RIGHT / (RIGHT + WRONG)] * len(models))
    for _ in range(MOST_ROUNDS):
        own = (posterior.gather(votes["candidate_id"]) * weight).alias("right").to_frame()
        right = sum_by(votes["model_id"], own, len(models))["right"]
        before, accuracy = accuracy, (right + RIGHT) / (models["votes"] + RIGHT + WRONG)
        posterior = _answer_posteriors(ballots, accuracy, answers)
        if max((accuracy - before).abs()) < CONVERGED:
            break
    return Reliability(labels=labels, answers=answers, models=models.with_columns(accuracy=accuracy), confusion=None)


def _answer_posteriors(ballots: Ballots, accuracy: pl.Series, answers: int) -> pl.Series:
    """The probability of each candidate.

    By Bayes' rule a vote makes its answer `accuracy * (answers - 1) / (1 - accuracy)` times as probable as an answer
    without votes. The answers without votes share the rest.
    """
    weight = (accuracy / (1 - accuracy) * (answers - 1)).log()
    votes = ballots.votes
    given = weight.gather(votes["model_id"]).alias("weight").to_frame()
    sums = sum_by(votes["candidate_id"], given, len(ballots.candidates))
    table = ballots.candidates.select("row_id").with_columns(sums["weight"])
    highest = pl.max_horizontal(pl.col("weight").max().over("row_id"), 0.0)
    table = table.with_columns(odds=(pl.col("weight") - highest).exp(), unvoted=(-highest).exp())
    others = pl.max_horizontal(0, answers - pl.len().over("row_id")) * pl.col("unvoted")
    return table.select(pl.col("odds") / (pl.col("odds").sum().over("row_id") + others))["odds"]
