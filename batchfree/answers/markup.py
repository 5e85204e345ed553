"""What surrounds an answer in a model's text: thinking, code fences, tokens of the chat format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

THINKING = r"(?:think|thinking|thought|thoughts|reasoning|seed:think)"
OPENING_TAG = re.compile(rf"\s*<({THINKING})\b[^>\n]*>", re.IGNORECASE)
BLOCK = re.compile(rf"<{THINKING}\b[^>\n]*>.*?</{THINKING}>", re.IGNORECASE | re.DOTALL)
CLOSING_TAG = re.compile(rf"</{THINKING}>", re.IGNORECASE)
CLOSING_TAG_AT_LINE_EDGE = re.compile(rf"(?:^[ \t]*</{THINKING}>|</{THINKING}>[ \t]*$)", re.IGNORECASE | re.MULTILINE)
HARMONY_FINAL = re.compile(r"<\|channel\|>\s*final[^<]*<\|message\|>")
HARMONY_THOUGHT = re.compile(r"\s*(?:<\|start\|>\s*assistant\s*)?<\|channel\|>\s*(?:analysis|commentary)")
"""OpenAI's harmony format, in which gpt-oss models write when a provider does not parse it."""
END_TOKEN = re.compile(r"(?:<\|[a-z_]{1,30}\|>|</s>|<end_of_turn>)\Z", re.IGNORECASE)
KIMI_TAGS = re.compile(r"◁(/?think)▷")
FENCES = ("```", "~~~")


def without_thinking(text: str, *, anywhere: bool) -> str:
    """The text without thinking that is marked by tags; empty where the thinking never ends.

    Thinking comes first, sometimes without its opening tag. With `anywhere` it is also taken out of the middle. Free
    text must not be read that way, because it may speak of such tags.
    """
    text = _after_harmony_thought(KIMI_TAGS.sub(r"<\1>", text))
    while opening := OPENING_TAG.match(text):
        closing = re.compile(rf"</{opening[1]}>", re.IGNORECASE).search(text, opening.end())
        if closing is None:
            return ""
        text = text[closing.end() :]
    if anywhere and (closings := list(CLOSING_TAG.finditer(text))):
        end = closings[-1].end()
        text = BLOCK.sub(" ", text[:end]) + text[end:]
    without_opening = CLOSING_TAG if anywhere else CLOSING_TAG_AT_LINE_EDGE
    if closings := list(without_opening.finditer(text)):
        before = text[: closings[-1].start()]
        if anywhere or not re.search(rf"<{THINKING}\b", before, re.IGNORECASE):
            text = text[closings[-1].end() :]
    return _without_end_tokens(text.strip())


def _after_harmony_thought(text: str) -> str:
    """The final message of a reply in the harmony format; empty where there are only thoughts."""
    if final := list(HARMONY_FINAL.finditer(text)):
        return text[final[-1].end() :]
    return "" if HARMONY_THOUGHT.match(text) else text


def _without_end_tokens(text: str) -> str:
    while found := END_TOKEN.search(text, max(0, len(text) - 40)):
        text = text[: found.start()].rstrip()
    return text


def fenced(text: str) -> list[str]:
    """The contents of the fenced blocks of a text."""
    return [text[block.inside] for block in _blocks(text)]


def unfenced(text: str) -> str:
    """The text outside its fenced blocks."""
    around, place = list[str](), 0
    for block in _blocks(text):
        around.append(text[place : block.whole.start])
        place = block.whole.stop
    return "\n".join([*around, text[place:]])


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
