"""The results of packs in a job: answered rows by model and pack size, kinds of loss, label counts by place in a pack.

These numbers are only shown to people. `answers.packs.sizes` chooses pack sizes, `service.routing.health` chooses
models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from batchfree.core.chat import JsonObject, Kind
from batchfree.journal.attempts import MISSING, Attempt, Outcome

DIGITS = 4
Size: TypeAlias = tuple[str, int]
"""A model id and a number of rows in one pack."""


class PackedRowStatus(StrEnum):
    """What happened to one row of a pack whose reply arrived."""

    ANSWERED = "answered"
    MISSING = "missing"
    INVALID = "invalid"
    CUT_OFF = "cut_off"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackReply:
    """One reply to a pack. `statuses` and `labels` are in the order of the pack; `labels` is empty without labels."""

    model: str
    statuses: tuple[PackedRowStatus, ...]
    labels: tuple[str | None, ...] = ()
    unknown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PackYield:
    """Totals of one model over packs of one size."""

    model: str
    size: int
    packs: int
    rows: int
    answered: int

    @property
    def share(self) -> float:
        """Answered rows over rows asked."""
        return self.answered / self.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class PackStatistics:
    """Totals over all packs of a job. `shares` and `unknown` are per row, `places` label counts by place, from zero."""

    packs: int
    rows: int
    yields: tuple[PackYield, ...]
    shares: Mapping[PackedRowStatus, float]
    unknown: float
    places: tuple[Mapping[str, int], ...]

    def __str__(self) -> str:
        counts = {each: round(self.shares[each] * self.rows) for each in PackedRowStatus}
        answered = counts.pop(PackedRowStatus.ANSWERED)
        lost = (f"{number:,} {status.replace('_', ' ')}" for status, number in counts.items())
        return (
            f"{self.packs:,} replies to packs of {self.rows / self.packs:.1f} rows on average: "
            f"{answered:,} of {self.rows:,} rows answered, {', '.join(lost)}"
        )

    def to_json(self) -> JsonObject:
        """As JSON for `--json`; shares are rounded to four digits."""
        return {
            "packs": self.packs,
            "rows": self.rows,
            "shares": {str(status): round(share, DIGITS) for status, share in self.shares.items()},
            "unknown_keys_per_row": round(self.unknown, DIGITS),
            "yield": [
                {"model": each.model, "size": each.size, "packs": each.packs, "rows": each.rows,
                 "share": round(each.share, DIGITS)}
                for each in self.yields
            ],
            "labels_by_place": [_place(place, counts) for place, counts in enumerate(self.places)],
        }  # fmt: skip


def _place(place: int, counts: Mapping[str, int]) -> JsonObject:
    rows = sum(counts.values())
    shares = {label: round(count / rows, DIGITS) for label, count in sorted(counts.items())}
    return {"place": place, "rows": rows, "shares": shares}


class PackCounter:
    """Counts packs one by one. Its memory grows with models, sizes and labels, not with the number of packs."""

    def __init__(self) -> None:
        self._packs, self._rows, self._answered = Counter[Size](), Counter[Size](), Counter[Size]()
        self._statuses, self._unknown = Counter[PackedRowStatus](), 0
        self._places = list[Counter[str]]()

    def add(self, reply: PackReply) -> None:
        """Counts one more reply."""
        key = (reply.model, len(reply.statuses))
        self._packs[key] += 1
        self._rows[key] += len(reply.statuses)
        self._answered[key] += reply.statuses.count(PackedRowStatus.ANSWERED)
        self._statuses.update(reply.statuses)
        self._unknown += reply.unknown
        for place, label in enumerate(reply.labels):
            if place == len(self._places):
                self._places.append(Counter())
            if label is not None:
                self._places[place][label] += 1

    def statistics(self) -> PackStatistics | None:
        """The totals so far; None before the first pack."""
        total = self._rows.total()
        if not total:
            return None
        return PackStatistics(
            packs=self._packs.total(),
            rows=total,
            yields=tuple(
                PackYield(
                    model=key[0],
                    size=key[1],
                    packs=self._packs[key],
                    rows=self._rows[key],
                    answered=self._answered[key],
                )
                for key in sorted(self._packs)
            ),
            shares={each: self._statuses[each] / total for each in PackedRowStatus},
            unknown=self._unknown / total,
            places=tuple(Counter(place) for place in self._places),
        )


def pack_reply(attempt: Attempt, labels: Collection[str]) -> PackReply | None:
    """The reply to a pack as it is counted; None for other attempts. `labels` are the labels of the job, if any."""
    if len(attempt.outcomes) < 2 or attempt.kind not in (None, Kind.TRUNCATED):
        return None
    given = tuple(each.answer if labels and each.answer in labels else None for each in attempt.outcomes)
    statuses = tuple(map(_packed_row_status, attempt.outcomes))
    return PackReply(
        model=attempt.model_or_route, statuses=statuses, labels=given if labels else (), unknown=attempt.unknown
    )


def _packed_row_status(outcome: Outcome) -> PackedRowStatus:
    if outcome.kind is None:
        return PackedRowStatus.ANSWERED
    if outcome.kind is Kind.TRUNCATED:
        return PackedRowStatus.CUT_OFF
    return PackedRowStatus.MISSING if outcome.error == MISSING else PackedRowStatus.INVALID
