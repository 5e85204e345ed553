"""Makes text from the service safe for logs: no keys, no account ids, one line, limited length."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from batchfree.core.chat import Json, JsonObject
from batchfree.core.text import clean, single_line
from batchfree.service.openrouter.lenient import as_object, as_text

LONGEST = 300
LONGEST_NAME = 200
LONGEST_METADATA = 20_000
LONGEST_READ = 8000
"""Characters of a text that are read for a message of one line."""
PIECE, OVERLAP = 1 << 16, 1 << 12
"""A disguised key is searched for in pieces of this length, which overlap, so that a long text needs little memory."""

MASKS = (
    (re.compile(r"openrouter\.ai/workspaces/\S*/keys/[^\s\"'<>),]*"), "openrouter.ai/workspaces/…"),
    (re.compile(r"\bsk-[0-9A-Za-z.…*][0-9A-Za-z_.…*-]*"), "sk-…"),
    (
        re.compile(
            r"\b(gsk|hf|r8|fw|tgp_v1|cpk|csk|xai|pplx|nvapi|ghp|gho|ghs|github_pat|glpat)[_-]"
            r"(?=[\w.…*-]*[0-9…*])[0-9A-Za-z.…*][\w.…*-]{5,}"
        ),
        r"\1-…",
    ),
    (re.compile(r"\bAIza[\w…*-]{6,}"), "AIza…"),
    (re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{12,}"), r"\1…"),
    (re.compile(r"\beyJ[\w-]{6,}\.[\w-]{6,}(\.[\w-]*)?"), "eyJ…"),
    (re.compile(r"\b[0-9a-f]{32}\.[0-9A-Za-z]{8,}"), "…"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[0-9a-z][\w.~+/=…*-]{7,}"), r"\1 …"),
    (
        re.compile(
            r"(?i)\b((?:api[ _-]?key|secret|access[ _-]?token|auth[ _-]?token|key hash)\b[^\w\n]{0,3}"
            r"(?:(?:provided|token|is)\b[^\w\n]{0,3})?[=:]?\s?[\"'`]?)(?=[\w.…*-]*[0-9…*])[\w.…*-]{8,}"
        ),
        r"\1…",
    ),
    (re.compile(r"(?<![A-Za-z0-9])(user|org|proj|acct)_[0-9A-Za-z]+"), r"\1_…"),
    (re.compile(r"(?<![A-Za-z0-9])(user|org|proj)-(?=[A-Za-z]*[0-9])[0-9A-Za-z]{6,}"), r"\1-…"),
)
"""Keys of OpenRouter and of other vendors, also shortened ones (`sk-or-v1-abc...123`), account ids, and URLs of keys.
Real error texts contain all of these."""

HINT = re.compile(
    r"""
    [-_/.AJkKrR\s\u212a]
    (?: (?<= sk- ) | (?<= (?:hf|r8|fw)[_-] ) | (?<= (?:gsk|cpk|csk|xai|ghp|gho|ghs|org)[_-] )
      | (?<= (?:pplx|user|proj|acct)[_-] ) | (?<= (?:nvapi|glpat)[_-] ) | (?<= tgp_v1[_-] ) | (?<= github_pat[_-] )
      | (?<= workspaces/ ) | (?<= [0-9a-f]{32}\. ) | (?<= eyJ ) | Iza | KIA | SIA
      | (?<= (?i:bearer)\s ) | (?<= (?i:basic)\s ) | (?i: ey | en | et )
    )""",
    re.VERBOSE,
)
"""A part of every text that `MASKS` replace. A text without any of these parts is not masked.

