"""Regular expressions of users, matched in linear time by the engine that comes with pydantic (Rust's regex).

Python's own engine may never finish: `^(a+)+$` tries 2ⁿ ways to match n letters. The linear engine has no look-around
and no back-references, and it refuses patterns that need more than 10 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

CACHED_PATTERNS = 1_000


class BadPatternError(ValueError):
    """The engine refuses a pattern. The message is a clause that says why."""


@lru_cache(maxsize=CACHED_PATTERNS)
def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """A function that says whether the pattern is found anywhere in a text. Raises BadPatternError."""
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    schema = core_schema.str_schema(pattern=pattern, regex_engine="rust-regex", strict=True)
    try:
        return SchemaValidator(schema).isinstance_python
    except (SchemaError, ValueError) as error:
        raise BadPatternError(_reason(str(error))) from None


def _reason(text: str) -> str:
    if "look-around" in text or "backreferences" in text:
        return "look-around and back-references can't be matched in linear time; write it without them"
    if "size limit" in text:
        return "it is too large; write a smaller repetition, or minLength and maxLength"
    reasons = [line.partition("error:")[2].strip() for line in text.splitlines() if "error:" in line]
    return reasons[-1] if reasons else "it is no valid regular expression"
