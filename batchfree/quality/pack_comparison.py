"""What packs do to answers: the same model's answers to the same rows, in a pack and alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batchfree.core.chat import JsonObject
from batchfree.quality.agreement import Coefficient
from batchfree.quality.intervals import Proportion
from batchfree.quality.paired_votes import McNemar, cohen_kappa, mcnemar


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedPair:
    """A model's two answers to one row, as keys that `answer_key` made for comparison.

    `alone` is None if the row got no usable answer alone. The scores are None without an expected value.
    """

    packed: str
    alone: str | None
    packed_right: bool | None = None
    alone_right: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackComparison:
    """The figures of a pack check."""

    asked: int
    """Rows that were asked alone as well."""
    equal: Proportion
    """Rows with the same answer, among those that got a usable answer alone."""
    kappa: Coefficient
    """Cohen's kappa of the two answers."""
    packed_right: Proportion
    """Right answers in packs, among the pairs with an expected value."""
    alone_right: Proportion
    """Right answers alone, among the same pairs."""
    difference: McNemar
    """McNemar's test of the same pairs; the answer in the pack is the first one."""

    def to_json(self) -> JsonObject:
        """As `--json` prints it; the p value is null if there are too few scored pairs to show it."""
        scored, test = self.packed_right, self.difference
        return {
            "asked": self.asked,
            "equal": self.equal.to_json(),
            "kappa": self.kappa.to_json(),
            "packed_right": scored.to_json(),
            "alone_right": self.alone_right.to_json(),
            "mcnemar": {
                "pairs": scored.total,
                "only_packed_right": test.only_first,
                "only_alone_right": test.only_second,
                "p_value": round(test.p_value, 6) if scored.is_shown else None,
            },
        }


def compare_packs(pairs: Sequence[PackedPair]) -> PackComparison:
    """The figures of these pairs."""
    both = [(pair.packed, pair.alone) for pair in pairs if pair.alone is not None]
    scores = [
        (pair.packed_right, pair.alone_right)
        for pair in pairs
        if pair.packed_right is not None and pair.alone_right is not None
    ]
    return PackComparison(
        asked=len(pairs),
        equal=Proportion(count=sum(packed == alone for packed, alone in both), total=len(both)),
        kappa=cohen_kappa(both),
        packed_right=Proportion(count=sum(packed for packed, _ in scores), total=len(scores)),
        alone_right=Proportion(count=sum(alone for _, alone in scores), total=len(scores)),
        difference=mcnemar(scores),
    )
