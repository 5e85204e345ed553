"""What packing does to a job: yield by model and size, what goes wrong, whether the place in a pack matters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from batchfree.core.chat import JsonObject

DIGITS = 4
Size: TypeAlias = tuple[str, int]
"""A model, and the rows of a pack that it replied to."""


class Fate(StrEnum):
    """What became of a row in a pack whose reply arrived."""

    ANSWERED = "answered"
    MISSING = "missing"
    INVALID = "invalid"
    CUT_OFF = "cut_off"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackRecord:
    """One reply to a pack: the rows' fates and labels in the order of the pack. `labels` is empty for other answers."""

    model: str
    fates: tuple[Fate, ...]
    labels: tuple[str | None, ...] = ()
    unknown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Yield:
    """How many rows a model answered in packs of one size."""

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
    """Packs measured. Shares are of all rows in packs; `places` are label counts by place in the pack, from zero."""

    packs: int
    rows: int
    yields: tuple[Yield, ...]
    shares: Mapping[Fate, float]
    unknown: float
    places: tuple[Mapping[str, int], ...]

    def __str__(self) -> str:
        lost = (f"{self.shares[fate]:.1%} {fate.replace('_', ' ')}" for fate in Fate if fate is not Fate.ANSWERED)
        return (
            f"{self.packs} replies to packs of {self.rows / self.packs:.1f} rows on average: "
            f"{self.shares[Fate.ANSWERED]:.1%} of the rows answered, {', '.join(lost)}"
        )

    def to_json(self) -> JsonObject:
        """As plain data; shares are rounded."""
        return {
            "packs": self.packs,
            "rows": self.rows,
            "shares": {**{str(fate): round(share, DIGITS) for fate, share in self.shares.items()}},
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


class Meter:
    """Measures packs one by one; what it remembers grows with models, sizes and labels, not with packs."""

    def __init__(self) -> None:
        self._packs, self._rows, self._answered = Counter[Size](), Counter[Size](), Counter[Size]()
        self._fates, self._unknown = Counter[Fate](), 0
        self._places = list[Counter[str]]()

    def add(self, record: PackRecord) -> None:
        """One more reply."""
        key = (record.model, len(record.fates))
        self._packs[key] += 1
        self._rows[key] += len(record.fates)
        self._answered[key] += record.fates.count(Fate.ANSWERED)
        self._fates.update(record.fates)
        self._unknown += record.unknown
        for place, label in enumerate(record.labels):
            if place == len(self._places):
                self._places.append(Counter())
            if label is not None:
                self._places[place][label] += 1

    def statistics(self) -> PackStatistics | None:
        """The packs so far, measured; None where there were none."""
        total = self._rows.total()
        if not total:
            return None
        return PackStatistics(
            packs=self._packs.total(),
            rows=total,
            yields=tuple(
                Yield(
                    model=key[0],
                    size=key[1],
                    packs=self._packs[key],
                    rows=self._rows[key],
                    answered=self._answered[key],
                )
                for key in sorted(self._packs)
            ),
            shares={fate: self._fates[fate] / total for fate in Fate},
            unknown=self._unknown / total,
            places=tuple(Counter(place) for place in self._places),
        )
