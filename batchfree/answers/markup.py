"""What surrounds an answer in a model's text: thinking, fences, tokens of the chat format; and verdicts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from batchfree.answers.strict_json import NotJson, parse
from batchfree.core.chat import Json

THINKING = r"(?:think|thinking|thought|thoughts|reasoning|seed:think)"
OPENING = re.compile(rf"\s*<({THINKING})\b[^>\n]*>", re.IGNORECASE)
BLOCK = re.compile(rf"<{THINKING}\b[^>\n]*>.*?</{THINKING}>", re.IGNORECASE | re.DOTALL)
CLOSING = re.compile(rf"</{THINKING}>", re.IGNORECASE)
CLOSING_ON_ITS_LINE = re.compile(rf"(?:^[ \t]*</{THINKING}>|</{THINKING}>[ \t]*$)", re.IGNORECASE | re.MULTILINE)
HARMONY_FINAL = re.compile(r"<\|channel\|>\s*final[^<]*<\|message\|>")
HARMONY_THOUGHT = re.compile(r"\s*(?:<\|start\|>\s*assistant\s*)?<\|channel\|>\s*(?:analysis|commentary)")
END_TOKEN = re.compile(r"(?:<\|[a-z_]{1,30}\|>|</s>|<end_of_turn>)\Z", re.IGNORECASE)
KIMI_TAGS = re.compile(r"◁(/?think)▷")
FENCES = ("```", "~~~")

VERDICTS = frozenset({"safe", "unsafe"})
VERDICT_KEYS = frozenset(
    {
        "safety", "safety verdict", "safety assessment", "safety rating", "user safety", "response safety",
        "prompt safety", "input safety", "output safety", "content safety", "assistant safety",
    }
)  # fmt: skip
CATEGORY_KEYS = frozenset({"safety categories", "safety category", "violated categories", "categories"})
HAZARDS = re.compile(r"(?:s\d{1,2}[,\s]*)+")

REFUSAL = re.compile(
    r"\W*(?:(?:i'?m|i am|we'?re|we are)\s+(?:(?:very|so|really|truly)\s+)?(?:sorry|afraid)\b"
    r"|my apologies|i apologi[sz]e|sorry\b)?"
    r".{0,40}?\b(?:i|we)\s*(?:can ?not|can'?t|won'?t|will not|am unable|'m unable|am not able|'m not able|must decline|"
    r"have to decline|do not feel comfortable|don'?t feel comfortable)\b"
    r"|\W*(?:i'?m|i am|we'?re|we are)\s+(?:very |so |really )?sorry\b|\W*as an ai\b",
    re.IGNORECASE,
)
MAX_REFUSAL_CHARACTERS = 1500


def without_thinking(text: str, *, anywhere: bool) -> str:
    """The text without thinking that is marked by tags; empty where the thinking never ends.

    Thinking comes first, perhaps with its opening tag lost. `anywhere` also takes it out of the middle of a text, which
    may not be done to free text: it may speak of tags.
    """
    text = KIMI_TAGS.sub(r"<\1>", text)
    if final := list(HARMONY_FINAL.finditer(text)):
        text = text[final[-1].end() :]
    elif HARMONY_THOUGHT.match(text):
        return ""
    while opening := OPENING.match(text):
        closing = re.compile(rf"</{opening[1]}>", re.IGNORECASE).search(text, opening.end())
        if closing is None:
            return ""
        text = text[closing.end() :]
    if anywhere and (closings := list(CLOSING.finditer(text))):
        end = closings[-1].end()
        text = BLOCK.sub(" ", text[:end]) + text[end:]
    lost = CLOSING if anywhere else CLOSING_ON_ITS_LINE
    if closings := list(lost.finditer(text)):
        before = text[: closings[-1].start()]
        if anywhere or not re.search(rf"<{THINKING}\b", before, re.IGNORECASE):
            text = text[closings[-1].end() :]
    return _without_end_tokens(text.strip())


def _without_end_tokens(text: str) -> str:
    while found := END_TOKEN.search(text, max(0, len(text) - 40)):
        text = text[: found.start()].rstrip()
    return text


def fenced(text: str) -> list[str]:
    """What stands in the fenced blocks of a text."""
    return [text[block.inside] for block in _blocks(text)]


def unfenced(text: str) -> str:
    """What stands around the fenced blocks of a text."""
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
    """The fenced blocks that are closed, line by line; the closing fence may end the last line of the block."""
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


def is_refusal(text: str) -> bool:
    """Whether a text begins as refusals do. Only to be asked of a text that holds no answer."""
    return len(text) <= MAX_REFUSAL_CHARACTERS and REFUSAL.match(text.replace("’", "'")) is not None


def is_verdict(text: str) -> bool:
    """Whether a whole text is what safety classifiers say: `User Safety: safe`, `unsafe` and a category, or as JSON."""
    if len(text) > 400:
        return False
    for piece in fenced(text) or [text]:
        try:
            if is_verdict_value(parse(piece)):
                return True
        except NotJson:
            pass
    lines = [line.strip(" \t*_`\"'.!,#>-").casefold() for line in text.splitlines()]
    lines = [line for line in lines if line]
    return any(map(_judges, lines)) and all(_judges(line) or _categorises(line) for line in lines)


def is_verdict_value(value: Json, names: Iterable[str] = ()) -> bool:
    """Whether a JSON value is a verdict. `names`: keys that were asked for, and are no verdict then."""
    if isinstance(value, str):
        return value.casefold().strip() in VERDICTS
    if not isinstance(value, dict) or set(value) & set(names):
        return False
    keys = {_words(key): each for key, each in value.items()}
    judged = [str(each).casefold().strip() in VERDICTS for key, each in keys.items() if key in VERDICT_KEYS]
    return any(judged) and all(key in VERDICT_KEYS | CATEGORY_KEYS for key in keys)


def _judges(line: str) -> bool:
    key, colon, verdict = line.rpartition(":")
    words = verdict.strip(" \t*_`\"'.").split()
    says = bool(words) and words[0] in VERDICTS and all(HAZARDS.fullmatch(word) for word in words[1:])
    return says and (not colon or _words(key) in VERDICT_KEYS)


def _categorises(line: str) -> bool:
    key, colon, _ = line.partition(":")
    return HAZARDS.fullmatch(line) is not None or (bool(colon) and _words(key) in CATEGORY_KEYS)


def _words(key: str) -> str:
    return re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key)).strip().casefold()
