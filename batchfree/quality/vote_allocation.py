"""Which rows are asked once more, and when a row has votes enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class VotingRule:
    """How many votes a row gets: the keys of `votes` in a job file."""

    min: int = 1
    """Votes that every row gets before any row gets more."""
    max: int = 1
    """Most votes of a row."""
    agree: int = 1
    """A row is settled when its leading answer is this many votes ahead."""
    budget: float | None = None
    """Most votes per row on average; None for no limit. Every row gets its first `min` votes in any case."""

    @overload
    def is_settled(self, votes: int, lead: int) -> bool: ...
    @overload
    def is_settled(self, votes: pl.Expr, lead: pl.Expr) -> pl.Expr: ...
    def is_settled(self, votes: int | pl.Expr, lead: int | pl.Expr) -> bool | pl.Expr:
        """Whether a row with `votes` votes is settled. `lead` is how many votes its leading answer is ahead."""
        return (votes >= self.min) & (lead >= self.agree)

    @overload
    def is_open(self, votes: int, lead: int) -> bool: ...
    @overload
    def is_open(self, votes: pl.Expr, lead: pl.Expr) -> pl.Expr: ...
    def is_open(self, votes: int | pl.Expr, lead: int | pl.Expr) -> bool | pl.Expr:
        """Whether a row may get another vote, if the budget allows it."""
        return (votes < self.min) | ((votes < self.max) & (lead < self.agree))

    def votes_left(self, *, rows: int, votes: int, owed: int = 0) -> int | None:
        """The votes that the budget leaves for rows beyond their first `min`; None for no limit.

        The job has `rows` rows and has got `votes` votes; `owed` votes are missing until every row has `min`.
        """
        return None if self.budget is None else max(0, math.floor(self.budget * rows + 1e-6) - votes - owed)


def rows_to_ask(
    state: pl.DataFrame, rule: VotingRule, *, waiting: Sequence[int] = (), closed: Sequence[int] = ()
) -> pl.Series:
    """The rows that get the next vote, one each, the most urgent first.

    `state` has a line for every row of the job, also for rows without votes, with the columns `row`, `votes`, `lead`
    and `confidence` as `consensus` gives them; null counts as 0. `waiting` has the row of each vote in flight. `closed`
    has the rows that can't be asked again: no model is left, or the row failed for good.

    Rows with fewer than `min` votes come first, the row with the fewest votes at the front. The other open rows follow
    as far as the budget goes, the row with the least confidence at the front. Each of them is asked for one vote at a
    time.
    """
    asked = pl.Series("row", list(waiting), dtype=state["row"].dtype).value_counts(name="asked")
    state = state.join(asked, on="row", how="left").select(
        "row",
        pl.col("votes", "lead", "asked").fill_null(0).cast(pl.Int64),
        pl.col("confidence").fill_null(0.0),
        is_closed=pl.col("row").is_in(list(closed)),
    )
    total = pl.col("votes") + pl.col("asked")
    may_ask = state.filter(~pl.col("is_closed"))
    first = may_ask.filter(total < rule.min).sort(total, "row")["row"]
    is_open = (total >= rule.min) & (pl.col("asked") == 0) & rule.is_open(pl.col("votes"), pl.col("lead"))
    more = may_ask.filter(is_open).sort("confidence", "row")["row"]
    owed = int(may_ask.select((rule.min - total).clip(0).sum()).item())
    left = rule.votes_left(rows=len(state), votes=int(state.select(total.sum()).item()), owed=owed)
    return pl.concat([first, more if left is None else more.head(left)])
