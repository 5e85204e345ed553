"""From YAML text to plain JSON data, with the line of every key and every mistake in the text.

This is YAML 1.1 as PyYAML reads it, without what a job spec never needs: tags beyond the plain types, several
documents, deep nesting, aliases that multiply. Keys are always text. Dates stay text. `1e-3` is a number, as in
YAML 1.2.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

import yaml

from batchfree.core.chat import Json
from batchfree.core.errors import Mistake
from batchfree.core.text import KeyPath, dotted
from batchfree.jobspec.draft import Origin, masked
from batchfree.jobspec.yaml.syntax import sentence

MAX_BYTES = 1_000_000
MAX_DEPTH = 40
MAX_VALUES = 50_000
MAX_INTEGER = 2**63

_PREFIX = "tag:yaml.org,2002:"
_TEXTS = {"str", "timestamp", "value", "merge"}
_SCALARS = {"int", "float", "bool", "null"}
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedYaml:
    """The content of a YAML text. `data` is not valid if there is a mistake without a key."""

    data: Json = None
    origins: dict[KeyPath, Origin] = field(default_factory=dict)
    mistakes: tuple[Mistake, ...] = ()


class _EndOfReading(Exception):
    """Ends the reading of a text."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with a limit on the depth."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


_Loader.add_implicit_resolver(f"{_PREFIX}float", _FLOAT, list("-+.0123456789"))


def decode(content: bytes, file: str) -> str | Mistake:
    """The text of a UTF-8 file, with or without a byte order mark, or the mistake in it."""
    if len(content) > MAX_BYTES:
        return Mistake(file=file, message=f"the file is larger than {MAX_BYTES:,} bytes, too large for a job spec")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return Mistake(file=file, line=line, message="this is not UTF-8 text; save the file as UTF-8")


def parse_yaml(text: str, file: str) -> ParsedYaml:
    """Reads one document. Mistakes of structure are collected; a mistake of syntax ends the reading."""
    reader = _NodeReader(file)
    try:
        return reader.read(text)
    except _EndOfReading:
        return ParsedYaml(mistakes=tuple(reader.mistakes))
    except yaml.YAMLError as error:
        fault = sentence(error, text)
        mistake = Mistake(file=file, line=fault.line, message=masked(fault.message))
        return ParsedYaml(mistakes=(*reader.mistakes, mistake))


def plain_value(text: str) -> Json:
    """The value of an unquoted scalar with this text; the text itself if that is no JSON value."""
    loader = _Loader("")
    tag = loader.resolve(yaml.ScalarNode, text.strip(), (True, False))  # type: ignore[no-untyped-call]
    node = yaml.ScalarNode(tag, text.strip())
    reader = _NodeReader("")
    value = reader.scalar(node, (), 1)
    return text if reader.mistakes else value


