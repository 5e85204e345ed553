"""Compiles the messages of a spec. Each text in them is a template; batchfree's short parts become OpenAI's parts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from batchfree.core.chat import Json, JsonObject
from batchfree.core.text import KeyPath
from batchfree.data.prompts.media import Medium, medium_at, medium_of, part_of
from batchfree.data.prompts.sandbox import Sandbox
from batchfree.data.prompts.template import BrokenTemplateError, Template, UnrenderableError
from batchfree.data.unknown_column import no_column

Row: TypeAlias = Mapping[str, Any]
Render: TypeAlias = Callable[[Row], Json]
Blame: TypeAlias = Callable[[KeyPath, str], None]

MEDIA = ("image", "file", "audio")
URLS = ("http://", "https://", "data:")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCompiler:
    """Turns templates into functions of a row. Mistakes go to `blame`, each with the path of its key."""

    environment: Sandbox
    schema: pl.Schema
    folder: Path
    blame: Blame
    allowed: Sequence[str] = ()
    """Folders outside `folder` from which rows may name files."""
    files: Sequence[str] = ()
    """The paths of the input's files."""
    used: set[str] = field(default_factory=set)
    """The columns that the templates use."""

    def compile_text(self, source: str, path: KeyPath) -> Callable[[Row], str]:
        """A template as a function of a row."""
        try:
            text = Template(source, self.environment, self.schema, self.files)
            self.used.update(self.schema if text.columns is None else text.columns)
            return text
        except BrokenTemplateError as error:
            for problem in error.problems:
                self.blame(path, problem)
        except (RecursionError, SyntaxError, MemoryError):  # Python can't compile what Jinja makes of it
            self.blame(path, "the template is nested too deeply, or one of its expressions is too long")
        return lambda row: ""

    def compile_value(self, value: Json, path: KeyPath) -> Render:
        """A value of any kind as a function of a row; every text inside is a template."""
        if isinstance(value, str):
            return self.compile_text(value, path)
        if isinstance(value, list | tuple):
            items = [self.compile_value(each, (*path, place)) for place, each in enumerate(value)]
            return lambda row: [render(row) for render in items]
        if isinstance(value, dict):
            if self._is_short_part(value):
                return self._compile_medium(value, path)
            fields = {key: self.compile_value(each, (*path, key)) for key, each in value.items()}
            return lambda row: {key: render(row) for key, render in fields.items()}
        return lambda row: value

    @staticmethod
    def _is_short_part(value: JsonObject) -> bool:
        kind = value.get("type")
        return kind in MEDIA and ("column" in value or isinstance(value.get(kind), str))

    def _compile_medium(self, part: JsonObject, path: KeyPath) -> Render:
        kind = part["type"]
        rest = {key: each for key, each in part.items() if key not in ("type", "column", kind)}
        extra = self.compile_value(rest, path)
        source = (
            self._compile_column(part["column"], path)
            if "column" in part
            else self._compile_path(part[kind], (*path, kind))
        )
        return lambda row: part_of(kind, source(row), extra(row))

    def _compile_path(self, source: str, path: KeyPath) -> Callable[[Row], Medium | str]:
        """A URL, or a file by its path from the job's folder.

        A path that is fixed in the spec may lead anywhere. A row may choose files in the job's folder, in the folders
        `allowed`, and in the folder that the fixed beginning of the path names.
        """
        text, folder = self.compile_text(source, path), self.folder
        is_fixed = isinstance(text, Template) and text.constant is not None
        named = text.fixed_start.strip().rpartition("/")[0] if isinstance(text, Template) else ""
        roots = [Path(os.path.realpath(folder / each)) for each in ("", named, *self.allowed)]

        def find(row: Row) -> Medium | str:
            place = text(row).strip()
            if not place:
                raise UnrenderableError("the path of a file is empty")
            if place.lower().startswith(URLS):
                return place
            if not is_fixed and "\0" not in place:
                real = Path(os.path.realpath(folder / place))
                if not any(real.is_relative_to(root) for root in roots):
                    raise UnrenderableError(
                        f"{place} lies outside the job file's folder, and no folder of input.files holds it"
                    )
            return medium_at(folder / place, place)

        return find

    def _compile_column(self, column: str, path: KeyPath) -> Callable[[Row], Medium | str]:
        """A column of bytes, or of structs with bytes and path, as Hugging Face datasets store images."""
        path = (*path, "column")
        self.used.add(column)
        dtype = self.schema.get(column)
        nested = isinstance(dtype, pl.Struct) and any(field.name == "bytes" for field in dtype.fields)
        if dtype is None and self.schema:
            self.blame(path, no_column(column, self.schema, self.files))
        elif dtype is not None and not nested and dtype != pl.Binary:
            advice = f"for a column of paths or URLs write {{type: image, image: '{{{{ {column} }}}}'}}"
            self.blame(path, f"the column `{column}` holds {dtype}, not bytes; {advice}")

        def find(row: Row) -> Medium | str:
            value = row.get(column)
            content = value.get("bytes") if isinstance(value, dict) else value
            if content is None:
                raise UnrenderableError(f"the column `{column}` is null")
            return medium_of(content, f"the column `{column}`")

        return find
