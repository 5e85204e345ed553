"""What packs did to the rows in them: how many were answered, by size, and the labels by place in the pack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchfree.journal.pack_statistics import PackStatistics
from batchfree.quality.intervals import Proportion


@dataclass(frozen=True, slots=True, kw_only=True)
class PackSizeFigures:
    """How many rows of one model's packs of one size were answered."""

    model: str
    size: int
    packs: int
    answered: Proportion


@dataclass(frozen=True, slots=True, kw_only=True)
class PackFigures:
    """What packs did to the rows in them."""

    packs: int
    rows: int
    sizes: Sequence[PackSizeFigures]
    """By model and size."""
    all_sizes: Sequence[PackSizeFigures]
    """By size, over all models; `model` is empty."""
    places: Sequence[Mapping[str, Proportion]]
    """The share of each label at each place of a pack, from the first place on; empty without labels."""


def pack_figures(statistics: PackStatistics | None, labels: Sequence[str]) -> PackFigures | None:
    """The figures of packs; None without packs."""
    if statistics is None:
        return None
    sizes = sorted({each.size for each in statistics.yields})
    return PackFigures(
        packs=statistics.packs,
        rows=statistics.rows,
        all_sizes=[_of_size(statistics, size) for size in sizes],
        sizes=[
            PackSizeFigures(
                model=each.model,
                size=each.size,
                packs=each.packs,
                answered=Proportion(count=each.answered, total=each.rows),
            )
            for each in statistics.yields
        ],
        places=[
            {label: Proportion(count=place.get(label, 0), total=sum(place.values())) for label in labels}
            for place in statistics.places
            if labels
        ],
    )


def _of_size(statistics: PackStatistics, size: int) -> PackSizeFigures:
    """The figures of all packs of one size."""
    alike = [each for each in statistics.yields if each.size == size]
    answered = Proportion(count=sum(each.answered for each in alike), total=sum(each.rows for each in alike))
    return PackSizeFigures(model="", size=size, packs=sum(each.packs for each in alike), answered=answered)