class _NodeReader:
    """Turns YAML nodes into data, and collects origins and mistakes on the way."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.origins: dict[KeyPath, Origin] = {}
        self.mistakes: list[Mistake] = []
        self.values = 0

    def read(self, text: str) -> ParsedYaml:
        loader = _Loader(text)
        if not loader.check_node():
            return ParsedYaml(mistakes=(Mistake(file=self.file, message="the file is empty"),))
        data = self.value(loader.get_node(), (), 1, 0)
        if loader.check_node():
            line = loader.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
            self.blame((), line, "a second YAML document begins here; a job file holds one")
        return ParsedYaml(data=data, origins=self.origins, mistakes=tuple(self.mistakes))

    def blame(self, path: KeyPath, line: int, message: str) -> None:
        key = masked(dotted(path)) or None
        self.mistakes.append(Mistake(file=self.file, line=line, key=key, message=masked(message)))

    def value(self, node: yaml.Node | None, path: KeyPath, line: int, depth: int) -> Json:
        self.values += 1
        if self.values > MAX_VALUES:
            self.blame(
                (), line, f"more than {MAX_VALUES:,} values, or aliases that multiply; write the job without them"
            )
            raise _EndOfReading
        if depth > MAX_DEPTH:
            self.blame((), line, f"nested deeper than {MAX_DEPTH} levels, or an alias that contains itself")
            raise _EndOfReading
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, line, depth)
        if isinstance(node, yaml.SequenceNode):
            self.origins[path] = Origin(file=self.file, line=line, tag="seq")
            self.check_tag(node, path, "seq")
            lines = (item.start_mark.line + 1 for item in node.value)
            return [
                self.value(item, (*path, index), place, depth + 1)
                for index, (item, place) in enumerate(zip(node.value, lines, strict=True))
            ]
        return self.scalar(node, path, line)

    def check_tag(self, node: yaml.Node, path: KeyPath, wanted: str) -> None:
        if node.tag != _PREFIX + wanted:
            tag = node.tag.replace(_PREFIX, "!!")
            message = (
                f"the YAML tag `{tag}` is not allowed here: only plain text, numbers, booleans, lists and mappings"
            )
            self.blame(path, node.start_mark.line + 1, message)

    def mapping(self, node: yaml.MappingNode, path: KeyPath, line: int, depth: int) -> Json:
        self.origins[path] = Origin(file=self.file, line=line)
        self.check_tag(node, path, "map")
        inherited: dict[str, Json] = {}
        lines: dict[str, int] = {}
        data: dict[str, Json] = {}
        for key_node, value_node in sorted(node.value, key=lambda pair: pair[0].tag != f"{_PREFIX}merge"):
            place = key_node.start_mark.line + 1
            if key_node.tag == f"{_PREFIX}merge":
                inherited |= self.merged(value_node, path, place, depth)
            elif not isinstance(key_node, yaml.ScalarNode):
                advice = "a key must be text; put a value that begins with `{` or `[`, as a template does, in quotes"
                self.blame(path, place, advice)
            elif (key := key_node.value) in lines:
                self.blame((*path, key), place, f"this key stands twice; first on line {lines[key]}")
            else:
                lines[key] = place
                data[key] = self.value(value_node, (*path, key), place, depth + 1)
        return inherited | data

    def merged(self, node: yaml.Node, path: KeyPath, line: int, depth: int) -> dict[str, Json]:
        """The keys that `<<` brings in, from one mapping or a list of them; the first mapping with a key wins."""
        nodes = reversed(node.value) if isinstance(node, yaml.SequenceNode) else [node]
        data: dict[str, Json] = {}
        for each in nodes:
            value = self.value(each, path, line, depth + 1)
            if not isinstance(value, dict):
                self.blame(path, line, "`<<` takes in a mapping, or a list of mappings")
                return {}
            data |= value
        return data

    def scalar(self, node: yaml.Node | None, path: KeyPath, line: int) -> Json:
        if not isinstance(node, yaml.ScalarNode):  # an alias without a target, which PyYAML refuses before
            raise _EndOfReading
        tag = node.tag.removeprefix(_PREFIX)
        plain = node.style is None
        self.origins[path] = Origin(file=self.file, line=line, text=node.value, tag=tag, plain=plain)
        if tag in _TEXTS:
            return self.text(node.value, path, line)
        if tag not in _SCALARS:
            self.check_tag(node, path, "str")
            return None
        try:
            value = _Loader("").construct_object(node)
        except (ValueError, KeyError, yaml.YAMLError):
            self.blame(path, line, f"this can't be read as {tag}")
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self.blame(path, line, f"`{node.value}` is no finite number; put it in quotes if it is text")
        elif type(value) is int and abs(value) >= MAX_INTEGER:
            self.blame(path, line, "this number is too large; put it in quotes if it is text")
            return None
        return value

    def text(self, text: str, path: KeyPath, line: int) -> str:
        """The text with surrogate pairs joined, which JSON writes as two escapes. A lone surrogate is a mistake."""
        try:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            self.blame(path, line, "an escape such as \\ud83d stands for half a character")
            return ""
