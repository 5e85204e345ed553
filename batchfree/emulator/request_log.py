"""The emulated service's own record: every POST, its outcome, and the counts per clock minute and UTC day."""

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
    """One POST to `/chat/completions`. It is not finished until `done_at` is set. `number` counts from one.

    Times are epoch seconds, `cost` is in USD. `body` is the parsed JSON (None if it was not JSON), `asked` the ids in
    the request, `tried` the models in order. `fault` holds the names of all faults played, joined by "+". `rows` maps
    the prompt of each row to its answer in the reply. `counted` says that the request counts against the quota of free
    models, `delivered` that the client received the whole reply.
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
        """The answer cost money."""
        return self.cost > 0

    def as_line(self) -> str:
        """One line of the file: a JSON object without the headers."""
        names = (name for name in self.__slots__ if name != "headers")
        return json.dumps({name: getattr(self, name) for name in names}, ensure_ascii=False, default=str)


class RequestLog:
    """Every POST in the order of arrival; with a `path`, each is also appended to that file once it is done."""

    def __init__(self, path: Path | None = None) -> None:
        self.requests: list[LoggedRequest] = []
        self.path = path
        if path is not None:
            path.touch()

    def open(self, at: float, headers: Mapping[str, str]) -> LoggedRequest:
        """Adds a POST that has arrived; headers that hold secrets are left out."""
        kept = {name: value for name, value in headers.items() if name not in SECRET_HEADERS}
        logged = LoggedRequest(number=len(self.requests) + 1, at=at, headers=kept)
        self.requests.append(logged)
        return logged

    def close(self, logged: LoggedRequest, at: float) -> None:
        """Marks a POST as done, and writes it to the file."""
        logged.done_at = at
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(logged.as_line() + "\n")

    @property
    def per_minute(self) -> Counter[int]:
        """Number of POSTs by epoch minute; refused ones count too."""
        return Counter(int(logged.at // 60) for logged in self.requests)

    @property
    def per_day(self) -> Counter[str]:
        """Number of POSTs by UTC day (YYYY-MM-DD); refused ones count too."""
        return Counter(f"{datetime.fromtimestamp(logged.at, UTC):%Y-%m-%d}" for logged in self.requests)

    @property
    def answered(self) -> list[LoggedRequest]:
        """POSTs with an answer that reached the client."""
        return [logged for logged in self.requests if logged.rows and logged.delivered]

    @property
    def paid(self) -> list[LoggedRequest]:
        """POSTs that cost money."""
        return [logged for logged in self.requests if logged.paid]

    def answers(self) -> dict[str, list[str]]:
        """The answers that each prompt got, in order."""
        found: dict[str, list[str]] = {}
        for logged in self.answered:
            for prompt, answer in logged.rows.items():
                found.setdefault(prompt, []).append(answer)
        return found
