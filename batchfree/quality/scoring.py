"""Whether an answer is the expected one.

The metrics:

- `exact`: both are equal as `normalise` says. A number or a truth value equals its own text.
- `numeric`: both are numbers that differ by no more than the tolerance. In a text the number may have thousands
  commas, and words or units around it. The text must hold no second, different number. Units are not converted.
- `contains`: the normalised answer holds the normalised expected text, and not as a part of a longer word or number.
- `json-subset`: each key of the expected JSON is in the answer, with a value that fits in the same way. Each element
  of an expected list fits an element of its own in the answer's list, in any order. Other values compare as `exact`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal, TypeAlias

from batchfree.core.chat import Json
from batchfree.core.text import key_path
from batchfree.quality.normalise import answer_key, normalise

Metric: TypeAlias = Literal["exact", "numeric", "contains", "json-subset"]

NUMBER = re.compile(r"(?<![\w.])[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\d)")
ROUNDING = Decimal("1e-9")
"""Relative difference of two numbers that never counts, since it may come from binary fractions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringRule:
    """How an answer is compared: the keys of `evaluate` in a job file."""

    metric: Metric = "exact"
    field: str | None = None
    """Dotted path of the value within the answer, such as `items[0].name`; None for the whole answer."""
    tolerance: float = 0.0
    """Largest difference at which `numeric` takes two numbers as equal."""


def is_correct(answer: Json, expected: Json, rule: ScoringRule) -> bool | None:
    """Whether the answer is the expected one; None if there is no answer or no expected value.

    An answer that lacks the rule's field is wrong.
    """
    if answer is None or expected is None:
        return None
    value = field_of(answer, rule.field)
    if value is None:
        return False
    if rule.metric == "numeric":
        return _is_near(value, expected, Decimal(str(rule.tolerance)))
    return METRICS[rule.metric](value, expected)


def field_of(answer: Json, field: str | None) -> Json:
    """The value at a dotted path of an answer; None if there is none. JSON text is parsed first."""
    if field is None:
        return answer
    value = _parsed(answer)
    for part in key_path(field):
        if isinstance(part, str) and isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(part, int) and isinstance(value, Sequence) and not isinstance(value, str):
            value = value[part] if part < len(value) else None
        else:
            return None
    return value


def scored_text(value: Json) -> str:
    """The text that stands for a value in label counts and confusion matrices."""
    return value if isinstance(value, str) else answer_key(value)


def number_in(value: Json) -> Decimal | None:
    """A number itself, or the only number in a text; None if there is no number or more than one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if not isinstance(value, str):
        return _decimal(str(value))
    found = {_decimal(match[0]) for match in NUMBER.finditer(unicodedata.normalize("NFKC", value))}
    return found.pop() if len(found) == 1 else None


def _decimal(text: str) -> Decimal | None:
    try:
        number = Decimal(text.replace(",", "").replace("−", "-"))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _is_near(value: Json, expected: Json, tolerance: Decimal) -> bool:
    given, wanted = number_in(value), number_in(expected)
    return given is not None and wanted is not None and abs(given - wanted) <= max(tolerance, abs(wanted) * ROUNDING)


def _is_equal(value: Json, expected: Json) -> bool:
    return normalise(scored_text(value)) == normalise(scored_text(expected))


def _is_contained(value: Json, expected: Json) -> bool:
    text, part = normalise(scored_text(value)), normalise(scored_text(expected))
    start = text.find(part)
    while start >= 0:
        end = start + len(part)
        if not _is_joined(text[start - 1 : start], part[:1]) and not _is_joined(part[-1:], text[end : end + 1]):
            return True
        start = text.find(part, start + 1)
    return False


def _is_joined(left: str, right: str) -> bool:
    """Whether two neighbouring characters belong to one word or number.

    Letters of scripts without capitals never count as joined, since many such scripts put no blanks between words.
    """
    return all(each.isdigit() or each.upper() != each for each in (left, right)) and bool(left and right)


def _is_subset(value: Json, expected: Json) -> bool:
    return _fits(_parsed(value), _parsed(expected))


def _fits(value: Json, expected: Json) -> bool:
    if isinstance(expected, Mapping):
        if not isinstance(value, Mapping):
            return False
        return all(key in value and _fits(value[key], wanted) for key, wanted in expected.items())
    if isinstance(expected, list):
        return isinstance(value, list) and _fits_each(value, expected)
    return not isinstance(value, list | Mapping) and _is_equal(value, expected)


def _fits_each(values: Sequence[Json], expected: Sequence[Json]) -> bool:
    """Whether each expected element has a fitting element of its own: Kuhn's bipartite matching by augmenting paths."""
    taken: dict[int, int] = {}

    def place(wanted: int, seen: set[int]) -> bool:
        for number, value in enumerate(values):
            if number not in seen and _fits(value, expected[wanted]):
                seen.add(number)
                if number not in taken or place(taken[number], seen):
                    taken[number] = wanted
                    return True
        return False

    return all(place(wanted, set()) for wanted in range(len(expected)))


def _parsed(value: Json) -> Json:
    """The value of a JSON text. Other texts and other values stay as they are."""
    if not isinstance(value, str):
        return value
    try:
        parsed: Json = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return parsed


METRICS: Mapping[Metric, Callable[[Json, Json], bool]] = {
    "exact": _is_equal,
    "contains": _is_contained,
    "json-subset": _is_subset,
}
