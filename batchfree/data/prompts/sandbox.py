"""The Jinja environment of prompts: sandboxed, and strict about undefined names and nulls.

A template may test, compare and replace a null (`title or ""`, `title | default("")`, `title is none`), but not print
or iterate it. `is defined` is false for a null, so a row without a value behaves like a row without the column.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import Any, NoReturn, cast

from jinja2 import StrictUndefined, TemplateRuntimeError, Undefined
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from batchfree.core.chat import Json
from batchfree.data.prompts.bounded_code import BoundedGenerator, Pieces, concat
from batchfree.data.prompts.bounds import bounded, bounded_arguments, bounded_test, check_operation, checked, turn
from batchfree.data.prompts.repeatable import NOT_CALLED, refuse_random


class Null(Undefined):
    """A value that is null in this row, or a key that one of its objects lacks."""

    __slots__ = ()
    __str__ = __len__ = __iter__ = __contains__ = Undefined._fail_with_undefined_error

    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, Null)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(None)

    def __repr__(self) -> str:
        return str(self)  # raises, because a list that holds this null is printed


def null(what: str) -> Null:
    """A null; `what` names it in messages."""
    return Null(hint=f"{what} is null")


class WholeRow(dict[str, Any]):
    """The row as `row` in a template: it holds the row's own keys, and null for a column that only other rows have."""

    __slots__ = ("_columns",)

    def __init__(self, row: Mapping[str, Any], columns: Collection[str]) -> None:
        super().__init__(row)
        self._columns = columns

    def __missing__(self, name: str) -> None:
        if name not in self._columns:
            raise KeyError(name)

    def has(self, name: str) -> bool:
        """Whether this or another row has a column of this name."""
        return name in self or name in self._columns


class Sandbox(ImmutableSandboxedEnvironment):
    """The sandbox of all templates. Fields hide methods of the same name, nulls have names, results are bounded."""

    intercepted_binops = frozenset(["*", "**", "+", "%"])
    code_generator_class = BoundedGenerator
    concat = staticmethod(concat)
    checked = staticmethod(checked)
    pieces = Pieces
    turn = staticmethod(turn)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`; the field of a struct hides a method of the same name."""
        if isinstance(obj, dict):
            if attribute in obj or (isinstance(obj, WholeRow) and obj.has(attribute)):
                value = obj[attribute]
                return null(f"`{attribute}`") if value is None else value
            if not hasattr(obj, attribute):
                return Null(obj=obj, name=attribute)
        value = super().getattr(obj, attribute)
        return null(f"`{attribute}`") if value is None else value

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`obj[argument]`."""
        value = super().getitem(obj, argument)
        if isinstance(value, StrictUndefined) and isinstance(obj, dict) and not hasattr(obj, str(argument)):
            return Null(obj=obj, name=argument)
        return null(f"`{argument}`") if value is None else value

    def is_safe_callable(self, obj: Any) -> bool:
        """Whether a template may call the function. Functions that read the clock are refused."""
        reads_clock = isinstance(getattr(obj, "__self__", None), date | type) and obj.__name__ in NOT_CALLED
        return not reads_clock and super().is_safe_callable(obj)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An operation within bounds, else raises TemplateRuntimeError."""
        check_operation(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """A call within bounds, else raises TemplateRuntimeError."""
        given, named = bounded_arguments(__context, __obj, args, kwargs)
        return checked(super().call(__context, __obj, *given, **named))


def printable(value: Any) -> Any:
    """The value itself if it may be printed; Jinja calls this for every printed value. Raises TemplateRuntimeError."""
    if value.__class__ is str or isinstance(value, Undefined):
        return value
    if value is None:
        raise TemplateRuntimeError("the template prints a null")
    if isinstance(value, bytes | bytearray | memoryview):
        raise TemplateRuntimeError("the template prints binary data; a message part {type: image, column: …} sends it")
    if callable(value):
        name = getattr(value, "__name__", None) or getattr(value, "name", type(value).__name__)
        raise TemplateRuntimeError(f"the template prints a function, not what it returns: {name}()")
    if isinstance(value, Iterator):
        raise TemplateRuntimeError("the template prints an iterator; end the filters with `| list` or `| join(…)`")
    return value


def to_json(value: Any, indent: int | None = None) -> str:
    """The filter `tojson`: JSON without Jinja's HTML escapes."""
    return json.dumps(value, ensure_ascii=False, indent=indent, default=_json_default)


def _json_default(value: Any) -> Json:
    if isinstance(value, Null):
        return None
    if isinstance(value, Undefined) or callable(value) or isinstance(value, bytes | Iterator):
        _refuse(value)
    return str(value)


def _refuse(value: Any) -> NoReturn:
    if isinstance(value, Undefined):
        str(value)  # raises an error with the name
    raise TemplateRuntimeError(f"a value of type {type(value).__name__} can't be written as JSON")


def sandbox() -> Sandbox:
    """The environment of all prompts."""
    environment = Sandbox(undefined=StrictUndefined, finalize=printable, autoescape=False, keep_trailing_newline=False)
    environment.filters["tojson"] = to_json
    environment.filters["random"] = refuse_random
    environment.filters |= {name: bounded(name, function) for name, function in environment.filters.items()}
    environment.tests["none"] = lambda value: value is None or isinstance(value, Null)
    tests = cast("dict[str, Callable[..., Any]]", environment.tests)
    environment.tests |= {name: bounded_test(function) for name, function in tests.items()}
    return environment


@lru_cache(maxsize=1)
def without_globals() -> Sandbox:
    """The environment without globals such as `range`: it finds every name in a template, also such a column."""
    environment = sandbox()
    environment.globals.clear()
    return environment
