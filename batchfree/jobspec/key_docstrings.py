"""The sentences about the keys of a job file: the docstrings below the fields of the models.

Pydantic can read them too (`use_attribute_docstrings`), but it reads those of every model at every import, and that
takes longer than reading a job file. Only the JSON Schema needs them.
"""

from __future__ import annotations

import ast
import inspect
from functools import lru_cache
from types import ModuleType

from pydantic import BaseModel


def key_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The docstring of each field of a model, also of inherited ones, by the key that a job file writes."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        module = inspect.getmodule(each)
        if module is not None and issubclass(each, BaseModel) and each is not BaseModel:
            found |= _docstrings(module).get(each.__name__, {})
    return {field.alias or name: found[name] for name, field in model.model_fields.items() if name in found}


@lru_cache
def _docstrings(module: ModuleType) -> dict[str, dict[str, str]]:
    """Class → field → docstring, of all classes in a module."""
    classes = [node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.ClassDef)]
    return {node.name: _docstrings_of_fields(node) for node in classes}


def _docstrings_of_fields(node: ast.ClassDef) -> dict[str, str]:
    found = {}
    for field, below in zip(node.body, node.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(sentence))):
                found[name] = inspect.cleandoc(sentence)
    return found
