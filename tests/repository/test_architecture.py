"""The imports that each room may have, and which modules are pure. The rooms' docstrings name both."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "batchfree"

# The emulator is a referee: apart from its own files it imports only these, and nothing of the client.
REFEREE_MAY_IMPORT = {"anyio", "httpx", "pydantic", "pydantic_core", "starlette", "uvicorn", "yaml"}

HEAVY = {"httpx", "jinja2", "jsonschema", "polars", "pydantic", "rich", "starlette", "uvicorn"}

WORLDLY_MODULES = {
    *("anyio", "asyncio", "fcntl", "glob", "httpx", "io", "logging", "os", "secrets", "shutil"),
    *("signal", "socket", "sqlite3", "subprocess", "sys", "tempfile", "threading", "time", "urllib.request", "uuid"),
}
# A pure module may hold a path as a value, but may not look at the file system.
WORLDLY_METHODS = re.compile(
    r"(read|write)_(text|bytes|parquet|csv|ndjson|json|ipc)|(scan|sink)_\w+"
    r"|exists|is_file|is_dir|iterdir|mkdir|open|rglob|stat|touch|unlink"
)
WORLDLY_CALLS = {"open", "print", "input", "exec", "eval"}
CLOCK_READINGS = {"now", "utcnow", "today"}


@cache
def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def dotted(path: Path) -> str:
    """`batchfree/core/chat.py` → `core.chat`; a package is named like its folder, and batchfree is the empty name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(name: str) -> str:
    """`service.quota.limits` → `service`; the files at the top of the package have no room."""
    return name.split(".")[0] if name.split(".")[0] in rooms() else ""


@cache
def rooms() -> dict[str, str]:
    """The docstring of every room, by name."""
    return {path.parent.name: ast.get_docstring(tree_of(path)) or "" for path in sorted(PACKAGE.glob("*/__init__.py"))}


def listed(room: str, heading: str) -> str:
    """The text after `Imports:` or `Pure:` in a room's docstring, up to the full stop."""
    found = re.search(rf"^{heading}: (.+?)\.$", rooms()[room], re.MULTILINE | re.DOTALL)
    assert found, f"the docstring of batchfree/{room}/__init__.py has no line `{heading}: ….`"
    return " ".join(found[1].split())


def allowed_imports(room: str) -> set[str]:
    said = listed(room, "Imports")
    return set() if said == "nothing" else set(said.split(", "))


def is_pure(name: str) -> bool:
    """Whether the docstring of a module's room calls the module pure."""
    room, _, inner = name.partition(".")
    if room not in rooms():
        return False
    said = listed(room, "Pure")
    names = said.removeprefix("all but ").split(", ")
    named_there = any(inner == each or inner.startswith(f"{each}.") for each in names)
    if said == "all" or not inner:  # the room's own __init__ is pure only if the whole room is
        return said == "all"
    if said.startswith("all but "):
        return not named_there
    return named_there


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


class Imports(ast.NodeVisitor):
    """Every module that a file imports, also inside functions; imports for type checkers alone do not count."""

    def __init__(self, path: Path) -> None:
        self.names: set[str] = set()
        self._path = path
        self.visit(tree_of(path))

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) not in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            self.generic_visit(node)
            return
        for each in node.orelse:
            self.visit(each)

    def visit_Import(self, node: ast.Import) -> None:
        self.names |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        source = node.module or ""
        if node.level:
            here = self._path.relative_to(PACKAGE.parent).with_suffix("").parts
            source = ".".join([*here[: len(here) - node.level], *([source] if source else [])])
        # `from batchfree.journal import file` imports a module, `from batchfree.core.chat import Kind` does not.
        for alias in node.names:
            inner = PACKAGE.parent.joinpath(*source.split("."), alias.name)
            is_module = inner.is_dir() or inner.with_suffix(".py").exists()
            self.names.add(f"{source}.{alias.name}" if source.startswith("batchfree") and is_module else source)


@cache
def own_imports(path: Path) -> frozenset[str]:
    """The modules of batchfree that a file imports, with the names of `dotted`."""
    own = [name for name in Imports(path).names if name == "batchfree" or name.startswith("batchfree.")]
    return frozenset(name.removeprefix("batchfree").removeprefix(".") for name in own)


def named(path: Path) -> str:
    return dotted(path) or "batchfree"


def is_module(name: str) -> bool:
    return PACKAGE.joinpath(*name.split(".")).with_suffix(".py").exists()


each_module = pytest.mark.parametrize("path", modules(), ids=named)
each_room = pytest.mark.parametrize("room", rooms())
each_pure_module = pytest.mark.parametrize("path", [path for path in modules() if is_pure(dotted(path))], ids=named)


