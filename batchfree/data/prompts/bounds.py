"""Bounds of what one template may do for one row: its time, its texts, its lists, its numbers.

Jinja's sandbox keeps a template away from files and unsafe functions, but does not limit its work. Here each turn of a
loop, each call, filter and test, and each value that passes through a filter, checks the row's time. An operation that
could make something huge, or compute for long without such a check, is measured before it is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any

from jinja2 import TemplateRuntimeError, Undefined, pass_context
from jinja2.runtime import Context

from batchfree.data.prompts.result_sizes import (
    FILTER_ITEMS,
    FILTER_STEPS,
    FILTERS,
    METHOD_STEPS,
    METHODS,
    extent,
    formatted,
    length,
    numbers,
    printf,
)

MOST_SECONDS = 1.0
"""Most seconds of processor time for one template and one row."""
MOST_CHARACTERS = 20_000_000
"""Most characters of one text, and of all texts in one list."""
MOST_ITEMS = 250_000
"""Most values in one list that a template makes, with all lists in it."""
MOST_STEPS = 1_000_000_000
"""Most steps of one operation; about a second."""
MOST_BITS = 100_000
"""Most binary digits of a whole number."""
LARGEST_EXPONENT = 1_000
END = "\0end"
"""The variable that holds the end of the row's time; no template can name it."""
CONSUMING = frozenset(
    {
        *("batch", "groupby", "join", "list", "map", "max", "min", "reject"),
        *("rejectattr", "select", "selectattr", "slice", "sort", "sum", "unique"),
    }
)
"""Filters that take their values one by one."""


def row_deadline() -> float:
    """The end of the time of a row that begins now, on the clock of `time.thread_time`."""
    return time.thread_time() + MOST_SECONDS


def turn(context: Context) -> bool:
    """Checks the row's time; called in each turn of a loop. Raises TemplateRuntimeError after the row's time."""
    if time.thread_time() > context.parent[END]:
        raise TemplateRuntimeError(f"the template computes for more than {MOST_SECONDS:g} s; use fewer values")
    return True


def check_size(size: int) -> None:
    """Raises TemplateRuntimeError for a text that is too long."""
    if size > MOST_CHARACTERS:
        raise TemplateRuntimeError(f"a text or a list would be longer than {MOST_CHARACTERS:,} characters")


def check_items(items: int) -> None:
    """Raises TemplateRuntimeError for a list that is too long."""
    if items > MOST_ITEMS:
        raise TemplateRuntimeError(f"a list would be longer than {MOST_ITEMS:,} items")


def check_steps(steps: int) -> None:
    """Raises TemplateRuntimeError for an operation that takes too long."""
    if steps > MOST_STEPS:
        raise TemplateRuntimeError("one operation of the template takes too long for texts of this length")


def checked(value: Any, times: int = 1) -> Any:
    """The value, if it and all values in it are not too large. `times` is how often it will be repeated.

    Raises TemplateRuntimeError.
    """
    if isinstance(value, str | bytes):
        check_size(len(value) * times)
    elif isinstance(value, list | tuple | dict):
        found = extent(value, MOST_ITEMS)
        check_items(found.items * times)
        check_size(found.characters * times)
    return value


def check_operation(operator: str, left: Any, right: Any) -> None:
    """Raises TemplateRuntimeError if the result of `left operator right` would be too large."""
    match operator:
        case "**" if abs(right) > LARGEST_EXPONENT or abs(left) > MOST_CHARACTERS:
            raise TemplateRuntimeError("the power is too large")
        case "*" if isinstance(left, int) and isinstance(right, int):
            if left.bit_length() + right.bit_length() > MOST_BITS:
                raise TemplateRuntimeError("the number is too large")
        case "*":
            for times, value in ((left, right), (right, left)):
                if isinstance(times, int):
                    checked(value, max(0, times))
        case "+" if isinstance(left, str | bytes):
            check_size(length(left) + length(right))
        case "+" if isinstance(left, list | tuple) and isinstance(right, list | tuple):
            checked([left, right])
        case "%" if isinstance(left, str | bytes):
            values = right if isinstance(right, tuple) else (right,)
            check_size(printf(str(left), *(values if not isinstance(right, dict) else right.values())))


def bounded_arguments(
    context: Context, function: Callable[..., Any], args: Sequence[Any], named: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """The arguments of a call, within bounds. Raises TemplateRuntimeError if the result would be too large."""
    turn(context)
    owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
    if isinstance(owner, int) and name == "to_bytes":
        check_size(max([0, *numbers(args, named)]))
    elif name in ("format", "format_map") and (wrapped := getattr(function, "__wrapped__", None)) is not None:
        check_size(formatted(wrapped.__self__, *args, *named.values()))
    elif isinstance(owner, str | bytes):
        if name == "join" and args:
            args = (list(watched(context, args[0])), *args[1:])
        if name in METHODS:
            check_size(METHODS[name](owner, *args, **named))
        if name in METHOD_STEPS:
            check_steps(METHOD_STEPS[name](owner, *args, **named))
        if name in ("split", "rsplit"):
            return (), _bounded_split(*args, **named)
    return args, named


def _bounded_split(sep: Any = None, maxsplit: int = -1) -> Mapping[str, Any]:
    """The arguments of `split`, limited so that it makes one part more than a list may have at most."""
    return {"sep": sep, "maxsplit": maxsplit if 0 <= maxsplit <= MOST_ITEMS else MOST_ITEMS + 1}


def watched(context: Context, values: Iterable[Any]) -> Iterator[Any]:
    """The values one by one. Raises TemplateRuntimeError after too many or too large ones, or after the row's time."""
    items = characters = 0
    for each in values:
        turn(context)
        items += 1
        if isinstance(each, str | bytes):
            characters += len(each)
        elif isinstance(each, list | tuple | dict):
            found = extent(each, MOST_ITEMS)
            items, characters = items + found.items, characters + found.characters
        check_items(items)
        check_size(characters)
        yield each


def bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter within bounds: it checks the time, and measures its result before and after it works."""
    wants = _wanted(function)

    @pass_context
    @wraps(function)
    def limited(context: Context, value: Any, *args: Any, **named: Any) -> Any:
        turn(context)
        if name in CONSUMING and not isinstance(value, Undefined):
            value = watched(context, value)
        for measures, check in ((FILTERS, check_size), (FILTER_ITEMS, check_items), (FILTER_STEPS, check_steps)):
            if name in measures:
                check(measures[name](value, *args, **named))
        return checked(function(*wants(context), value, *args, **named))

    return limited


def bounded_test(function: Callable[..., Any]) -> Callable[..., Any]:
    """A test such as `is divisibleby` that checks the time."""
    wants = _wanted(function)

    @pass_context
    @wraps(function)
    def limited(context: Context, *args: Any, **named: Any) -> Any:
        turn(context)
        return function(*wants(context), *args, **named)

    return limited


def _wanted(function: Callable[..., Any]) -> Callable[[Context], tuple[Any, ...]]:
    """What Jinja passes to a filter or test before its value, taken from the context."""
    kind = getattr(function, "jinja_pass_arg", None)
    match None if kind is None else kind.name:
        case None:
            return lambda context: ()
        case "context":
            return lambda context: (context,)
        case "eval_context":
            return lambda context: (context.eval_ctx,)
        case _:
            return lambda context: (context.environment,)
