"""Decides when to give up a service that can't be reached, or that refuses all requests by its limit per minute."""

from __future__ import annotations

from batchfree.core.chat import Failure, Judged, Kind
from batchfree.core.stops import Stopped, StopReason

LOST_S = 30.0
"""The run ends after this number of seconds with only failed connections."""
LONGEST_GAP_S = 35.0
"""After a longer time without a request, while the run waits for a limit, a few failures are forgotten."""
FEW = 5
"""From this number of failed connections on, they are not forgotten."""
REFUSED_S = 900.0
"""The run ends after this number of seconds with only refusals by the limit per minute."""


class Reach:
    """The latest results of requests to a service: failures, refusals or responses. Times in epoch seconds."""

    def __init__(self) -> None:
        self.lost_since: float | None = None
        """When the first of the failed connections since the last response failed; None if the last request got one."""
        self._last_lost, self._losses = float("-inf"), 0
        self._refused_since: float | None = None

    def note(self, judged: Judged, now: float) -> Stopped | None:
        """Notes the result of a request at `now`. Returns the reason to end the run, if there is one."""
        if not isinstance(judged, Failure):
            self.lost_since = self._refused_since = None
            return None
        if judged.kind is Kind.CONNECTION:
            if self.lost_since is None or (now - self._last_lost > LONGEST_GAP_S and self._losses < FEW):
                self.lost_since, self._losses = now, 0
            self._last_lost, self._losses = now, self._losses + 1
            return _lost(judged) if now - self.lost_since >= LOST_S else None
        self.lost_since = None
        if judged.kind is Kind.MINUTE_LIMIT:
            self._refused_since = now if self._refused_since is None else self._refused_since
            return _refused(judged) if now - self._refused_since >= REFUSED_S else None
        self._refused_since = None
        return None


def _lost(failure: Failure) -> Stopped:
    message = f"{failure.message}; nothing but failed connections for {LOST_S:g} seconds. Run again later"
    return Stopped(reason=StopReason.SERVICE_DOWN, message=message)


def _refused(failure: Failure) -> Stopped:
    message = (
        f"the service has refused every request by its limit per minute for {REFUSED_S / 60:g} minutes "
        f"({failure.message}); run again later, or lower limits.requests_per_minute"
    )
    return Stopped(reason=StopReason.SERVICE_DOWN, message=message)
