"""Replies without an answer: a model declines, or a safety classifier gives its verdict."""

from __future__ import annotations

import re
from collections.abc import Iterable

from batchfree.answers.fences import fenced_contents
from batchfree.answers.strict_json import NotJson, parse_strictly
from batchfree.core.chat import Json

VERDICTS = frozenset({"safe", "unsafe"})
VERDICT_KEYS = frozenset(
    {
        "safety", "safety verdict", "safety assessment", "safety rating", "user safety", "response safety",
        "prompt safety", "input safety", "output safety", "content safety", "assistant safety",
    }
)  # fmt: skip
CATEGORY_KEYS = frozenset({"safety categories", "safety category", "violated categories", "categories"})
HAZARDS = re.compile(r"(?:s\d{1,2}[,\s]*)+")
"""Codes of hazard categories, as Llama Guard writes them: `S1,S10`; here in lower case."""
MAX_VERDICT_CHARACTERS = 400

REFUSAL = re.compile(
    r"\W*(?:(?:i'?m|i am|we'?re|we are)\s+(?:(?:very|so|really|truly)\s+)?(?:sorry|afraid)\b"
    r"|my apologies|i apologi[sz]e|sorry\b)?"
    r".{0,40}?\b(?:i|we)\s*(?:can ?not|can'?t|won'?t|will not|am unable|'m unable|am not able|'m not able|must decline|"
    r"have to decline|do not feel comfortable|don'?t feel comfortable)\b"
    r"|\W*(?:i'?m|i am|we'?re|we are)\s+(?:very |so |really )?sorry\b|\W*as an ai\b",
    re.IGNORECASE,
)
MAX_REFUSAL_CHARACTERS = 1500


def is_refusal(text: str) -> bool:
    """Whether a text begins like a refusal. An answer may begin so too: use this only for texts without an answer."""
    return len(text) <= MAX_REFUSAL_CHARACTERS and REFUSAL.match(text.replace("’", "'")) is not None


def is_verdict(text: str) -> bool:
    """Whether a text is only a classifier's verdict: `User Safety: safe`, `unsafe` and a category, or JSON."""
    if len(text) > MAX_VERDICT_CHARACTERS or not ("safe" in text.casefold() or "\\" in text):
        return False  # every verdict holds this word, in JSON maybe with an escape
    for piece in fenced_contents(text) or [text]:
        try:
            if is_verdict_value(parse_strictly(piece)):
                return True
        except NotJson:
            pass
    lines = [line.strip(" \t*_`\"'.!,#>-").casefold() for line in text.splitlines()]
    lines = [line for line in lines if line]
    return any(map(_is_verdict_line, lines)) and all(_is_verdict_line(line) or _is_category(line) for line in lines)


def is_verdict_value(value: Json, names: Iterable[str] = ()) -> bool:
    """Whether a JSON value is a verdict. `names` are keys that the job asked for; an object with one is no verdict."""
    if isinstance(value, str):
        return value.casefold().strip() in VERDICTS
    if not isinstance(value, dict) or set(value) & set(names):
        return False
    keys = {_key_words(key): each for key, each in value.items()}
    verdicts = [str(each).casefold().strip() in VERDICTS for key, each in keys.items() if key in VERDICT_KEYS]
    return any(verdicts) and all(key in VERDICT_KEYS | CATEGORY_KEYS for key in keys)


def _is_verdict_line(line: str) -> bool:
    key, colon, verdict = line.rpartition(":")
    words = verdict.strip(" \t*_`\"'.").split()
    is_verdict = bool(words) and words[0] in VERDICTS and all(HAZARDS.fullmatch(word) for word in words[1:])
    return is_verdict and (not colon or _key_words(key) in VERDICT_KEYS)


def _is_category(line: str) -> bool:
    key, colon, _ = line.partition(":")
    return HAZARDS.fullmatch(line) is not None or (bool(colon) and _key_words(key) in CATEGORY_KEYS)


def _key_words(key: str) -> str:
    """`userSafety` and `User_Safety` → `user safety`."""
    return re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key)).strip().casefold()
