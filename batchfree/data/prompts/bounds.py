"""Bounds of what one template may do for one row: its time, its texts, its numbers.

Jinja's sandbox keeps a template from files and functions, not from work. Here every turn of a loop and every call of a
macro looks at the row's time. An operation that could make a huge text or number is measured before it is done.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any, TypeAlias

from jinja2 import TemplateRuntimeError, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context

MOST_SECONDS = 1.0
"""Most seconds of processor time for one template and one row."""
MOST_CHARACTERS = 20_000_000
"""Most characters of one text, and most items of one list."""
MOST_BITS = 100_000
"""Most binary digits of a whole number."""
LARGEST_EXPONENT = 1_000
END = "\0end"
"""The variable that holds the end of the row's time; no template can name it."""

NUMBER = re.compile(r"\d{7,}")
PRINTF_STAR = re.compile(r"%[^a-zA-Z%]*\*")
NESTED_FIELD = re.compile(r"\{[^{}]*:[^{}]*\{")

Measure: TypeAlias = Callable[..., int]


def end_of_time() -> float:
    """When the time of a row that begins now is over, as `time.thread_time` counts."""
    return time.thread_time() + MOST_SECONDS


def turn(context: Context) -> bool:
    """Is called in every turn of a loop and every macro. Raises TemplateRuntimeError when the row's time is over."""
    if time.thread_time() > context.parent[END]:
        raise TemplateRuntimeError(f"the template computes for more than {MOST_SECONDS:g} s; loop over fewer values")
    return True


def watch_turns(tree: nodes.Template) -> None:
    """Puts a call of `turn` into every loop and macro of a parsed template."""
    loops: list[nodes.For | nodes.Macro | nodes.CallBlock] = list(tree.find_all(nodes.For))
    for node in [*loops, *tree.find_all(nodes.Macro), *tree.find_all(nodes.CallBlock)]:
        look = nodes.Call(nodes.EnvironmentAttribute("turn"), [nodes.ContextReference()], [], None, None)
        if isinstance(node, nodes.For) and node.test is not None:
            node.test = nodes.And(look, node.test, lineno=node.lineno)
        node.body.insert(0, nodes.ExprStmt(look, lineno=node.lineno))
        look.set_lineno(node.lineno)
    if tree.environment is not None:
        tree.set_environment(tree.environment)