Most texts are ids and names. So the search begins at a character that is rare in them, such as the `k` of `token` and
`api key`; `re` skips other characters quickly. U+212A is the sign of Kelvin, which equals `k` where case is ignored.
"""

ESCAPED = re.compile(
    r"\\\\*u([0-9A-Fa-f]{4})|\\\\*x([2-7][0-9A-Fa-f])|%([2-7][0-9A-Fa-f])|&#x([2-7][0-9A-Fa-f]);|&#(\d{2,3});"
)
"""Characters that are written as escapes of JSON, and ASCII characters as escapes of URLs or of HTML."""
DISGUISE = dict.fromkeys(
    [*range(33), 0x7F, 0xAD, *range(0x2000, 0x2010), *range(0x2028, 0x2030), *range(0x2060, 0x2065), 0xFEFF]
)
"""Blanks, controls and invisible characters, as a table for `str.translate` that removes them."""
SHORTEST_SECRET = 12
"""Shortest key, in characters, that is masked in responses. Local servers get words such as EMPTY as key."""
FIRST_LETTERS = 8
"""Number of letters of the key that are searched first. Few texts hold them, so few are searched for the whole key."""
BETWEEN_LETTERS = rf"(?:[{re.escape(''.join(map(chr, DISGUISE)))}]++|\\[bfnrt]?)*+"
"""Characters that show nothing, also as escapes of JSON, and the backslash before `"` and `/` in JSON."""
HIDDEN_LETTER = r"\\u(?:00|20(?!1|2[0-7])|[fF][eE])|\\x|%[2-7]|&#"
"""Escapes that may stand for a letter of the key, or for an invisible character."""


@dataclass(frozen=True, repr=False)
class Secret:
    """The API key, which must stay in the request header. None, or a short word such as EMPTY, is not a secret."""

    value: str | None = None

    def may_be_in(self, text: str) -> bool:
        """Whether the key may be in a text, or in a value of a JSON text. If not, scrubbing would change nothing."""
        return self._traces is not None and self._traces.search(text) is not None

    def scrub(self, text: str) -> str:
        """The text without the key. A text that holds the key in escapes, or with blanks inside, becomes `…`."""
        if self.value is None or not self.may_be_in(text):
            return text
        text, bare = text.replace(self.value, "…"), "".join(self.value.split())
        pieces = (text[place : place + PIECE + OVERLAP] for place in range(0, len(text), PIECE))
        return "…" if any(bare in _without_disguise(piece) for piece in pieces) else text

    def scrub_json(self, value: Json) -> Json:
        """The value with all its texts and keys scrubbed. Raises RecursionError."""
        return value if self._traces is None else _mapped(value, self.scrub)

    def scrub_headers(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """The headers with their values scrubbed."""
        if self._traces is None or not self.may_be_in("\n".join(headers.values())):
            return headers
        return {name: self.scrub(value) for name, value in headers.items()}

    @cached_property
    def _traces(self) -> re.Pattern[str] | None:
        """The pattern of the first letters, or of an escape that may hide a letter; None if the key is no secret."""
        if self.value is None or len(self.value) < SHORTEST_SECRET:
            return None
        letters = "".join(self.value.split())[:FIRST_LETTERS]
        return re.compile(f"{BETWEEN_LETTERS.join(map(re.escape, letters))}|{HIDDEN_LETTER}")


def mask(text: str) -> str:
    """The text with keys and account ids masked, also those that are split by escapes."""
    plain = _without_escapes(text) if ESCAPED.search(text) else text
    if HINT.search(plain) is None:
        return text
    masked = plain
    for pattern, instead in MASKS:
        masked = pattern.sub(instead, masked)
    return text if masked == plain else single_line(masked)


def one_line(text: str) -> str:
    """The text, masked, on one line of at most 300 characters, without invisible characters."""
    line = mask(single_line(text[:LONGEST_READ]))
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def masked_name(value: Json) -> str | None:
    """A name or an id from outside, masked, on one line and cut to 200 characters; None if there is none."""
    if value is None:
        return None
    text = value if isinstance(value, str) and len(value) <= LONGEST_NAME else as_text(value)
    return _masked_line(text[:LONGEST_NAME]) if text else None


@lru_cache(maxsize=256)
def _masked_line(text: str) -> str | None:
    """The text, masked and on one line. Cached, because replies name the same few models and providers."""
    return mask(single_line(text)) or None


def masked_object(value: Json) -> JsonObject | None:
    """An object from outside with all its texts masked; None if it is empty, too large or not an object."""
    if value is None:
        return None
    try:
        if not as_object(value) or _size(value) > LONGEST_METADATA:
            return None
        return as_object(_mapped(value, lambda text: mask(clean(text))))
    except RecursionError:
        return None


def _mapped(value: Json, change: Callable[[str], str]) -> Json:
    """The value with every text and every key changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_mapped(each, change) for each in value]
    if isinstance(value, dict):
        return {change(key): _mapped(each, change) for key, each in value.items()}
    return value


def _size(value: Json) -> int:
    """About the number of characters of the value as JSON."""
    if isinstance(value, str):
        return len(value) + 4
    if isinstance(value, list):
        return 2 + sum(_size(each) for each in value)
    if isinstance(value, dict):
        return 2 + sum(len(key) + 4 + _size(each) for key, each in value.items())
    return 6


def _without_disguise(text: str) -> str:
    """The text with its escapes replaced, and without blanks and invisible characters."""
    return _without_escapes(text).translate(DISGUISE)


def _without_escapes(text: str) -> str:
    return ESCAPED.sub(_character, text)


def _character(escape: re.Match[str]) -> str:
    *hexadecimal, decimal = escape.groups()
    return chr(int(decimal)) if decimal else chr(int(next(filter(None, hexadecimal)), 16))
