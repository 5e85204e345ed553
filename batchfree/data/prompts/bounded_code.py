"""The code of templates within bounds: checks of time and sizes that are compiled into a template."""

from __future__ import annotations

from collections.abc import Iterable

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame

from batchfree.data.prompts.bounds import check_size


def watch_turns(tree: nodes.Template) -> None:
    """Puts a call of `turn` into every loop and macro of a parsed template."""
    loops: list[nodes.For | nodes.Macro | nodes.CallBlock] = list(tree.find_all(nodes.For))
    for node in [*loops, *tree.find_all(nodes.Macro), *tree.find_all(nodes.CallBlock)]:
        look = nodes.Call(nodes.EnvironmentAttribute("turn"), [nodes.ContextReference()], [], None, None)
        if isinstance(node, nodes.For) and node.test is not None:
            node.test = nodes.And(look, node.test, lineno=node.lineno)
        node.body.insert(0, nodes.ExprStmt(look, lineno=node.lineno))
        look.set_lineno(node.lineno)
    if tree.environment is not None:
        tree.set_environment(tree.environment)


class BoundedGenerator(CodeGenerator):
    """Compiles `~`, literals of lists and objects, and joined texts into bounded calls."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        """Writes the call."""
        self.write("environment.concat(map(str, (")
        for each in node.nodes:
            self.visit(each, frame)
            self.write(", ")
        self.write(")))")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:
        """Writes the list in a call that measures it."""
        self.write("environment.checked(")
        super().visit_List(node, frame)
        self.write(")")

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        """Writes the object in a call that measures it."""
        self.write("environment.checked(")
        super().visit_Dict(node, frame)
        self.write(")")

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:
        """Writes the tuple in a call that measures it, unless values are assigned to it."""
        if node.ctx != "load":
            super().visit_Tuple(node, frame)
            return
        self.write("environment.checked(")
        super().visit_Tuple(node, frame)
        self.write(")")

    def buffer(self, frame: Frame) -> None:
        """Begins to collect text."""
        frame.buffer = self.temporary_identifier()
        self.writeline(f"{frame.buffer} = environment.pieces()")


class Pieces(list[str]):
    """The pieces of a text that a macro or a block joins. Raises TemplateRuntimeError if the text is too long."""

    def __init__(self) -> None:
        super().__init__()
        self._size = 0

    def append(self, piece: str) -> None:
        """Adds one piece."""
        self._size += len(piece)
        check_size(self._size)
        super().append(piece)

    def extend(self, pieces: Iterable[str]) -> None:
        """Adds some pieces."""
        for piece in pieces:
            self.append(piece)


def concat(pieces: Iterable[str]) -> str:
    """The pieces as one text. Raises TemplateRuntimeError if it is too long."""
    collected = Pieces()
    collected.extend(pieces)
    return "".join(collected)
