"""Checks the lines of an input file as OpenAI does, and writes them as the job will read them.

Source of the codes of mistakes: OpenAI's guide to the Batch API. The job only gets lines that a chat call may send too,
so a batch is as free of charge as a chat call.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from batchfree.core.chat import JsonObject
from batchfree.gateway.batches.batch_record import CHAT_ENDPOINT, LineMistake
from batchfree.gateway.chat_call import call_of
from batchfree.gateway.http_refusal import HttpRefusal

MOST_LINES = 50_000
"""Most requests of one batch (OpenAI's guide to the Batch API)."""
MOST_MISTAKES = 100
"""Most mistakes that are reported. Reading ends there."""
LONGEST_ID = 512
"""Most characters of a `custom_id`."""


@dataclass(slots=True)
class LineChecker:
    """Checks the lines of one file, one after the other. `allowed` as in `call_of`; `model` is that of all lines."""

    allowed: Sequence[str] | None
    model: str | None = None
    lines: int = 0
    mistakes: list[LineMistake] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def take(self, raw: bytes, number: int) -> bytes | None:
        """The line for the job, with its end; None for a blank or wrong one. `number` counts from one."""
        if not raw.strip():
            return None
        self.lines += 1
        if self.lines > MOST_LINES:
            return self._blame(number, "too_many_requests", f"a batch holds at most {MOST_LINES:,} requests")
        try:
            line = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse)
        except (ValueError, RecursionError):
            return self._blame(number, "invalid_json_line", "This line is not parseable as valid JSON.")
        if not isinstance(line, dict):
            return self._blame(number, "invalid_json_line", "This line is not a JSON object.")
        return self._checked(line, number)

    def end(self) -> list[LineMistake]:
        """Every mistake of the file."""
        if not self.lines and not self.mistakes:
            self._blame(None, "empty_file", "the file holds no requests")
        return self.mistakes

    def _checked(self, line: JsonObject, number: int) -> bytes | None:
        name, body = line.get("custom_id"), line.get("body")
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_ID:
            what = f"`custom_id` must be a text of 1 to {LONGEST_ID} characters"
            return self._blame(number, "missing_required_parameter", what, "custom_id")
        if name in self._seen:
            return self._blame(number, "duplicate_custom_id", f"The custom_id {name!r} occurs twice.", "custom_id")
        self._seen.add(name)
        if line.get("method") != "POST":
            return self._blame(number, "invalid_method", "`method` must be POST", "method")
        if line.get("url") != CHAT_ENDPOINT:
            return self._blame(number, "invalid_url", f"`url` must be {CHAT_ENDPOINT}", "url")
        if not isinstance(body, dict):
            return self._blame(number, "missing_required_parameter", "`body` must be an object", "body")
        return self._with_call(name, body, number)

    def _with_call(self, name: str, body: JsonObject, number: int) -> bytes | None:
        if "models" in body or not isinstance(body.get("model"), str):
            return self._blame(number, "invalid_model", "a line of a batch names one model", "body.model")
        call = call_of(body, self.allowed)
        if isinstance(call, HttpRefusal):
            return self._blame(number, "invalid_request", call.message, "body")
        self.model = self.model or body["model"]
        if body["model"] != self.model:
            what = f"all lines of a batch ask one model; the first asks {self.model}"
            return self._blame(number, "mismatched_model", what, "body.model")
        sent = {"messages": list(call.request.messages), **call.request.parameters}
        line = {"custom_id": name, "method": "POST", "url": CHAT_ENDPOINT, "body": {"model": self.model, **sent}}
        return json.dumps(line).encode() + b"\n"

    def _blame(self, line: int | None, code: str, message: str, param: str | None = None) -> bytes | None:
        """Notes a mistake; the job does not get the line."""
        self.mistakes.append(LineMistake(code=code, message=message[:500], line=line, param=param))
        return None

    @property
    def has_enough(self) -> bool:
        """Whether there are enough mistakes to stop reading the file."""
        return len(self.mistakes) >= MOST_MISTAKES or self.lines > MOST_LINES


def _refuse(constant: str) -> None:
    raise ValueError(constant)
