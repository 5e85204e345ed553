"""What packing does to a job: yield by model and size, what goes wrong, whether the place in a pack matters. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from batchfree.chat import JsonObject

DIGITS = 4


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


def measure(records: Iterable[PackRecord]) -> PackStatistics:
    """The statistics of these packs; those of a single row are no packs and are passed over."""
    packs, rows, answered = Counter[tuple[str, int]](), Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    fates, unknown, places = Counter[Fate](), 0, list[Counter[str]]()
    for record in records:
        size = len(record.fates)
        if size < 2:
            continue
        key = (record.model, size)
        packs[key] += 1
        rows[key] += size
        answered[key] += record.fates.count(Fate.ANSWERED)
        fates.update(record.fates)
        unknown += record.unknown
        _count_labels(record, places)
    total = rows.total()
    return PackStatistics(
        packs=packs.total(),
        rows=total,
        yields=tuple(
            Yield(model=key[0], size=key[1], packs=packs[key], rows=rows[key], answered=answered[key])
            for key in sorted(packs)
        ),
        shares={fate: fates[fate] / max(1, total) for fate in Fate},
        unknown=unknown / max(1, total),
        places=tuple(places),
    )


def _count_labels(record: PackRecord, places: list[Counter[str]]) -> None:
    for place, label in enumerate(record.labels):
        if place == len(places):
            places.append(Counter())
        if label is not None:
            places[place][label] += 1
