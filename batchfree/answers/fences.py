"""Fenced blocks in a model's text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

FENCES = ("```", "~~~")


def fenced_contents(text: str) -> list[str]:
    """The contents of the fenced blocks of a text."""
    return [text[block.inside] for block in _blocks(text)]


def unfenced(text: str) -> str:
    """The text outside its fenced blocks."""
    around, place = list[str](), 0
    for block in _blocks(text):
        around.append(text[place : block.whole.start])
        place = block.whole.stop
    return "\n".join([*around, text[place:]])


def fenced_spans(text: str) -> list[slice]:
    """The places of the contents of the fenced blocks of a text."""
    return [block.inside for block in _blocks(text)]


@dataclass(frozen=True, slots=True)
class _Block:
    """A fenced block, with its fences and without them."""

    whole: slice
    inside: slice


def _blocks(text: str) -> Iterator[_Block]:
    """The closed fenced blocks, in order. The closing fence may stand at the end of the block's last line."""
    if not any(fence in text for fence in FENCES):
        return
    place, opened, fence = 0, 0, ""
    inside = 0
    for line in text.splitlines(keepends=True):
        end, bare = place + len(line), line.strip()
        if not fence:
            if bare[:3] in FENCES and bare[:3] not in bare.lstrip(bare[0]):
                fence, opened, inside = bare[:3], place, end
        elif bare.endswith(fence):
            body = text[inside:place] + line.rstrip().rstrip(fence[0])
            yield _Block(slice(opened, end), slice(inside, inside + len(body)))
            fence = ""
        place = end
