"""Removes the thinking that stands in a reply beside the answer, for every model family that is known to leak it.

`FAMILIES` is the table of the marks that open and end a thought. Thinking comes first, sometimes without its opening
mark. A mark that the text only talks about begins no thought: a mark in quotes, in a fenced block, within JSON, or in
the middle of a sentence.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batchfree.answers.fences import fenced_spans
from batchfree.answers.strict_json import brackets

_TAG = r"(?:[a-z]{1,20}[:_]|ant)?(?:think|thinking|thoughts?|thought_process|reasoning|reflection)"
_CHANNEL = r"(?:<\|start\|>\s{0,9}assistant\s{0,9})?<\|channel\|>\s{0,9}"
FAMILIES: Sequence[tuple[str, str]] = (
    # <think>…</think> of DeepSeek, Qwen and many others, also with a prefix (<seed:think>, <longcat_think>), and as
    # HTML entities
    (rf"<{_TAG}(?:\s[^<>\n]{{0,200}})?>|&lt;{_TAG}&gt;", rf"</\s{{0,3}}{_TAG}\s{{0,3}}>|&lt;/{_TAG}&gt;"),
    (r"◁think▷", r"◁/think▷"),  # Kimi
    (r"(?-i:\[THINK\])", r"(?-i:\[/THINK\])"),  # Magistral
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),  # Command A
    (r"<\|begin_of_(?:thought|thinking|reasoning)\|>", r"<\|end_of_(?:thought|thinking|reasoning)\|>"),  # Sky-T1
    (r"<\|(?:think|thinking|thought|reasoning)\|>", r"<\|/(?:think|thinking|thought|reasoning)\|>"),
    (r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),  # Apertus
    (r"<unused94>", r"<unused95>"),  # MedGemma
    (r"<\|channel>\s{0,9}(?:thought|thinking|analysis)", r"<channel\|>"),  # Gemma
    # gpt-oss writes OpenAI's harmony format, which some providers pass on unread …
    (rf"{_CHANNEL}(?:analysis|commentary)", rf"{_CHANNEL}final[^<]{{0,60}}(?:<\|constrain\|>\w{{0,20}})?<\|message\|>"),
    # … or without its tokens: analysisWe need to decide.assistantfinalpositive
    (
        r"\A\s{0,99}(?-i:(?:assistant)?(?:analysis|commentary)(?=\s?[A-Z]))",
        r"(?-i:assistant\s{0,3}final)(?:\s{0,3}message)?",
    ),
    (r"<details\s[^<>\n]{0,99}reasoning[^<>\n]{0,99}>", r"</details>"),  # Open WebUI
    (r"^[ \t]{0,9}Thinking\.\.\.[ \t]{0,9}$", r"^[ \t]{0,9}\.\.\.done thinking\.[ \t]{0,9}$"),  # Ollama
    (r"^```(?:thinking|thought|think|reasoning)\b", r"^```[ \t]{0,9}$"),
)
"""The opening and the end of a thought in each family of marks."""
ENDS_OF_OTHER_THINGS = frozenset(
    number for number, (_, end) in enumerate(FAMILIES) if end.startswith(("</details", "^```", "(?-i:assistant"))
)
"""Families whose end mark has other uses. Without an opening it ends no thought."""
MARK = re.compile(
    "|".join(f"(?P<o{number}>{opening})|(?P<e{number}>{end})" for number, (opening, end) in enumerate(FAMILIES)),
    re.IGNORECASE | re.MULTILINE,
)
STARTS = re.compile(r"<(?=[\w/|])|&|◁|\[|\n[ \t]{0,9}[Tt.`]|assistant")
"""Where a mark may begin, beside the start of the text. `re` finds these few characters quickly, and `MARK` slowly."""
HINTS = ("<", "[THINK]", "[/THINK]", "◁", "&lt;", "analysis", "commentary", "hinking...", "```")
"""A text without any of them holds no mark."""
QUOTES = {"`": "`", '"': '"', "'": "'", "“": "”", "„": "“", "”": "”", "‘": "’", "«": "»", "「": "」"}
EXPLAINED = re.compile(
    r"[ \t]{1,3}(?:is an?|is the (?:tag|token|mark|opening)|and [<`\"]|tags?|tokens?|marks|opens|stands for)\b"
)
"""The words behind a mark that a sentence explains: `<think> is a tag`."""
SENTENCE_ENDS = frozenset(".!?…。！？")
END_TOKEN = re.compile(r"(?:<[|｜][\w▁/ ]{1,40}[|｜]>|</s>|<eos>|<end_of_turn>)\Z", re.IGNORECASE)
START_TOKEN = re.compile(
    r"\s*(?:<bos>|\[/INST\]|<\|(?:start|im_start)\|>\s{0,9}assistant\b"
    r"|<\|(?:message|START_RESPONSE|START_TEXT|begin_of_solution|begin_of_box)\|>)"
)


@dataclass(frozen=True, slots=True)
class _Mark:
    """A mark in a text: its place, the number of its family, and whether it opens a thought."""

    start: int
    end: int
    family: int
    opens: bool

    @property
    def needs_opening(self) -> bool:
        """Whether the mark ends a thought only if there is an opening before it."""
        return not self.opens and self.family in ENDS_OF_OTHER_THINGS


def may_hold_thinking(text: str) -> bool:
    """Whether a text may hold a mark of thinking. If not, it holds none."""
    return any(map(text.__contains__, HINTS))


def without_thinking(text: str, *, anywhere: bool) -> str:
    """The text without its thoughts; empty if a thought never ends.

    With `anywhere`, for labels and JSON, thoughts are also removed from the middle, and every end mark without an
    opening counts. In free text such an end mark counts only if the text can't be talking about the mark.
    """
    text = text.strip()
    if may_hold_thinking(text) and not all(mark.needs_opening for mark in _marks(text)):
        rest = _after_leading_thoughts(text)
        text = _without_inner_thoughts(rest) if anywhere else _after_lone_end(rest)
    return _without_chat_tokens(text.strip())


def _marks(text: str) -> list[_Mark]:
    """The marks of a text in order, without those in quotes and those that a sentence explains."""
    found, end = list[_Mark](), 0
    for start in _starts(text):
        match = MARK.match(text, start) if start >= end else None
        if match is None:
            continue
        name, end = str(match.lastgroup), match.end()
        mark = _Mark(start, end, int(name[1:]), name[0] == "o")
        if not _is_quoted(text, mark) and not EXPLAINED.match(text, end):
            found.append(mark)
    return found


def _starts(text: str) -> Iterator[int]:
    """The places of a text where a mark may begin, in order: its start, the start of a line, or a sign of `STARTS`."""
    yield 0
    for match in STARTS.finditer(text):
        yield match.start() + (text[match.start()] == "\n")


def _is_quoted(text: str, mark: _Mark) -> bool:
    before, after = text[mark.start - 1 : mark.start], text[mark.end : mark.end + 1]
    if not before or not after or QUOTES.get(before) != after:
        return False
    line = text[max(0, mark.start - 200) : mark.start].rpartition("\n")[2]
    return before != after or line.count(before) % 2 == 1


def _ends(marks: Sequence[_Mark]) -> list[list[int]]:
    """For each family the places of its ends in `marks`."""
    ends: list[list[int]] = [[] for _ in FAMILIES]
    for place, mark in enumerate(marks):
        if not mark.opens:
            ends[mark.family].append(place)
    return ends


def _end_after(place: int, family: int, ends: Sequence[Sequence[int]]) -> int | None:
    """The place of the family's first end after a place in the list of marks."""
    index = bisect_left(ends[family], place)
    return ends[family][index] if index < len(ends[family]) else None


