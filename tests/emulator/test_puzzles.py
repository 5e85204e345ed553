"""Small questions that the emulated models solve."""

from __future__ import annotations

import pytest

from batchfree.emulator.mind.puzzles import solve_puzzle


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is 17 + 25?", "42"),
        ("What is 1000 - 368? Answer with the number only.", "632"),
        ("What is 7 / 0?", "undefined"),
        ('Spell the word "batch" backwards.', "hctab"),
        ('How many letters are in the word "strawberry"?', "10"),
        ("Is 91 a prime number?", "no"),
        ("Is 97 a prime number? Answer yes or no.", "yes"),
        ("Sort these words alphabetically, separated by commas: pear, Apple, fig", "Apple, fig, pear"),
        ("Which number is larger, 9.9 or 9.11?", "9.9"),
        ('What is the last letter of the word "free"?', "e"),
        ('Write the word "quota" in capital letters.', "QUOTA"),
        ("What is the capital of Portugal?", None),
        ("Our order of 2026-10-06 has not come.", None),
        ("x" * 300 + " 1 + 1", None),
    ],
)
def test_puzzles_are_solved_and_nothing_else(question: str, answer: str | None) -> None:
    assert solve_puzzle(question) == answer
