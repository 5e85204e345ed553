"""PyYAML's syntax errors as sentences with a line."""

from __future__ import annotations

from dataclasses import dataclass

import yaml
from yaml.reader import ReaderError


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntaxFault:
    """A mistake of syntax; `line` counts from one."""

    line: int | None
    message: str


_ADVICE = (
    # words of PyYAML's message, our sentence, whether the mistake is where the construct begins
    ("'\\t' that cannot start", "a tab stands here; YAML takes spaces, never tabs, before keys and values", False),
    (
        "mapping values are not allowed",
        "no `:` may stand here; put a value that contains `: ` in quotes, and check the indentation",
        False,
    ),
    ("cannot start any token", "a value that begins with this character must be in quotes", False),
    ("could not find expected ':'", "a `:` is missing after the key on this line", True),
    ("found unexpected end of stream", "a quotation mark is opened here and never closed", True),
    ("found unexpected document separator", "a quotation mark is opened here and never closed", True),
    ("found unknown escape", "a backslash in double quotes begins an escape; use single quotes instead", False),
    ("expected escape sequence", "a backslash in double quotes begins an escape; use single quotes instead", False),
    (
        "found undefined alias",
        "`*` refers to an anchor that nothing above defines; put text that begins with `*` in quotes",
        False,
    ),
    ("found duplicate anchor", "this anchor is defined twice", False),
    (
        "expected ',' or",
        "a `[` or `{` is not closed properly; put text that contains brackets or braces in quotes",
        True,
    ),
    (
        "expected the node content",
        "a value is expected here; put text that begins with this character in quotes",
        False,
    ),
    ("nested deeper", "this is nested too deeply for a job spec", False),
    (
        "expected <block end>",
        "this line does not fit the line above; check the indentation, "
        "and put a value that begins with a quote or a brace in quotes as a whole",
        False,
    ),
    ("tag", "this YAML tag is not allowed; a job spec has only text, numbers, booleans, lists and mappings", False),
    ("found a tab", "a tab stands here; YAML takes spaces, never tabs, before keys and values", False),
)


def sentence(error: yaml.YAMLError, text: str) -> SyntaxFault:
    """The mistake at which PyYAML stopped reading `text`."""
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character)
        return SyntaxFault(line=line, message=f"a character that no text file holds (U+{code:04X}) stands here")
    if not isinstance(error, yaml.MarkedYAMLError):
        return SyntaxFault(line=None, message="this is not valid YAML")
    problem = " ".join(part for part in (error.context, error.problem) if part)
    mark = error.problem_mark or error.context_mark
    for fragment, message, at_beginning in _ADVICE:
        if fragment in problem:
            mark = (error.context_mark if at_beginning else None) or mark
            return SyntaxFault(line=mark.line + 1 if mark else None, message=message)
    return SyntaxFault(line=mark.line + 1 if mark else None, message=f"this is not valid YAML: {error.problem}")