def _after_leading_thoughts(text: str) -> str:
    """The text after the thoughts that it begins with; empty if one of them never ends."""
    marks, start, place = _marks(text), 0, 0
    ends = _ends(marks)
    while place < len(marks) and not text[start : marks[place].start].strip():
        mark = marks[place]
        last: int | None = place
        if mark.opens:
            last = _end_after(place, mark.family, ends)
        elif mark.needs_opening:
            break
        if last is None:
            return ""
        start, place = marks[last].end, last + 1
    return text[start:]


def _without_inner_thoughts(text: str) -> str:
    """The text without the thoughts in its middle, and without everything before an end mark that has no opening.

    Marks within brackets are left alone, because they are part of a JSON text.
    """
    spans = brackets(text).spans
    starts = [span.start for span in spans]
    marks = [mark for mark in _marks(text) if not _is_within(mark, spans, starts)]
    ends = _ends(marks)
    kept, start, place = list[str](), 0, 0
    while place < len(marks):
        mark, last = marks[place], place
        if mark.opens:
            end = _end_after(place, mark.family, ends)
            if end is not None:
                kept.append(text[start : mark.start])
                start, last = marks[end].end, end
            elif not text[max(0, mark.start - 200) : mark.start].rpartition("\n")[2].strip():
                return ""
        elif not mark.needs_opening:
            kept, start = [], mark.end
        place = last + 1
    return " ".join([*kept, text[start:]])


def _is_within(mark: _Mark, spans: Sequence[slice], starts: Sequence[int]) -> bool:
    index = bisect_left(starts, mark.start) - 1
    return index >= 0 and mark.end < spans[index].stop


def _after_lone_end(text: str) -> str:
    """Free text after the last end mark that has no opening and that the text can't be talking about."""
    opened, start = set[int](), 0
    inside = list(fenced_spans(text))
    starts = [span.start for span in inside]
    for mark in _marks(text):
        if _is_within(mark, inside, starts):
            continue
        if mark.opens:
            opened.add(mark.family)
        elif mark.family not in opened | ENDS_OF_OTHER_THINGS and (mark.family > 0 or _is_no_talk(text, mark)):
            start = mark.end
    return text[start:]


def _is_no_talk(text: str, mark: _Mark) -> bool:
    """Whether an end tag stands at the edge of a line, between two sentences, or without a blank at a word."""
    before, after = text[max(0, mark.start - 40) : mark.start], text[mark.end : mark.end + 40]
    line_before, line_after = before.rpartition("\n")[2], after.partition("\n")[0]
    if not line_before.strip() or not line_after.strip():
        return True
    glued = not line_before[-1].isspace() and line_before[-1] not in QUOTES and line_before[-1] not in "([{/,"
    between = line_before.rstrip()[-1] in SENTENCE_ENDS or line_after.lstrip()[0].isupper()
    return glued or between or line_after[0].isalnum()


def _without_chat_tokens(text: str) -> str:
    """The text, which has no blanks around it, without the tokens of a chat format at its start and end."""
    if not text.startswith(("<", "[")) and not text.endswith(">"):
        return text
    start, end = 0, len(text)
    while found := START_TOKEN.match(text, start):
        start = found.end()
    while found := END_TOKEN.search(text, max(start, end - 50), end):
        end = found.start()
        while end > start and text[end - 1].isspace():
            end -= 1
    return text[start:end].strip()
