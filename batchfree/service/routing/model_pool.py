"""The models on offer for one job: the catalogue under the job's routing policy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from batchfree.service.routing.eligibility import eligible, is_large_enough, offer, why_none, without_lengths
from batchfree.service.routing.model import Model
from batchfree.service.routing.policy import PilotRating, RoutingPolicy
from batchfree.service.routing.requirements import Requirements


class ModelPool:
    """The models of one catalogue. A new catalogue needs a new pool, because a pool remembers which models are able."""

    def __init__(self, catalogue: Sequence[Model] | None, policy: RoutingPolicy) -> None:
        """`catalogue` is None if none is known."""
        self.models = None if catalogue is None else offer(catalogue, policy)
        self._policy = policy
        self._able: dict[tuple[Requirements, date], tuple[Model, ...]] = {}
        self._reasons: dict[tuple[Requirements, date], str] = {}

    def eligible(self, needs: Requirements, today: date) -> tuple[Model, ...] | None:
        """The models that may answer, by abilities and lengths; None without a catalogue. `today` is a UTC date."""
        if self.models is None:
            return None
        return tuple([model for model in self.able(needs, today) if is_large_enough(model, needs)])

    def able(self, needs: Requirements, today: date) -> tuple[Model, ...]:
        """The models that could answer if lengths did not matter; none without a catalogue."""
        key = (without_lengths(needs), today)
        if key not in self._able:
            self._able[key] = eligible(self.models or (), key[0], self._policy, today)
        return self._able[key]

    def why_none(self, needs: Requirements, today: date) -> str:
        """Why no model can do what the request needs, with the number of models for each reason."""
        key = (without_lengths(needs), today)
        if key not in self._reasons:
            reasons = why_none(self.models or (), key[0], self._policy, today)
            self._reasons[key] = "; ".join(reasons) or "the catalogue is empty"
        return self._reasons[key]

    def rating(self, model_id: str) -> PilotRating | None:
        """The results of the model in a pilot; None without a pilot."""
        return None if self._policy.kept is None else self._policy.kept.get(model_id)

    def named(self, model_id: str | None) -> Model | None:
        """The model of this id, if it is on offer."""
        return next((model for model in self.models or () if model.id == model_id), None)
