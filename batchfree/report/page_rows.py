"""The rows of the page as JSON for its script, in few bytes.

Thousands of rows share models and replies. So each model and each reply is written once, and rows hold its number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batchfree.core.chat import Json, JsonObject
from batchfree.report.count_rows import TEXT

MOST_BYTES = 1_500_000
"""Most bytes of the rows on the page. If the rows need more, their texts are cut."""
LIMITS = (TEXT, 450, 300, 200, 150, 100, 75, 40)
"""Most characters of a text. The limits are tried in this order until the rows fit."""
TEXTS = ("p", "a", "x", "e")
"""The keys of a row's long texts: prompt, answer, expected value, error."""
IN_JSON = {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
"""JSON escapes for the characters that could end the script element around the rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRows:
    """The rows as JSON for a script element. `limit` is the number of characters at which texts were cut."""

    text: str
    limit: int


def page_rows(rows: Sequence[JsonObject]) -> PageRows:
    """The rows in at most `MOST_BYTES` bytes; if they never fit, with the shortest texts."""
    for limit in LIMITS:
        text = json.dumps(_document(rows, limit), ensure_ascii=False, separators=(",", ":"))
        if len(text.encode("utf-8", "surrogatepass")) <= MOST_BYTES:
            break
    for character, escape in IN_JSON.items():
        text = text.replace(character, escape)
    return PageRows(text=text, limit=limit)


def _document(rows: Sequence[JsonObject], limit: int) -> JsonObject:
    models, replies = dict[str, int](), dict[str, int]()

    def cut(text: str) -> str:
        return text if limit >= TEXT or len(text) <= limit else f"{text[:limit]}…"

    def numbered(names: dict[str, int]) -> Callable[[str], int]:
        return lambda name: names.setdefault(name, len(names))

    model, reply = numbered(models), numbered(replies)
    written = [_row(row, model, lambda text: reply(cut(text)), cut) for row in rows]
    return {"models": list(models), "replies": list(replies), "rows": written}


def _row(
    row: JsonObject, model: Callable[[str], int], reply: Callable[[str], int], cut: Callable[[str], str]
) -> JsonObject:
    """The row with cut texts, and with numbers instead of models and reply."""
    changed: JsonObject = {key: cut(row[key]) for key in TEXTS if key in row}
    if "m" in row:
        changed["m"] = model(row["m"])
    if "r" in row:
        changed["r"] = reply(row["r"])
    if "v" in row:
        changed["v"] = [[model(name), answer] for name, answer in row["v"]]
    tries: list[Json] = [[at, model(name), *rest] for at, name, *rest in row["t"]]
    return {**row, **changed, "t": tries}
