"""A template: checked against the columns when it is compiled, rendered for each row."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError, meta, nodes

from batchfree.core.text import clean
from batchfree.data.prompts.bounded_code import concat, watch_turns
from batchfree.data.prompts.bounds import END, MOST_CHARACTERS, row_deadline
from batchfree.data.prompts.repeatable import changing, printed_address
from batchfree.data.prompts.sandbox import Sandbox, WholeRow, null, without_globals
from batchfree.data.unknown_column import no_column

ROW = "row"
"""The name of the whole row in a template, for columns whose names are not identifiers."""

LONGEST_ERROR = 500
"""Most characters of an error; Python's own may quote the whole row."""
RENDER_ERRORS = (
    *(TemplateError, TypeError, ValueError, ArithmeticError, LookupError),
    *(AttributeError, RecursionError, MemoryError, AssertionError),
)
"""The errors that a template can raise because of a row's values."""


class BrokenTemplateError(Exception):
    """A template that can't work for any row. Each of its problems is a sentence."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class UnrenderableError(Exception):
    """A row that can't be rendered. The message says why."""


class Template:
    """A compiled template."""

    def __init__(self, source: str, environment: Sandbox, columns: Collection[str], files: Sequence[str] = ()) -> None:
        """Raises BrokenTemplateError. Empty `columns` mean that there are no rows; then any column may be named.

        `files` are the paths of the input.
        """
        tree = _parsed(source, environment)
        _refuse_files(tree)
        names = meta.find_undeclared_variables(without_globals().parse(source))
        if problems := list(changing(tree, names - set(columns))):
            raise BrokenTemplateError(*problems)
        if columns and (unknown := _unknown(tree, names, set(columns), environment.globals)):
            raise BrokenTemplateError(*(no_column(name, columns, files) for name in unknown))
        self._columns = known = frozenset(columns)
        constant, start = _constant(tree), _fixed_start(tree)
        self._pieces, self._end = _pieces(tree, known - {"self"})  # in Jinja `self` is the template
        watch_turns(tree)
        self._template = environment.from_string(tree)
        self._source = source
        self._names = tuple(sorted(names & known))
        self._nulls = {name: null(f"the column `{name}`") for name in self._names}
        self._globals = {name: environment.globals[name] for name in names - known if name in environment.globals}
        self._wants_row = ROW in names and ROW not in known
        self.columns = None if self._wants_row else frozenset(self._names)
        """The columns that the template uses; None if it uses the whole row."""
        self.constant = constant
        """The text, if nothing in it depends on the row."""
        self.fixed_start = start
        """The text before the first expression."""

    def __call__(self, row: Mapping[str, Any]) -> str:
        """The text for one row. Raises UnrenderableError."""
        if self.constant is not None:
            return self.constant
        try:
            text = clean(self._joined(row) or self._rendered(row))
            if (address := printed_address(text)) and address not in self._source and address not in str(row):
                raise ValueError(f"the template prints an object that differs in each run: {address}")
            return text
        except RENDER_ERRORS as error:
            raise UnrenderableError(_sentence(error)) from error

    def _joined(self, row: Mapping[str, Any]) -> str | None:
        """The text of a template that only prints columns; None if Jinja must render it.

        Joining the pieces here takes a tenth of Jinja's time and gives the same text. Jinja handles nulls, values that
        are not texts, and texts that are too long.
        """
        if self._pieces is None:
            return None
        text = ""
        for before, column in self._pieces:
            value = row.get(column)
            if value.__class__ is not str:
                return None
            text += before + value
        text += self._end
        return text if len(text) <= MOST_CHARACTERS else None

    def _rendered(self, row: Mapping[str, Any]) -> str:
        """The text as Jinja renders it."""
        values = {END: row_deadline(), **self._globals}
        for name in self._names:
            value = row.get(name)
            values[name] = self._nulls[name] if value is None else value
        if self._wants_row:
            values[ROW] = WholeRow(row, self._columns)
        template = self._template
        return concat(template.root_render_func(template.new_context(values, shared=True)))


def _sentence(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "there is not enough memory to fill the template from this row"
    text = str(error)[:LONGEST_ERROR] or type(error).__name__
    return text if isinstance(error, TemplateError | ValueError) else f"{type(error).__name__}: {text}"


def _parsed(source: str, environment: Sandbox) -> nodes.Template:
    try:
        tree = environment.parse(source)
        environment.compile(tree)
    except TemplateSyntaxError as error:
        place = f"line {error.lineno} of the template: " if "\n" in source.strip() else ""
        raise BrokenTemplateError(f"{place}{error.message}") from error
    except TemplateError as error:
        raise BrokenTemplateError(str(error)) from error
    return environment.parse(source)


def _refuse_files(tree: nodes.Template) -> None:
    kinds = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
    for node in tree.find_all(kinds):
        raise BrokenTemplateError(f"line {node.lineno} of the template: a prompt can't include other files")


def _constant(tree: nodes.Template) -> str | None:
    parts = []
    for node in tree.body:
        if not isinstance(node, nodes.Output) or not all(isinstance(part, nodes.TemplateData) for part in node.nodes):
            return None
        parts += [part.data for part in node.nodes if isinstance(part, nodes.TemplateData)]
    return clean("".join(parts))


def _pieces(tree: nodes.Template, columns: Collection[str]) -> tuple[Sequence[tuple[str, str]] | None, str]:
    """The columns of a template that only prints columns, each with the text before it; and the text at the end."""
    pieces, text = [], ""
    for output in tree.body:
        for part in output.nodes if isinstance(output, nodes.Output) else [output]:
            if isinstance(part, nodes.TemplateData):
                text += part.data
            elif isinstance(part, nodes.Name) and part.name in columns:
                pieces.append((text, part.name))
                text = ""
            else:
                return None, ""
    return pieces, text


def _fixed_start(tree: nodes.Template) -> str:
    """The text before the first expression of a template."""
    first = tree.body[0] if tree.body else None
    if not isinstance(first, nodes.Output):
        return ""
    start = itertools.takewhile(lambda part: isinstance(part, nodes.TemplateData), first.nodes)
    return "".join(part.data for part in start if isinstance(part, nodes.TemplateData))


def _unknown(tree: nodes.Template, names: set[str], columns: set[str], provided: Mapping[str, Any]) -> list[str]:
    """The columns that the template uses and no row has.

    Columns do not count if the template only tests them with `is defined`, or gives them a default.
    """
    asked = {name for name in map(_column, _asked(tree)) if name}
    fields = {name for node in tree.find_all((nodes.Getattr, nodes.Getitem)) if (name := _of_row(node))}
    if ROW in columns:
        fields = set()
    fields -= set(dir(dict))
    return sorted((names | fields) - columns - asked - set(provided) - {ROW})


def _asked(tree: nodes.Template) -> Iterator[nodes.Expr | None]:
    for test in tree.find_all(nodes.Test):
        if test.name in ("defined", "undefined"):
            yield test.node
    for applied in tree.find_all(nodes.Filter):
        if applied.name in ("default", "d"):
            yield applied.node


def _column(node: nodes.Node | None) -> str | None:
    return node.name if isinstance(node, nodes.Name) else _of_row(node)


def _of_row(node: nodes.Node | None) -> str | None:
    """The column that `row.x` or `row["x"]` names; None for any other expression."""
    if not isinstance(node, nodes.Getattr | nodes.Getitem) or not isinstance(node.node, nodes.Name):
        return None
    if node.node.name != ROW:
        return None
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str) else None
