"""Refusals before the first answer of a run: are the rows at fault, or the job?

Until the service has answered once, a refused request says nothing about its row: the key, the model's name or a
parameter may be wrong. So the refusal of a row is held back. If an answer arrives, the row was at fault. If a few
refusals arrive in the same words, and no answer, the job is at fault.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from batchfree.core.chat import Failure, Judged, Kind
from batchfree.core.consequences import CONSEQUENCES, Consequence
from batchfree.core.stops import Stopped, StopReason
from batchfree.journal.attempts import Attempt
from batchfree.service.routing import Draw

FEW = 5
"""Refusals in the same words without one answer, after which the run stops."""
NOT_REFUSED = (408, 409, 425, 429)
"""Statuses from 400 on that a later request may not get."""
OF_OWN_MODEL = (Kind.INVALID_REQUEST, Kind.MODEL_UNAVAILABLE, Kind.BAD_RESPONSE)
"""Kinds of refusals by the only model of the user's own. If there are other models, only the first kind counts."""

_VARYING = re.compile(r"[0-9a-f]{8}[0-9a-f-]*|\d+", re.IGNORECASE)


class Refusals:
    """The refusals of one run until its first answer."""

    def __init__(self) -> None:
        self._is_answering = False
        self._words = Counter[str]()
        self._held: list[Attempt] = []

    def concerns(self, judged: Judged, draw: Draw) -> bool:
        """Whether this response is a refusal for which row or job may still be at fault."""
        return not self._is_answering and isinstance(judged, Failure) and _is_refusal(judged, draw)

    def add(self, attempt: Attempt) -> Stopped | None:
        """Counts a refusal. Returns the reason to stop the run if the job is at fault."""
        if len(attempt.outcomes) == 1 and attempt.kind is not None and CONSEQUENCES[attempt.kind] is Consequence.REJECT:
            self._held.append(attempt)
        words = _VARYING.sub("#", attempt.error or "")
        self._words[words] += 1
        if self._words[words] < FEW:
            return None
        message = f"every request is refused in the same words: {attempt.error}; no row has failed for it"
        return Stopped(reason=StopReason.REFUSED, message=message)

    def holds(self, attempt: Attempt) -> bool:
        """Whether the refusal of this attempt is held back."""
        return any(attempt is each for each in self._held)

    def settle(self, judged: Judged) -> Sequence[Attempt]:
        """The refusals that were the rows' own fault, once the service has answered; none before that."""
        if self._is_answering:
            return ()
        if isinstance(judged, Failure) and CONSEQUENCES[judged.kind] is not Consequence.ANOTHER_ANSWER:
            return ()
        self._is_answering = True
        return self.close()

    def close(self) -> Sequence[Attempt]:
        """The refusals that are still held back. At the end of a run they count against their rows."""
        held, self._held = self._held, []
        return held


def _is_refusal(failure: Failure, draw: Draw) -> bool:
    status = failure.status or 0
    if not 400 <= status < 500 or status in NOT_REFUSED or failure.unsupported is not None:
        return False
    return failure.kind in (OF_OWN_MODEL if draw.is_own else (Kind.INVALID_REQUEST,))
