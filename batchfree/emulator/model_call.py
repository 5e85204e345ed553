"""One model that is about to answer one request: the facts for fault rules and for draws of chance."""

from __future__ import annotations

from dataclasses import dataclass

from batchfree.emulator import chance


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """Counts start at one; `seconds` is the time since the service started, `now` epoch seconds.

    `asked` is the id in the request, such as `openrouter/free`; `model` is the id of the model that answers.
    `content` is the last user message. `about` is different for every request.
    """

    model: str
    provider: str
    asked: str
    content: str
    number: int
    number_of_model: int
    seconds: float
    now: float
    seed: int
    about: bytes

    def uniform(self, *purpose: object) -> float:
        """A number from 0 to below 1, always the same for the same request, model and purpose."""
        return chance.uniform(self.seed, self.about, self.model, *purpose)
