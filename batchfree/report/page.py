"""The report as one HTML file that loads nothing: it contains its style, its script and its data.

Jinja escapes every text from outside, or the text is part of the JSON, which the script shows as text. The page's
content security policy allows its one style and its one script, by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from batchfree.core.text import clean
from batchfree.quality.normalise import normalise
from batchfree.report.collect import CollectedReport
from batchfree.report.page_rows import page_rows

WAITS = {
    "minute": "the requests of the minute were used up",
    "day": "the requests of the day were used up",
    "quota": "the requests of the day were used up",
    "ledger": "the quota ledger could not be reached",
}
"""Why a run waits, by the reason in the log."""
SHADES = 6
"""Number of shades of a cell in a confusion matrix."""


def render_page(collected: CollectedReport) -> str:
    """The HTML text."""
    style, script = _part("page.css"), _part("page.js")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    rows = page_rows(collected.rows)
    html = (
        _environment()
        .from_string(_part("page.html.j2"))
        .render(
            report=collected.report,
            policy=policy,
            style=Markup(style),
            script=Markup(script),
            rows=Markup(rows.text),
            shown=len(collected.rows),
            added=len(collected.rows) - collected.shown,
            text_limit=rows.limit,
        )
    )
    return clean(html)


@cache
def _part(name: str) -> str:
    return (files("batchfree.report") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The source of a content security policy that allows this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


FILTERS: dict[str, Callable[[Any], Any]] = {
    "duration": lambda seconds: _duration(seconds),
    "wait": lambda reason: WAITS.get(reason, reason),
    "percent": lambda share: f"{_percent(share)} %",
    "number": lambda value: f"{value:,}",
    "decimals": lambda value: f"{value:.2f}".replace("-", "−"),
    "seconds": lambda value: f"{1000 * value:.0f} ms" if value < 1 else f"{value:.1f} s",
    "moment": lambda value: _moment(value),
    "range": lambda interval: f"{_percent(interval.low)}–{_percent(interval.high)} %",
    "probability": lambda value: "below 0.001" if value < 0.001 else f"{value:.3f}",
    "place": lambda value: f"{100 * min(1.0, max(0.0, value)):.2f}%",
    "shade": lambda share: round(SHADES * share),
    "normalise": normalise,
}
"""The template's filters: they write shares, numbers, times, and places in a chart."""


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= FILTERS
    return environment


def _percent(share: float) -> str:
    """A share in per cent; near 0 and near 100 with one decimal."""
    text = f"{100 * share:.{int(0 < share < 0.01 or 0.99 < share < 1)}f}"
    return text.removesuffix(".0") if text in ("0.0", "100.0") else text


def _duration(seconds: float) -> str:
    """A length of time in its two largest units."""
    left, parts = round(seconds), list[str]()
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        number, left = divmod(left, length)
        if number:
            parts.append(f"{number} {unit}{'s' * (number > 1)}")
    return " ".join(parts[:2]) or "no time"


def _moment(value: datetime | float) -> str:
    """A time in UTC, to the minute."""
    at = value if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
