"""A YAML document as a tree that remembers its lines, and complains with file, line and key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import yaml

KINDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
}


class ScenarioError(ValueError):
    """The scenario is wrong; `mistakes` names every one with file, line and key."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(mistakes))


class Reader:
    """One mapping of the document: takes its keys one by one, and at the end refuses those that nobody took."""

    def __init__(self, node: yaml.Node | None, file: str, place: str, mistakes: list[str]) -> None:
        self.file, self.place, self.mistakes = file, place, mistakes
        self._line = node.start_mark.line + 1 if node else 1
        self._nodes: dict[str, yaml.Node] = {}
        self._taken: list[str] = []
        if node is None or (isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")):
            return
        if not isinstance(node, yaml.MappingNode):
            self._complain(self._line, place, "expected a mapping")
            return
        for key, value in node.value:
            name = str(getattr(key, "value", key))
            if name in self._nodes:
                self._complain(key.start_mark.line + 1, self._key(name), "is given twice")
            self._nodes[name] = value

    def take(self, key: str, kind: type, default: Any, *, null: bool = False) -> Any:
        """The value of `key`, checked; `kind` object takes anything."""
        self._taken.append(key)
        node = self._nodes.get(key)
        if node is None:
            return default
        try:
            value = _value(node)
        except yaml.YAMLError as error:
            self.mistake(key, getattr(error, "problem", None) or str(error))
            return default
        if value is None and (null or default == {}):
            return None if null else default
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind in (int, float)):
            self.mistake(key, f"expected {KINDS.get(kind, kind.__name__)}, got {value!r}")
            return default
        return value

    def strings(self, key: str) -> list[str]:
        """A text, or a list of texts."""
        value = self.take(key, object, [], null=True) or []
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list) or not all(isinstance(part, str) for part in listed):
            self.mistake(key, f"expected text or a list of texts, got {value!r}")
            return []
        return listed

    def choice(self, key: str, options: Sequence[str], default: str) -> str:
        value: str = self.take(key, str, default)
        if value not in options:
            self.mistake(key, f"expected one of {', '.join(options)}; got {value!r}")
            return default
        return value

    def pattern(self, key: str) -> re.Pattern[str] | None:
        value = self.take(key, str, None, null=True)
        try:
            return None if value is None else re.compile(value, re.S)
        except re.error as error:
            self.mistake(key, f"is no regular expression: {error}")
            return None

    def child(self, key: str) -> Reader:
        """The mapping under `key`; an empty one where there is none."""
        self._taken.append(key)
        return Reader(self._nodes.get(key), self.file, self._key(key), self.mistakes)

    def children(self, key: str) -> list[Reader]:
        """The mappings of the list under `key`."""
        self._taken.append(key)
        node = self._nodes.get(key)
        if node is None or (isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")):
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.mistake(key, "expected a list")
            return []
        place = self._key(key)
        return [Reader(part, self.file, f"{place}[{index}]", self.mistakes) for index, part in enumerate(node.value)]

    def has(self, key: str) -> bool:
        return key in self._nodes

    def mistake(self, key: str, message: str) -> None:
        node = self._nodes.get(key)
        self._complain(node.start_mark.line + 1 if node else self._line, self._key(key), message)

    def nearest(self, word: str, known: Iterable[str]) -> str:
        close = get_close_matches(word, list(known), 1)
        return f"; did you mean {close[0]!r}?" if close else ""

    def finish(self) -> None:
        """Complain of every key that was not taken."""
        for key in self._nodes:
            if key not in self._taken:
                self.mistake(key, f"is unknown{self.nearest(key, self._taken)}")

    def raise_mistakes(self) -> None:
        if self.mistakes:
            raise ScenarioError(self.mistakes)

    def _key(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key

    def _complain(self, line: int, place: str, message: str) -> None:
        self.mistakes.append(": ".join(part for part in (f"{self.file}:{line}", place, message) if part))


def parse(text: str, file: str) -> Reader:
    """The document's top mapping. Raises `ScenarioError` where it is no YAML."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise ScenarioError([f"{file}:{line}: is no YAML: {getattr(error, 'problem', None) or error}"]) from None
    return Reader(node, file, "", [])


def _value(node: yaml.Node) -> Any:
    constructor = yaml.constructor.SafeConstructor()
    return constructor.construct_document(node)