class BoundedGenerator(CodeGenerator):
    """Compiles `~` into a call of `environment.concat`, which is bounded."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        """Writes the call."""
        self.write("environment.concat(map(str, (")
        for each in node.nodes:
            self.visit(each, frame)
            self.write(", ")
        self.write(")))")


def concat(pieces: Iterable[str]) -> str:
    """The pieces as one text. Raises TemplateRuntimeError where it is too long."""
    return "".join(_measured(pieces))


def _measured(pieces: Iterable[str]) -> Iterator[str]:
    size = 0
    for piece in pieces:
        size += len(piece)
        check_size(size)
        yield piece


def check_size(size: int) -> None:
    """Raises TemplateRuntimeError for a text or list that is too long."""
    if size > MOST_CHARACTERS:
        raise TemplateRuntimeError(f"a text or a list would be longer than {MOST_CHARACTERS:,} characters or items")


def check_operation(operator: str, left: Any, right: Any) -> None:
    """Raises TemplateRuntimeError where the result of `left operator right` would be too large."""
    match operator:
        case "**" if abs(right) > LARGEST_EXPONENT or abs(left) > MOST_CHARACTERS:
            raise TemplateRuntimeError("the power is too large")
        case "*" if isinstance(left, int) and isinstance(right, int):
            if left.bit_length() + right.bit_length() > MOST_BITS:
                raise TemplateRuntimeError("the number is too large")
        case "*":
            for times, value in ((left, right), (right, left)):
                if isinstance(times, int):
                    check_size(times * _length(value))
        case "+":
            check_size(_length(left) + _length(right))
        case "%" if isinstance(left, str | bytes):
            values = right if isinstance(right, tuple) else (right,)
            check_size(_printf_size(str(left), *(values if not isinstance(right, dict) else right.values())))


def check_call(function: Callable[..., Any], args: Sequence[Any], named: Mapping[str, Any]) -> None:
    """Raises TemplateRuntimeError where a method of a text or number would make something too large."""
    owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
    if isinstance(owner, int) and name == "to_bytes":
        check_size(max([0, *_numbers(args, named)]))
    elif isinstance(owner, str | bytes) and name in METHODS:
        check_size(METHODS[name](owner, *args, **named))
    elif name in ("format", "format_map") and (wrapped := getattr(function, "__wrapped__", None)) is not None:
        check_size(_format_size(wrapped.__self__, *args, *named.values()))


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | bytes | list | tuple) else 0


def _numbers(args: Iterable[Any], named: Mapping[str, Any]) -> list[int]:
    return [each for each in (*args, *named.values()) if isinstance(each, int)]


def _padded(value: Any, *args: Any, **named: Any) -> int:
    return max([_length(value), *_numbers(args, named)])


def _expanded(value: Any, tabsize: int = 8) -> int:
    return _length(value) + int(value.count("\t" if isinstance(value, str) else b"\t")) * tabsize


def _replaced(value: Any, old: Any, new: Any, *rest: Any, **named: Any) -> int:
    value, old, new = (each if isinstance(each, bytes) else str(each) for each in (value, old, new))
    return len(value) + int(value.count(old)) * len(new)


def _translated(value: Any, table: Any, *rest: Any) -> int:
    longest = max((_length(each) for each in table.values()), default=1) if isinstance(table, dict) else 1
    return _length(value) * max(1, longest)


def _joined(value: Any, items: Iterable[Any] = ()) -> int:
    return sum(map(_length, items)) + _length(value) * _length(items) if isinstance(items, list | tuple) else 0


def _format_size(text: str, *args: Any) -> int:
    widths = [int(found) for found in NUMBER.findall(text)]
    given = list(_deep_numbers(args)) if NESTED_FIELD.search(text) else []
    return max([0, *widths, *given])


def _deep_numbers(values: Iterable[Any]) -> Iterator[int]:
    for each in values:
        if isinstance(each, int):
            yield each
        elif isinstance(each, dict):
            yield from (inner for inner in each.values() if isinstance(inner, int))


def _printf_size(text: str, *args: Any, **named: Any) -> int:
    widths = [int(found) for found in NUMBER.findall(text)]
    given = list(_deep_numbers(args)) if PRINTF_STAR.search(text) else []
    return max([0, *widths, *given])


METHODS: Mapping[str, Measure] = {
    **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _padded),
    "expandtabs": _expanded,
    "replace": _replaced,
    "translate": _translated,
    "join": _joined,
}
"""Method of a text → the length of its result, or more."""


def _indented(value: Any, width: Any = 4, *rest: Any, **named: Any) -> int:
    margin = width if isinstance(width, int) else _length(width)
    text = str(value)
    return len(text) + (text.count("\n") + 1) * margin


def _wrapped(value: Any, width: int = 79, long: bool = True, wrapstring: str | None = None, *rest: Any) -> int:
    text = str(value)
    return len(text) + (text.count("\n") + len(text) // max(1, width) + 1) * len(wrapstring or "")


def _parts(value: Any, number: int = 0, *rest: Any) -> int:
    return number


def _json(value: Any, indent: int | None = None) -> int:
    return (indent or 0) * 1_000_000  # at most 20 blanks


def _rounded(value: Any, precision: int = 0, *rest: Any, **named: Any) -> int:
    return abs(precision) * 1_000  # 10 to this power is computed


FILTERS: Mapping[str, Measure] = {
    "center": _padded,
    "indent": _indented,
    "replace": _replaced,
    "format": _printf_size,
    "wordwrap": _wrapped,
    "batch": _parts,
    "slice": _parts,
    "tojson": _json,
    "round": _rounded,
}
"""Filter → the length of its result, or more, from its value and arguments."""


def bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that measures its result before it works, and whose texts are not too long."""
    measure = FILTERS.get(name)
    passed = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def limited(*args: Any, **named: Any) -> Any:
        given = list(args)
        if name == "join" and len(given) > passed:
            given[passed] = list(_measured_items(given[passed]))
        if measure is not None:
            check_size(measure(*given[passed:], **named))
        result = function(*given, **named)
        if isinstance(result, str | list):
            check_size(len(result))
        return result

    return limited


def _measured_items(items: Iterable[Any]) -> Iterator[Any]:
    size = 0
    for each in items:
        size += _length(each) or 1
        check_size(size)
        yield each
