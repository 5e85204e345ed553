"""A YAML text as data, and the line of every key in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from batchfree.emulator.settings import MistakePath


class ScenarioError(ValueError):
    """The scenario is wrong; each of `mistakes` names file, line and key."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(mistakes))


class YamlDocument:
    """A parsed YAML text. `data` is its content; {} for an empty text. Raises ScenarioError if it is no YAML."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.data: Any = {}
        self._root: yaml.Node | None = None
        try:
            self._root = yaml.compose(text, Loader=yaml.SafeLoader)
            if self._root is not None:
                self.data = yaml.constructor.SafeConstructor().construct_document(self._root)
        except yaml.constructor.ConstructorError as error:
            raise ScenarioError([self.mistake(self._path_at(error.problem_mark), str(error.problem))]) from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 1
            raise ScenarioError([f"{file}:{line}: is no YAML: {getattr(error, 'problem', None) or error}"]) from None

    def mistake(self, path: MistakePath, message: str) -> str:
        """The message with file, line and key. If the text lacks the key, the line is that of the mapping around it."""
        node, place = self._root, ""
        for part in path:
            place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part
            node = _child(node, part) or node
        line = node.start_mark.line + 1 if node else 1
        return ": ".join(filter(None, (f"{self.file}:{line}", place, message)))

    def repeated_keys(self) -> list[str]:
        """One mistake for every key that stands twice in a mapping."""
        found = []
        for path, node in self._nodes():
            names = [key.value for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
            repeated = {str(name) for name in names if names.count(name) > 1}
            found += [self.mistake((*path, name), "is given twice") for name in sorted(repeated)]
        return found

    def _path_at(self, mark: Any) -> MistakePath:
        return next((path for path, node in self._nodes() if mark and node.start_mark.index == mark.index), ())

    def _nodes(self) -> Iterator[tuple[MistakePath, yaml.Node]]:
        """Every node once, with one of its paths; aliases may make circles."""
        waiting: list[tuple[MistakePath, yaml.Node]] = [((), self._root)] if self._root is not None else []
        seen = set[int]()
        while waiting:
            path, node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            yield path, node
            if isinstance(node, yaml.MappingNode):
                waiting += [((*path, str(key.value)), value) for key, value in node.value]
            elif isinstance(node, yaml.SequenceNode):
                waiting += [((*path, number), value) for number, value in enumerate(node.value)]


def _child(node: yaml.Node | None, part: str | int) -> yaml.Node | None:
    """The value under a key or at an index. If a key is repeated, its last value counts."""
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in reversed(node.value) if key.value == part), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        child: yaml.Node = node.value[part]
        return child
    return None
