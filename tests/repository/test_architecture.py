"""The ladder that the modules stand on, and what the pure ones keep away from."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "batchfree"

# From the top down. A module imports only from rooms above its own, or from its own. Rooms that share a step may import
# each other until each of them has one of its own.
LADDER: dict[str, tuple[str, ...]] = {
    "words": ("core",),
    "decide": ("jobspec",),
    "act": ("middle", "data", "emulator"),
    "wire": ("job",),
    "talk": ("", "cli", "__main__"),  # "" is batchfree/__init__.py
}
MIDDLE = {"answers", "journal", "service", "run"}
STEPS = [step for rung in LADDER.values() for step in rung]

# Rooms of the deciding rungs whose entrance reads files; every module in them that says so is pure all the same.
NOT_PURE_AS_A_WHOLE = {"jobspec"}

# The emulator is a referee: it has its own files and these (httpx for the embedded transport), nothing of the client.
REFEREE_MAY_IMPORT = {"anyio", "httpx", "starlette", "uvicorn", "yaml"}

HEAVY = {"httpx", "jinja2", "json_repair", "jsonschema", "polars", "pydantic", "rich", "starlette", "uvicorn"}

WORLDLY_MODULES = {
    *("anyio", "asyncio", "fcntl", "glob", "httpx", "io", "logging", "os", "secrets", "shutil"),
    *("signal", "socket", "sqlite3", "subprocess", "sys", "tempfile", "threading", "time", "urllib.request", "uuid"),
}
# A path may be a value like any other, as long as nobody looks whether it is there.
WORLDLY_METHODS = re.compile(
    r"(read|write)_(text|bytes|parquet|csv|ndjson|json|ipc)|(scan|sink)_\w+"
    r"|exists|is_file|is_dir|iterdir|mkdir|open|rglob|stat|touch|unlink"
)
WORLDLY_CALLS = {"open", "print", "input", "exec", "eval"}
CLOCK_READINGS = {"now", "utcnow", "today"}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def dotted(path: Path) -> str:
    """`batchfree/spec/model.py` → `spec.model`; a package is named like its folder, the whole one is the empty name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def step_of(name: str) -> str:
    room = name.split(".")[0]
    return "middle" if room in MIDDLE else room


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def says_pure(tree: ast.Module) -> bool:
    """Whether the first paragraph of the docstring says `Pure.`, `Pure: …` or `Pure but for` a memory of its own."""
    return re.search(r"\bPure([.:]| but for)", (ast.get_docstring(tree) or "").split("\n\n")[0]) is not None


class Imports(ast.NodeVisitor):
    """Every module that is imported anywhere in a file, also inside functions, but not for type checkers only."""

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
        # `from batchfree import journal` imports a module, `from batchfree.chat import Kind` does not.
        for alias in node.names:
            inner = PACKAGE.parent.joinpath(*source.split("."), alias.name)
            is_module = inner.is_dir() or inner.with_suffix(".py").exists()
            self.names.add(f"{source}.{alias.name}" if source.startswith("batchfree") and is_module else source)


def own_imports(path: Path) -> Iterator[str]:
    """The modules of batchfree that a file imports, named as `dotted` does."""
    for name in Imports(path).names:
        if name == "batchfree" or name.startswith("batchfree."):
            yield name.removeprefix("batchfree").removeprefix(".")


def named(path: Path) -> str:
    return dotted(path) or "batchfree"


each_module = pytest.mark.parametrize("path", modules(), ids=named)


def test_every_module_has_a_step_on_the_ladder_and_every_step_a_module() -> None:
    there = {step_of(dotted(path)) for path in modules()}
    assert there - set(STEPS) == set(), "modules without a step"
    assert set(STEPS) - there == set(), "steps without a module"
    assert len(STEPS) == len(set(STEPS))


@each_module
def test_a_module_imports_only_from_above(path: Path) -> None:
    own = step_of(dotted(path))
    if own not in STEPS:
        pytest.fail(f"{named(path)} has no step on the ladder")
    above = {*STEPS[: STEPS.index(own)], own}
    assert {name for name in own_imports(path) if step_of(name) not in above} == set()


@each_module
def test_a_module_is_named_after_one_thing(path: Path) -> None:
    assert not set(dotted(path).split(".")) & {"utils", "util", "common", "base", "manager", "helpers", "misc"}


@each_module
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree_of(path))


@pytest.mark.parametrize(
    "path",
    [p for p in modules() if step_of(dotted(p)) in {*LADDER["words"], *LADDER["decide"]} - NOT_PURE_AS_A_WHOLE],
    ids=named,
)
def test_what_decides_says_that_it_is_pure(path: Path) -> None:
    assert says_pure(tree_of(path))


def worldly(tree: ast.Module) -> Iterator[str]:
    """The places of a module where it waits, reads, writes, or asks for the time or for luck."""
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


@pytest.mark.parametrize("path", [path for path in modules() if says_pure(tree_of(path))], ids=named)
def test_a_pure_module_neither_waits_nor_reads_nor_writes(path: Path) -> None:
    assert {name for name in Imports(path).names if {name, name.split(".")[0]} & WORLDLY_MODULES} == set()
    assert list(worldly(tree_of(path))) == []


@pytest.mark.parametrize("path", [path for path in modules() if says_pure(tree_of(path))], ids=named)
def test_a_pure_module_leans_on_pure_modules_only(path: Path) -> None:
    pure = {dotted(each) for each in modules() if says_pure(tree_of(each))}
    assert set(own_imports(path)) - pure == set()


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
def test_impurity_is_seen(source: str, count: int) -> None:
    assert len(list(worldly(ast.parse(source)))) == count


@pytest.mark.parametrize("path", [p for p in modules() if step_of(dotted(p)) == "emulator"], ids=named)
def test_the_emulator_borrows_nothing_from_the_client(path: Path) -> None:
    foreign = {name for name in own_imports(path) if step_of(name) != "emulator"}
    others = {name.split(".")[0] for name in Imports(path).names} - {"batchfree", "__future__"}
    assert foreign == set()
    assert others - set(sys.stdlib_module_names) - REFEREE_MAY_IMPORT == set()


@pytest.mark.parametrize("module", ["batchfree", "batchfree.cli", "batchfree.__main__"])
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) & HEAVY == set()