def test_the_package_has_at_most_nineteen_entries_at_its_top() -> None:
    # sixteen, and the three outer doors: the server for clients, the executors, the handbook
    assert len([path for path in PACKAGE.iterdir() if path.name != "__pycache__"]) <= 19


@each_room
def test_a_room_imports_only_what_its_docstring_names(room: str) -> None:
    inside = [path for path in modules() if room_of(dotted(path)) == room]
    imported = {room_of(name) for path in inside for name in own_imports(path)} - {room, ""}
    assert imported == allowed_imports(room)


def test_the_rooms_stand_on_a_ladder() -> None:
    TopologicalSorter({room: allowed_imports(room) for room in rooms()}).prepare()  # raises CycleError


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {dotted(path): {name for name in own_imports(path) if is_module(name)} for path in modules()}
    TopologicalSorter(graph).prepare()  # raises CycleError


@each_room
def test_the_modules_that_a_room_calls_pure_exist(room: str) -> None:
    said = listed(room, "Pure").removeprefix("all but ")
    inside = [dotted(path).removeprefix(f"{room}.") for path in modules() if room_of(dotted(path)) == room]
    for name in [] if said in ("all", "none") else said.split(", "):
        assert any(each == name or each.startswith(f"{name}.") for each in inside), name


@each_module
def test_a_module_is_named_after_one_thing(path: Path) -> None:
    assert not set(dotted(path).split(".")) & {"utils", "util", "common", "base", "manager", "helpers", "misc"}


@each_module
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree_of(path))


def test_no_file_name_stands_twice() -> None:
    stems = Counter(path.stem for path in modules() if path.stem not in ("__init__", "__main__"))
    assert [stem for stem, count in stems.items() if count > 1] == []


def test_no_class_name_stands_twice() -> None:
    nodes = (node for path in modules() for node in ast.walk(tree_of(path)))
    classes = Counter(node.name for node in nodes if isinstance(node, ast.ClassDef))
    assert [name for name, count in classes.items() if count > 1] == []


def worldly(tree: ast.Module) -> Iterator[str]:
    """The places where a module waits, reads, writes, reads the clock or draws a random number."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield f"line {node.lineno}: waits"
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Name(id=name) if name in WORLDLY_CALLS:
                yield f"line {node.lineno}: {name}()"
            case ast.Attribute(value=ast.Name(id="random"), attr=name) if name != "Random" or not node.args:
                yield f"line {node.lineno}: random.{name}() without a seed"
            case ast.Attribute(value=ast.Name(id="datetime" | "date"), attr=name) if name in CLOCK_READINGS:
                yield f"line {node.lineno}: .{name}()"
            case ast.Attribute(attr=name) if WORLDLY_METHODS.fullmatch(name):
                yield f"line {node.lineno}: .{name}()"


@each_pure_module
def test_a_pure_module_neither_waits_nor_reads_nor_writes(path: Path) -> None:
    assert {name for name in Imports(path).names if {name, name.split(".")[0]} & WORLDLY_MODULES} == set()
    assert list(worldly(tree_of(path))) == []


@each_pure_module
def test_a_pure_module_imports_only_pure_modules(path: Path) -> None:
    impure = {name for name in own_imports(path) if not is_pure(name) and (is_module(name) or name == "")}
    assert impure == set()


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("import random\nrandom.random()", 1),
        ("import random\nrandom.Random()", 1),
        ("import random\nrandom.Random(7)", 0),
        ("def f(rng):\n    return rng.random()", 0),
        ("datetime.now(UTC)", 1),
        ("datetime.fromtimestamp(0, UTC)", 0),
        ("open('x')", 1),
        ("path.read_text()", 1),
        ("pl.scan_ndjson(path)", 1),
        ("async def f(): ...", 1),
    ],
)
def test_impure_code_is_recognised(source: str, count: int) -> None:
    assert len(list(worldly(ast.parse(source)))) == count


@pytest.mark.parametrize("path", [p for p in modules() if room_of(dotted(p)) == "emulator"], ids=named)
def test_the_emulator_imports_nothing_of_the_client(path: Path) -> None:
    foreign = {name for name in own_imports(path) if room_of(name) != "emulator"}
    others = {name.split(".")[0] for name in Imports(path).names} - {"batchfree", "__future__"}
    assert foreign == set()
    assert others - set(sys.stdlib_module_names) - REFEREE_MAY_IMPORT == set()


@pytest.mark.parametrize("module", ["batchfree", "batchfree.cli", "batchfree.__main__"])
def test_the_import_loads_no_heavy_dependency(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) & HEAVY == set()
