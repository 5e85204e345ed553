"""What a pilot decided: which models stay, and the ranking behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batchfree.journal.attempts import PilotDecision
from batchfree.quality.intervals import Proportion


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotRank:
    """A model in the ranking of a pilot. `right` is counted if `measured` is true, else estimated."""

    model: str
    right: Proportion
    measured: bool
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotFigures:
    """What a pilot decided: the models that stay, and all models, the best first."""

    kept: Sequence[str]
    ranking: Sequence[PilotRank]

    @property
    def is_measured(self) -> bool:
        """Whether the models were ranked by expected values, and not by an estimate."""
        return any(each.measured for each in self.ranking)


def pilot_figures(decision: PilotDecision) -> PilotFigures:
    """The figures of a pilot's decision."""
    ranking = [
        PilotRank(
            model=each.model,
            right=Proportion(count=each.right * each.votes, total=each.votes),
            measured=each.measured,
            kept=each.model in decision.kept,
        )
        for each in decision.ranking
    ]
    return PilotFigures(kept=decision.kept, ranking=ranking)
