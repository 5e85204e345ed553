"""The cheap looks that spare most texts the search for keys."""

from __future__ import annotations

import json
import random
import re

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from batchfree.service.openrouter.masking import DISGUISE, HINT, MASKS, Secret


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in MASKS], ids=lambda pattern: pattern.pattern[:20])
def test_every_text_that_is_masked_has_a_hint(pattern: re.Pattern[str]) -> None:
    @seed(1)
    @settings(max_examples=60, deadline=None, database=None)
    @given(st.from_regex(pattern))
    def check(text: str) -> None:
        assert HINT.search(text) is not None

    check()


KEY = "aK3y0fMy-0wn/Server+42"


def hidden(letter: str, rng: random.Random) -> str:
    """The letter as an escape, or beside an invisible character, as a service may repeat it."""
    code, invisible = ord(letter), chr(rng.choice(list(DISGUISE)))
    return rng.choice(
        (f"\\u{code:04x}", f"\\\\x{code:02x}", f"%{code:02X}", f"&#x{code:02x};", f"&#{code};", letter + invisible)
    )


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5])
def test_a_key_is_found_in_a_body_in_every_disguise(share: float) -> None:
    secret, rng = Secret(KEY), random.Random(f"disguises {share}")
    for _ in range(200):
        disguised = "".join(hidden(each, rng) if rng.random() < share else each for each in KEY)
        value = f'"No",\n{disguised}\t– not known'
        assert KEY[-8:] not in secret.scrub(value)
        body = json.dumps({"message": value}, ensure_ascii=rng.random() < 0.5)
        letter = rng.choice(KEY)
        assert secret.may_be_in(body)
        assert secret.may_be_in(body.replace(letter, f"\\u{ord(letter):04x}"))


def test_most_bodies_hold_no_trace_of_a_key() -> None:
    body = json.dumps({"id": "chatcmpl-0123456789", "content": 'A “key”,\n100 % or\t"more"…'}, ensure_ascii=False)
    assert not Secret(KEY).may_be_in(body)
