"""Finish reasons in the spelling of every provider."""

from __future__ import annotations

import pytest

from batchfree.core.finish_reasons import ENDINGS, WORDS, Ending, ending_of


def test_no_word_means_two_endings() -> None:
    words = [word for known in WORDS.values() for word in known.split()]
    assert len(words) == len(ENDINGS)


@pytest.mark.parametrize("ending", WORDS)
def test_case_and_signs_of_a_word_do_not_matter(ending: Ending) -> None:
    for word in WORDS[ending].split():
        camel = "".join(part.capitalize() for part in word.split("_"))
        spellings = (word, word.upper(), word.replace("_", "-"), word.replace("_", " "), camel, f"FINISH_REASON_{word}")
        assert {ending_of(spelling) for spelling in spellings} == {ending}, word


@pytest.mark.parametrize(
    ("reasons", "ending"),
    [
        ((None, None), Ending.UNKNOWN),
        (("", "?"), Ending.UNKNOWN),
        (("FINISH_REASON_UNSPECIFIED",), Ending.UNKNOWN),
        (("unheard_of", "stop"), Ending.WHOLE),
        (("unheard_of", "length"), Ending.CUT),
        (("length", "SAFETY"), Ending.FILTERED),
        (("content_filter: RECITATION",), Ending.FILTERED),
        (("error", "length"), Ending.BROKEN),
    ],
)
def test_the_worst_of_several_words_counts(reasons: tuple[str | None, ...], ending: Ending) -> None:
    assert ending_of(*reasons) is ending
