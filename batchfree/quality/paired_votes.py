"""Two sets of answers to the same rows: how much they agree, and whether one is better."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from batchfree.quality.agreement import Coefficient, coefficient
from batchfree.quality.ballots import readable_votes
from batchfree.quality.intervals import Interval, Proportion


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """McNemar's test on rows that were answered twice (1947, doi.org/10.1007/BF02295996); exact and two-sided."""

    only_first: int
    """Rows that only the first answer has right."""
    only_second: int
    """Rows that only the second answer has right."""

    @property
    def p_value(self) -> float:
        """The probability of a difference at least this large if both answers are equally good."""
        total, fewer = self.only_first + self.only_second, min(self.only_first, self.only_second)
        log_half = total * math.log(2)
        log_all = math.lgamma(total + 1)
        tail = math.fsum(
            math.exp(log_all - math.lgamma(k + 1) - math.lgamma(total - k + 1) - log_half) for k in range(fewer + 1)
        )
        return min(1.0, 2 * tail)


def mcnemar(pairs: Iterable[tuple[bool, bool]]) -> McNemar:
    """The test of pairs (whether the first answer is right, whether the second is)."""
    counts = Counter(pairs)
    return McNemar(only_first=counts[True, False], only_second=counts[False, True])


def cohen_kappa(pairs: Iterable[tuple[Hashable, Hashable]]) -> Coefficient:
    """Cohen's kappa (1960, doi.org/10.1177/001316446002000104) of pairs (first answer, second answer).

    The variance is that of Fleiss, Cohen and Everitt (1969, doi.org/10.1037/h0028106). It is 0 if all pairs are equal;
    then the lower end comes from Wilson's interval of the share of equal pairs.
    """
    return _kappa(Counter(pairs))


def pairwise_kappa(votes: pl.DataFrame) -> dict[tuple[str, str], Coefficient]:
    """Cohen's kappa of every two models that voted on a common row, by their ids in alphabetical order."""
    votes = readable_votes(votes)
    both = votes.join(votes, on="row", suffix="_2").filter(pl.col("model") < pl.col("model_2"))
    counts = (
        both.group_by("model", "model_2", "answer", "answer_2").len().sort("model", "model_2", "answer", "answer_2")
    )
    tables = defaultdict[tuple[str, str], dict[tuple[Hashable, Hashable], int]](dict)
    for first, second, answer, other, number in counts.iter_rows():
        tables[first, second][answer, other] = number
    return {pair: _kappa(table) for pair, table in tables.items()}


def _kappa(table: Mapping[tuple[Hashable, Hashable], int]) -> Coefficient:
    """Kappa from the number of rows by (first answer, second answer)."""
    rows = sum(table.values())
    first, second = Counter[Hashable](), Counter[Hashable]()
    for (answer, other), number in table.items():
        first[answer] += number
        second[other] += number
    if rows == 0 or len(first.keys() | second.keys()) < 2:
        return Coefficient(value=None, rows=rows, interval=None)
    by_chance = sum(first[label] * second[label] for label in first) / rows**2
    equal = sum(number for (answer, other), number in table.items() if answer == other) / rows
    kappa = (equal - by_chance) / (1 - by_chance)
    if equal == 1:
        low = (Proportion(count=rows, total=rows).interval.low - by_chance) / (1 - by_chance)
        return Coefficient(value=1.0, rows=rows, interval=Interval(low=max(-1.0, low), high=1.0))
    spread = math.fsum(
        number / rows * (1 - (first[answer] + second[answer]) / rows * (1 - kappa)) ** 2
        if answer == other
        else number / rows * ((second[answer] + first[other]) / rows * (1 - kappa)) ** 2
        for (answer, other), number in table.items()
    )
    spread -= (kappa - by_chance * (1 - kappa)) ** 2
    return coefficient(kappa, rows, spread / (rows * (1 - by_chance) ** 2))
