"""The page for whoever takes the project over: every file and name on it exists, and its map is the ladder."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "batchfree"
PAGE = (PACKAGE / "ARCHITECTURE.md").read_text(encoding="utf-8")

SPANS = re.findall(r"`([^`\n]+)`", PAGE)
PATHS = sorted(
    {span.partition(":")[0] for span in SPANS if re.fullmatch(r"\.?[\w./-]*(/|\.py)[\w./-]*(:[\w.]+)?", span)}
)
NAMES = sorted({span for span in SPANS if re.fullmatch(r"[\w./-]+\.py:[\w.]+", span)})
CLASSES = sorted({span for span in SPANS if re.fullmatch(r"[A-Z][a-z]\w*", span)})


def file_at(path: str) -> Path | None:
    """The file or folder: names on the page start at the package or at the top of the repository."""
    return next((folder / path for folder in (PACKAGE, ROOT) if (folder / path).exists()), None)


def definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    """The functions, classes, constants and methods that a file defines, methods as `Class.method`."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from definitions(node.body, f"{prefix}{node.name}.")
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from (prefix + target.id for target in targets if isinstance(target, ast.Name))


@cache
def names_defined_in(path: Path) -> frozenset[str]:
    return frozenset(definitions(ast.parse(path.read_text(encoding="utf-8")).body))


def section(title: str) -> str:
    _, _, rest = PAGE.partition(f"\n## {title}\n")
    assert rest, title
    return rest.partition("\n## ")[0]


@pytest.mark.parametrize("path", PATHS)
def test_every_file_on_the_page_exists(path: str) -> None:
    assert file_at(path.rstrip("/")) is not None or file_at(f"{path.rstrip('/')}/__init__.py") is not None


@pytest.mark.parametrize("name", NAMES)
def test_every_function_on_the_page_exists(name: str) -> None:
    path, _, inner = name.partition(":")
    file = file_at(path)
    assert file is not None
    assert inner in names_defined_in(file)


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_on_the_page_exists(name: str) -> None:
    assert any(name in names_defined_in(path) for path in PACKAGE.rglob("*.py"))


def test_the_map_names_the_rooms_from_the_bottom_of_the_ladder_to_the_top() -> None:
    named = re.findall(r"^\| `(\w+)/` \|", section("Map"), re.MULTILINE)
    assert sorted(named) == sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
    for place, room in enumerate(named):
        docstring = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))) or ""
        imported = re.search(r"^Imports: (.+)\.$", docstring, re.MULTILINE)
        assert imported, room
        assert set(imported[1].split(", ")) <= {*named[:place], "nothing"}, room


@pytest.mark.parametrize("road", ["The road of a row", "The road of a 429"])
def test_every_step_of_a_road_names_a_function(road: str) -> None:
    steps = re.findall(r"^(\d+)\. (.*(?:\n   .*)*)", section(road), re.MULTILINE)
    assert [int(number) for number, _ in steps] == list(range(1, len(steps) + 1))
    for number, text in steps:
        assert re.search(r"`[\w./]+\.py:[\w.]+`", text), number
