"""Finds what would make a template give another text in each run. A row whose text changes would be asked each time.

`changing` finds it in a template before anything is sent. What shows only while a template runs is refused for its row:
`printed_address` finds an object's address in a text, and the sandbox calls no function in `NOT_CALLED`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, NoReturn

from jinja2 import TemplateRuntimeError, nodes

ADVICE = "the text would differ in each run, so the row would be asked each time; put the value into a column"
FUNCTIONS = ("lipsum", "now", "utcnow", "today", "strftime_now", "random", "shuffle", "uuid", "uuid4", "choice")
"""Functions in templates of Jinja and of other tools whose result depends on chance or on the clock."""
FILTERS = ("random", "shuffle", "sample")
NOT_CALLED = ("now", "utcnow", "today")
"""Methods of dates that read the clock."""
ADDRESS = re.compile(r"<[^<>]{1,200} at 0x[0-9a-fA-F]{4,16}>")


def changing(tree: nodes.Template, names: Collection[str]) -> Iterator[str]:
    """A sentence for each function and filter whose result depends on chance or on the clock.

    `names` are the names in the template that name no column.
    """
    for name in sorted(set(FUNCTIONS) & set(names)):
        yield f"`{name}` is refused: {ADVICE}"
    for name in sorted({name for node in tree.find_all(nodes.Filter) for name in _filters(node)} & set(FILTERS)):
        yield f"the filter `{name}` is refused: {ADVICE}"
    called = {node.node.attr for node in tree.find_all(nodes.Call) if isinstance(node.node, nodes.Getattr)}
    for name in sorted(called & set(NOT_CALLED)):
        yield f"`.{name}()` is refused: {ADVICE}"


def _filters(node: nodes.Filter) -> Iterator[str]:
    """The name of the filter, and of the filter that `map` applies."""
    yield node.name
    if node.name == "map" and node.args and isinstance(node.args[0], nodes.Const):
        yield str(node.args[0].value)


def refuse_random(*values: Any, **options: Any) -> NoReturn:
    """Replaces the filter `random` in case only a running template calls it. Raises TemplateRuntimeError."""
    raise TemplateRuntimeError(f"the filter `random` is refused: {ADVICE}")


def printed_address(text: str) -> str | None:
    """An object that was printed with its address, such as `<Cycler object at 0x7f00>`; None if there is none.

    A row may hold the same words; the caller checks that.
    """
    if " at 0x" not in text:
        return None
    found = ADDRESS.search(text)
    return None if found is None else found[0]
