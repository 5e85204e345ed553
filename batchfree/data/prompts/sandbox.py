"""The Jinja environment of prompts: sandboxed, strict about what is undefined, and about nulls.

A null may be tested, compared and replaced (`title or ""`, `title | default("")`, `title is none`), but not printed or
iterated. `is defined` is false for it, so that a row without a value is like a row without the column.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import StrictUndefined, TemplateRuntimeError, Undefined
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from batchfree.core.chat import Json

TEXT_MOST = 20_000_000
"""Characters of one rendered text."""
EXPONENT_MOST = 1_000


class Null(Undefined):
    """A value that is null in this row."""

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
        return str(self)  # raises: a list with a null in it is printed


def null(what: str) -> Null:
    """A null of this name, for the message."""
    return Null(hint=f"{what} is null")


class Sandbox(ImmutableSandboxedEnvironment):
    """Fields before methods, nulls by name, and no texts that fill the memory."""

    intercepted_binops = frozenset(["*", "**"])

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`; the field of a struct goes before a method of the same name."""
        is_field = obj.__class__ is dict and attribute in obj
        value = obj[attribute] if is_field else super().getattr(obj, attribute)
        return null(f"`{attribute}`") if value is None else value

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`obj[argument]`."""
        value = super().getitem(obj, argument)
        return null(f"`{argument}`") if value is None else value

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Multiplication and powers, within bounds."""
        if operator == "**" and (abs(right) > EXPONENT_MOST or abs(left) > TEXT_MOST):
            raise TemplateRuntimeError("the power is too large")
        if operator == "*":
            for times, value in ((left, right), (right, left)):
                if isinstance(times, int) and isinstance(value, str | list | tuple) and times * len(value) > TEXT_MOST:
                    raise TemplateRuntimeError("the repeated text is too long")
        return super().call_binop(context, operator, left, right)


def printable(value: Any) -> Any:
    """Lets pass what may stand in a prompt; raises for what would be noise there. Called for whatever is printed."""
    if value.__class__ is str or isinstance(value, Undefined):
        return value
    if value is None:
        raise TemplateRuntimeError("the template prints a null")
    if isinstance(value, bytes | bytearray | memoryview):
        raise TemplateRuntimeError("the template prints binary data; a message part {type: image, column: …} sends it")
    if callable(value):
        raise TemplateRuntimeError(f"the template prints a function, not what it returns: {value.__name__}()")
    if isinstance(value, Iterator):
        raise TemplateRuntimeError("the template prints an iterator; end the filters with `| list` or `| join(…)`")
    return value


def to_json(value: Any, indent: int | None = None) -> str:
    """The filter `tojson`: JSON as it is, without HTML escapes."""
    return json.dumps(value, ensure_ascii=False, indent=indent, default=_json_default)


def _json_default(value: Any) -> Json:
    if isinstance(value, Null):
        return None
    if isinstance(value, Undefined) or callable(value) or isinstance(value, bytes | Iterator):
        _refuse(value)
    return str(value)


def _refuse(value: Any) -> NoReturn:
    if isinstance(value, Undefined):
        str(value)  # raises with the name
    raise TemplateRuntimeError(f"a value of type {type(value).__name__} can't be written as JSON")


def sandbox() -> Sandbox:
    """The environment of all prompts."""
    environment = Sandbox(undefined=StrictUndefined, finalize=printable, autoescape=False, keep_trailing_newline=False)
    environment.filters["tojson"] = to_json
    environment.tests["none"] = lambda value: value is None or isinstance(value, Null)
    return environment


@lru_cache(maxsize=1)
def without_globals() -> Sandbox:
    """The same without `range` and the like, to find every name that a template uses: a column may be called so."""
    environment = sandbox()
    environment.globals.clear()
    return environment
