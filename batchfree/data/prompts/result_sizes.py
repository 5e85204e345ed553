"""The size of the result of an operation in a template, and the steps it takes, computed before it is done."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

FIELD = re.compile(r"\{[^{}]*:([^{}]*)")
"""A field of `str.format` with its format."""
DIRECTIVE = re.compile(r"%([^a-zA-Z%]*)")
"""A field of `%`, up to its letter."""
NUMBER = re.compile(r"\d{1,20}")
NESTED_FIELD = re.compile(r"\{[^{}]*:[^{}]*\{")
SCALAR_CHARACTERS = 32
"""Characters that are counted for each value in a printed list, with its comma; few numbers take more."""

Measure: TypeAlias = Callable[..., int]


@dataclass(slots=True)
class Extent:
    """What a value holds: the values in its lists and objects, and the characters of all texts.

    A list that stands at two places is counted twice, since printing and comparing walk through it twice.
    """

    items: int = 0
    characters: int = 0
    depth: int = 0


def extent(value: Any, most_items: int) -> Extent:
    """The extent of a value; counting ends once there are more than `most_items`."""
    found = Extent()
    level = [value]
    while level:
        deeper: list[Any] = []
        for each in level:
            if isinstance(each, str | bytes):
                found.characters += len(each)
            elif isinstance(each, list | tuple | set | frozenset | dict):
                found.items += len(each)
                if found.items > most_items:
                    return found
                deeper.extend(each)
                if isinstance(each, dict):
                    deeper.extend(each.values())
        found.depth += bool(deeper)
        level = deeper
    return found


def length(value: Any) -> int:
    """The number of characters of a text, and of items of a list; 0 of anything else."""
    return len(value) if isinstance(value, str | bytes | list | tuple) else 0


def numbers(args: Iterable[Any], named: Mapping[str, Any]) -> list[int]:
    """The whole numbers among the arguments of a call."""
    return [each for each in (*args, *named.values()) if isinstance(each, int)]


def padded(value: Any, *args: Any, **named: Any) -> int:
    """The length of a text after `center` and the like."""
    return max([length(value), *numbers(args, named)])


def replaced(value: Any, old: Any = "", new: Any = "", *rest: Any, **named: Any) -> int:
    """The length of a text after `replace`."""
    value, old, new = (each if isinstance(each, bytes) else str(each) for each in (value, old, new))
    return len(value) + int(value.count(old)) * len(new)


def formatted(text: str, *args: Any) -> int:
    """An upper bound for the length of the result of `text.format(…)`."""
    widths = [int(number) for field in FIELD.findall(text) for number in NUMBER.findall(field)]
    given = list(_deep_numbers(args)) if NESTED_FIELD.search(text) else []
    return len(text) + text.count("{") * (max([0, *widths, *given]) + _longest(args))


def printf(text: str, *args: Any, **named: Any) -> int:
    """An upper bound for the length of the result of `text % …`."""
    fields = DIRECTIVE.findall(text)
    widths = [int(number) for field in fields for number in NUMBER.findall(field)]
    given = list(_deep_numbers((*args, *named.values()))) if any("*" in field for field in fields) else []
    return len(text) + len(fields) * (max([0, *widths, *given]) + _longest((*args, *named.values())))


def _longest(values: Iterable[Any]) -> int:
    found = (extent(each, 1_000_000) for each in values)
    return max((each.characters + SCALAR_CHARACTERS * each.items for each in found), default=0)


def _deep_numbers(values: Iterable[Any]) -> Iterator[int]:
    for each in values:
        if isinstance(each, int):
            yield each
        elif isinstance(each, dict):
            yield from (inner for inner in each.values() if isinstance(inner, int))


def _expanded(value: Any, tabsize: int = 8) -> int:
    return length(value) + int(value.count("\t" if isinstance(value, str) else b"\t")) * tabsize


def _translated(value: Any, table: Any, *rest: Any) -> int:
    longest = max((length(each) for each in table.values()), default=1) if isinstance(table, dict) else 1
    return length(value) * max(1, longest)


def _joined(value: Any, items: Iterable[Any] = ()) -> int:
    return sum(map(length, items)) + length(value) * length(items) if isinstance(items, list | tuple) else 0


METHODS: Mapping[str, Measure] = {
    **dict.fromkeys(("center", "ljust", "rjust", "zfill"), padded),
    "expandtabs": _expanded,
    "replace": replaced,
    "translate": _translated,
    "join": _joined,
}
"""Method of a text → an upper bound for the length of its result."""


def searched(value: Any, pattern: Any = "", *rest: Any, **named: Any) -> int:
    """Steps of a method that compares the pattern at every place of the text."""
    return length(value) * max(1, length(pattern))


METHOD_STEPS: Mapping[str, Measure] = dict.fromkeys(
    ("strip", "lstrip", "rstrip", "rfind", "rindex", "rsplit", "rpartition"), searched
)
"""Method of a text → its steps, if they grow with the text times the argument. All others are linear."""


def _indented(value: Any, width: Any = 4, *rest: Any, **named: Any) -> int:
    margin = width if isinstance(width, int) else length(width)
    text = str(value)
    return len(text) + (text.count("\n") + 1) * margin


def _wrapped(value: Any, width: int = 79, long: bool = True, wrapstring: str | None = None, *rest: Any) -> int:
    text = str(value)
    return len(text) + (text.count("\n") + len(text) // max(1, width) + 1) * len(wrapstring or "")


def _json(value: Any, indent: int | None = None) -> int:
    found = extent(value, 1_000_000)
    return found.characters + found.items * (1 + (indent or 0) * found.depth) + (indent or 0) * 1_000_000


def _rounded(value: Any, precision: int = 0, *rest: Any, **named: Any) -> int:
    return abs(precision) * 1_000  # 10 to this power is computed


FILTERS: Mapping[str, Measure] = {
    "center": padded,
    "indent": _indented,
    "replace": replaced,
    "format": printf,
    "wordwrap": _wrapped,
    "tojson": _json,
    "round": _rounded,
}
"""Filter → an upper bound for the length of its result, from its value and its arguments."""


def _parts(value: Any, number: int = 0, *rest: Any, **named: Any) -> int:
    return number


FILTER_ITEMS: Mapping[str, Measure] = {"batch": _parts, "slice": _parts}
"""Filter → the number of items in the lists that it makes."""


def _written(value: Any, *rest: Any, **named: Any) -> int:
    found = extent(value, 1_000_000)
    return (found.characters + (1 + found.depth) * found.items) * SLOW


def _each_character(value: Any, *rest: Any, **named: Any) -> int:
    return length(value) * SLOW


SLOW = 500
"""Steps that are counted for each character in filters that are slow: written in Python, or with a pattern per word."""
FILTER_STEPS: Mapping[str, Measure] = {
    "trim": searched,
    "pprint": _written,
    **dict.fromkeys(("urlize", "wordwrap", "title", "xmlattr"), _each_character),
}
"""Filter → its steps, if it takes more time than its result suggests."""
