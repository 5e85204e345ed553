"""What the emulated service saw: every POST, what became of it, and the counts per clock minute and UTC day."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(slots=True, kw_only=True)
class LoggedRequest:
    """One POST to `/chat/completions`; times in epoch seconds. It changes until `done_at` is set.

    `body` is the parsed JSON (None where it was none); `fault` names every fault played, joined by "+"; `rows` maps
    each prompt (a pack's rows each for themselves) to the answer given; `tried` are the models in order.
    """

    number: int
    at: float
    headers: Mapping[str, str]
    body: Any = None
    asked: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    status: int | None = None
    model: str | None = None
    fault: str | None = None
    finish_reason: str | None = None
    cost: float = 0.0
    rows: Mapping[str, str] = field(default_factory=dict)
    generation: str | None = None
    counted: bool = False
    delivered: bool = False
    done_at: float | None = None

    @property
    def paid(self) -> bool:
        """A model that costs money was asked, or the answer was charged."""
        return self.cost > 0

    def as_line(self) -> str:
        """One JSON object, for the book on disk."""
        names = (name for name in self.__slots__ if name != "headers")
        return json.dumps({name: getattr(self, name) for name in names}, ensure_ascii=False, default=str)


class RequestLog:
    """Every POST in the order of arrival; with a `path`, each is also appended there as a line when it is done."""

    def __init__(self, path: Path | None = None) -> None:
        self.requests: list[LoggedRequest] = []
        self.path = path
        self._file = path.open("a", encoding="utf-8") if path else None

    def open(self, at: float, headers: Mapping[str, str]) -> LoggedRequest:
        """Note an arrival, without the key."""
        kept = {name: value for name, value in headers.items() if name not in SECRET_HEADERS}
        logged = LoggedRequest(number=len(self.requests) + 1, at=at, headers=kept)
        self.requests.append(logged)
        return logged

    def close(self, logged: LoggedRequest, at: float) -> None:
        """Note that nothing more will happen to this POST."""
        logged.done_at = at
        if self._file is not None:
            self._file.write(logged.as_line() + "\n")
            self._file.flush()

    @property
    def per_minute(self) -> Counter[int]:
        """POSTs by clock minute (epoch minutes), refused ones included."""
        return Counter(int(logged.at // 60) for logged in self.requests)

    @property
    def per_day(self) -> Counter[str]:
        """POSTs by UTC day (YYYY-MM-DD), refused ones included."""
        return Counter(f"{datetime.fromtimestamp(logged.at, UTC):%Y-%m-%d}" for logged in self.requests)

    @property
    def answered(self) -> list[LoggedRequest]:
        """POSTs that brought an answer which reached the client whole."""
        return [logged for logged in self.requests if logged.rows and logged.delivered]

    @property
    def paid(self) -> list[LoggedRequest]:
        """POSTs that cost money. There should be none."""
        return [logged for logged in self.requests if logged.paid]

    def answers(self) -> dict[str, list[str]]:
        """Prompt → the answers that it got, in order."""
        found: dict[str, list[str]] = {}
        for logged in self.answered:
            for prompt, answer in logged.rows.items():
                found.setdefault(prompt, []).append(answer)
        return found
