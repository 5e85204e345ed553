"""A job spec while it is being checked: plain data, the origin of each value, and the mistakes found so far."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from batchfree.core.chat import Json, JsonObject
from batchfree.core.errors import Mistake
from batchfree.core.text import KeyPath, dotted

SHOWN_CHARACTERS = 60

_KEY = re.compile(r"sk-or-v1-[0-9A-Za-z]+|(?<![0-9A-Za-z])sk-(?=[A-Za-z_-]*[0-9])[0-9A-Za-z_-]{20,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a value was written. `line` counts from one and is the line of the key; `text` is the text of a scalar."""

    file: str
    line: int | None = None
    text: str | None = None
    tag: str = "map"
    """YAML's type of the value: str, int, float, bool, null, timestamp, map or seq."""
    plain: bool = False
    """Whether it is a scalar without quotes."""
    source: str | None = None
    """The text before environment variables were filled in; None if it had none."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule: the path of the value that breaks it, and a sentence."""

    path: KeyPath
    message: str


def holds_key(text: str) -> bool:
    """Whether the text holds something that looks like an API key."""
    return _KEY.search(text) is not None


def masked(text: str) -> str:
    """The text with everything that looks like an API key hidden."""
    return _KEY.sub("sk-…", text)


def shown(value: Json) -> str:
    """A value in the form that a message may quote: short, on one line, without API keys."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"{str(value).lower()} (a boolean)"
    if isinstance(value, str):
        return repr(_short(masked(value)))
    if isinstance(value, list | tuple):
        return "a list"
    return "a mapping" if isinstance(value, Mapping) else _short(str(value))


def shape(data: Json) -> str:
    """The kind of value in a file that should hold a mapping."""
    return "a list" if isinstance(data, list) else "a single value"


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


class Draft:
    """Data and origins by path, the mistakes found so far, and the paths of the wrong values."""

    def __init__(self, file: str, data: JsonObject, origins: Mapping[KeyPath, Origin]) -> None:
        """`origins` holds every path of `data`, and the empty path."""
        self.file = file
        self.data = data
        self.origins = dict(origins)
        self.mistakes: list[Mistake] = []
        self.sources: list[Path] = []  # files beside the job file that were read
        self._known: set[Mistake] = set()
        self._broken: set[KeyPath] = set()
        self._paths: dict[str, KeyPath] | None = None

    def get(self, *path: str | int) -> Json:
        """The value at a path; None if there is none."""
        value: Json = self.data
        for part in path:
            if isinstance(value, dict) and isinstance(part, str):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def put(self, path: KeyPath, value: Json) -> None:
        """Sets a value at a path whose parent exists."""
        self.get(*path[:-1])[path[-1]] = value

    def remove(self, path: KeyPath) -> None:
        """Removes a value from its mapping or list, if it is there."""
        parent = self.get(*path[:-1])
        if isinstance(parent, dict):
            parent.pop(path[-1], None)
        elif isinstance(parent, list) and isinstance(path[-1], int) and path[-1] < len(parent):
            parent.pop(path[-1])

    def place(self, path: KeyPath) -> KeyPath:
        """The longest beginning of a path that the user has written."""
        while path and path not in self.origins:
            path = path[:-1]
        return path

    def origin(self, path: KeyPath) -> Origin:
        """The origin of the value at a path, or of its nearest parent that was written."""
        return self.origins[self.place(path)]

    def under(self, path: KeyPath) -> Iterator[KeyPath]:
        """Every written path that equals `path` or lies below it."""
        return (other for other in list(self.origins) if other[: len(path)] == path)

    def blame(self, path: KeyPath, message: str, *, breaks: bool = True) -> None:
        """Records a mistake. With `breaks`, rules that need this value are skipped."""
        origin = self.origin(path)
        key = masked(dotted(path)) or None
        mistake = Mistake(message=masked(message), file=origin.file, line=origin.line, key=key)
        if mistake not in self._known:
            self._known.add(mistake)
            self.mistakes.append(mistake)
        if breaks:
            self._broken.add(path)

    def accept(self, mistake: Mistake, path: KeyPath | None = None) -> None:
        """Records a mistake that was found while a file was parsed. It breaks `path`, else the path of its key."""
        self.mistakes.append(mistake)
        self._known.add(mistake)
        if path is None and self._paths is None:
            self._paths = {dotted(each): each for each in self.origins}
        found = path or (self._paths or {}).get(mistake.key or "")
        self._broken.update([] if found is None else [found])

    def blamed(self, path: KeyPath) -> bool:
        """Whether exactly this value is known to be wrong."""
        return path in self._broken

    def broken(self, path: KeyPath) -> bool:
        """Whether a mistake was found at the path, above it or below it."""
        return any(path[: len(other)] == other[: len(path)] for other in self._broken)

    def shown(self, path: KeyPath, value: Json) -> str:
        """A value in the form that a message may quote. A value from the environment is named, never quoted."""
        source = self.origins[path].source if path in self.origins else None
        return shown(value) if source is None else f"the value of {masked(source)}"
