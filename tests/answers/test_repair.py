"""Repair mends syntax and never a value: whatever comes back from a damaged reply equals the original.

By hand, with the share of replies that are mended, for each kind of damage:
`python -m tests.answers.test_repair 100000 [SEED]`
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from batchfree import answers
from batchfree.answers import Answer, AnswerRule
from batchfree.core.chat import Completion

ANY_JSON = AnswerRule(schema={"type": ["object", "array"]})
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')

WORDS = (
    *("tea", "Bob's Red Mill", "the dogs' bowl", 'say "hi"', "a, b", "x: y", "1,000", "5 kg", "<5", "3-5", "-7", "−5"),
    *(
        "",
        " ",
        "null",
        "None",
        "nan",
        "...",
        "and so on",
        "{x}",
        "[1]",
        "}",
        "a]b",
        "// no",
        "# 1",
        "/* x */",
        "C:\\dir",
    ),
    *(
        "line\nbreak",
        "tab\tstop",
        "it is “so” here",
        "l'été",
        "日本、語",
        "私「は」",
        "😀",
        "https://example.org/?a=b&c=[d]",
        "it's 5\" long",
    ),
    *(
        "```json",
        "<think>",
        "Wait, no",
        "key = value",
        "a => b",
        "True",
        "5%",
        "€ 5",
        "2024-01-05",
        "10:30",
        "½",
        "\\",
        "'",
    ),
)
KEYS = ("name", "price", "tags", "note", "is_new", "unit-size", "größe", "a b", "id", "it's", "n", "next")
FRONT = (
    "",
    "",
    "Here it is:\n",
    "Sure! Here's the JSON:\n\n",
    "JSON = ",
    "Of course, as asked [in JSON]:\n",
    "The answer:\n",
)
BEHIND = ("", "", "\n\nLet me know if you need more!", ";", "\nAnything else?", "\n\nNote: prices are in EUR.")
REMARKS = ("a remark", "the price", "clear (I think)", "in EUR")
PAIRS = ("''", "``", "“”", "„“", "„”", "«»", "»«", "‘’", "‚‘", "「」", "『』", "‹›", "＂＂", "””", "´´", "''''", '""""')


def a_value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.random()
    if depth < 3 and kind < (1 if depth == 0 else 0.3):
        size = rng.choice([0, 1, 2, 2, 3, 4])
        if rng.random() < 0.6:
            return {rng.choice(KEYS): a_value(rng, depth + 1) for _ in range(size)}
        return [a_value(rng, depth + 1) for _ in range(size)]
    if kind < 0.7:
        return rng.choice(WORDS)
    numbers = (rng.randrange(-20, 2000), round(rng.uniform(-5, 5), 2), rng.randrange(10**9), 1.5e-9, 0, 12)
    return rng.choice([True, False, None, *numbers, *numbers])


VALUES_OF_ANOTHER_TYPE = ("", " ", "null", "None", "True", "-7", "−5", "[1]", "'", "}")
"""Texts that are another value, or none, without their quotes."""

Damage = Callable[[list[str], random.Random], list[str]]
"""Damages a JSON text that is given as its tokens; the tokens of values keep their text.

No value stands wholly in quotes of another kind: without its own quotes it would be a quoted text like any other.
"""


def is_text(token: str) -> bool:
    return token.startswith('"')


def places(tokens: list[str], of: Callable[[str], bool]) -> list[int]:
    return [place for place, token in enumerate(tokens) if of(token)]


def changed(
    tokens: list[str], rng: random.Random, of: Callable[[str], bool], change: Callable[[str], str]
) -> list[str]:
    """One of the tokens of a kind, changed."""
    found = places(tokens, of)
    if found:
        place = rng.choice(found)
        tokens = [*tokens[:place], change(tokens[place]), *tokens[place + 1 :]]
    return tokens


def bare(token: str) -> str:
    whole = len(token) > 1 and token[0] == token[-1] == '"'
    return token[1:-1] if whole and token[1:-1] not in VALUES_OF_ANOTHER_TYPE else token


def trailing_comma(tokens: list[str], rng: random.Random) -> list[str]:
    return changed(tokens, rng, lambda each: each in "]}", lambda each: "," + each)


def comma_lost(tokens: list[str], rng: random.Random) -> list[str]:
    return changed(tokens, rng, lambda each: each == ",", lambda each: rng.choice([" ", "\n"]))


def comma_changed(tokens: list[str], rng: random.Random) -> list[str]:
    return changed(
        tokens, rng, lambda each: each == ",", lambda each: rng.choice([";", ",,", "，", ", ,", " and ", "|", " . "])
    )


def colon_changed(tokens: list[str], rng: random.Random) -> list[str]:
    return changed(
        tokens, rng, lambda each: each == ":", lambda each: rng.choice(["=", " => ", "：", " ", "::", ",", "->"])
    )


def single_quotes(tokens: list[str], rng: random.Random) -> list[str]:
    return [f"'{each[1:-1]}'" if is_text(each) else each for each in tokens]


def one_quote_pair_changed(tokens: list[str], rng: random.Random) -> list[str]:
    marks = rng.choice(PAIRS)
    half = len(marks) // 2
    return changed(tokens, rng, is_text, lambda each: marks[:half] + each[1:-1] + marks[half:])


def foreign_quotes(tokens: list[str], rng: random.Random) -> list[str]:
    marks = rng.choice(PAIRS)
    half = len(marks) // 2
    return [marks[:half] + each[1:-1] + marks[half:] if is_text(each) else each for each in tokens]


def a_quote_lost(tokens: list[str], rng: random.Random) -> list[str]:
    return changed(tokens, rng, is_text, lambda each: rng.choice([each[1:], each[:-1], bare(each)]))


def a_quote_changed(tokens: list[str], rng: random.Random) -> list[str]:
    mark = rng.choice("'`“”„«»‘’")
    return changed(tokens, rng, is_text, lambda each: rng.choice([mark + each[1:], each[:-1] + mark]))


def a_quote_doubled(tokens: list[str], rng: random.Random) -> list[str]:
    return changed(tokens, rng, is_text, lambda each: rng.choice(['"' + each, each + '"', f'"{each}"', f'""{each}""']))


def escapes_lost(tokens: list[str], rng: random.Random) -> list[str]:
    return [re.sub(r'\\(["\\])', r"\1", each) for each in tokens]


def line_breaks_raw(tokens: list[str], rng: random.Random) -> list[str]:
    return [each.replace("\\n", "\n").replace("\\t", "\t") for each in tokens]


def python_words(tokens: list[str], rng: random.Random) -> list[str]:
    words = {"true": "True", "false": "False", "null": "None"}
    return [words.get(each, each) for each in tokens]


def bare_keys(tokens: list[str], rng: random.Random) -> list[str]:
    after = [*tokens[1:], ""]
    return [each[1:-1] if is_text(each) and then == ":" else each for each, then in zip(tokens, after, strict=True)]


def bare_values(tokens: list[str], rng: random.Random) -> list[str]:
    after = [*tokens[1:], ""]
    return [bare(each) if is_text(each) and then != ":" else each for each, then in zip(tokens, after, strict=True)]


def comments(tokens: list[str], rng: random.Random) -> list[str]:
    made = list[str]()
    for each in tokens:
        made.append(each)
        if rng.random() < 0.2:
            remark = rng.choice(REMARKS)
            made.append(rng.choice([f" // {remark}\n", f" # {remark}\n", f" /* {remark} */ "]))
    return made


def a_bracket_lost(tokens: list[str], rng: random.Random) -> list[str]:
    return changed(tokens, rng, lambda each: each in "{}[]", lambda each: "")


def a_bracket_changed(tokens: list[str], rng: random.Random) -> list[str]:
    return changed(
        tokens, rng, lambda each: each in "{}[]", lambda each: rng.choice(["(", ")", "{", "}", "[", "]", each * 2])
    )


def a_bracket_added(tokens: list[str], rng: random.Random) -> list[str]:
    place = rng.randrange(len(tokens) + 1)
    return [*tokens[:place], rng.choice("{}[]()"), *tokens[place:]]


def end_cut_off(tokens: list[str], rng: random.Random) -> list[str]:
    text = "".join(tokens)
    return [text[: rng.randrange(len(text) + 1)]]


def front_cut_off(tokens: list[str], rng: random.Random) -> list[str]:
    text = "".join(tokens)
    return [text[rng.randrange(len(text) + 1) :]]


def quotes_escaped(tokens: list[str], rng: random.Random) -> list[str]:
    return ["".join(tokens).replace('"', '\\"')]


def wholly_escaped(tokens: list[str], rng: random.Random) -> list[str]:
    text = "".join(tokens)
    if set(text) & set("'`´“”„«»‘’‚「」『』‹›＂"):
        return [text]  # without its own quotes nothing shows that the escapes are doubled
    return [json.dumps(text, ensure_ascii=False)[1:-1]]


def as_a_string(tokens: list[str], rng: random.Random) -> list[str]:
    return [json.dumps("".join(tokens), ensure_ascii=False)]


def python_repr(tokens: list[str], rng: random.Random) -> list[str]:
    return [repr(json.loads("".join(tokens)))]


def fenced(tokens: list[str], rng: random.Random) -> list[str]:
    return [rng.choice(["```json\n", "```\n", "~~~\n", "```json5\n"]), *tokens, rng.choice(["\n```", "\n```\n", "```"])]


def in_prose(tokens: list[str], rng: random.Random) -> list[str]:
    return [rng.choice(FRONT), *tokens, rng.choice(BEHIND)]


def given_twice(tokens: list[str], rng: random.Random) -> list[str]:
    return [*tokens, rng.choice(["\n", "\nAgain:\n", ", "]), *tokens]


def in_a_call(tokens: list[str], rng: random.Random) -> list[str]:
    return [rng.choice(["print(", "json.loads(", "(", "return "]), *tokens, ")"]


ODD_BLANKS = re.compile("[\u00a0\ufeff\u3000\u200b]")


def odd_blanks(tokens: list[str], rng: random.Random) -> list[str]:
    return [
        each
        for token in tokens
        for each in (token, rng.choice(["", "\u00a0", "\ufeff", "\u3000", "\r\n", "\u200b", "\t"]))
    ]


def untouched(tokens: list[str], rng: random.Random) -> list[str]:
    return tokens


PLAIN: tuple[Damage, ...] = (
    untouched, trailing_comma, python_words, bare_keys, comments, fenced, in_prose, single_quotes, python_repr,
    as_a_string, foreign_quotes, one_quote_pair_changed, quotes_escaped, odd_blanks, line_breaks_raw, in_a_call,
)  # fmt: skip
"""Damages that are mended as a rule."""
HARD: tuple[Damage, ...] = (
    comma_lost, comma_changed, colon_changed, a_quote_lost, a_quote_changed, a_quote_doubled, escapes_lost, bare_values,
    a_bracket_lost, a_bracket_changed, a_bracket_added, end_cut_off, front_cut_off, wholly_escaped, given_twice,
)  # fmt: skip


WHOLE = (
    end_cut_off,
    front_cut_off,
    quotes_escaped,
    wholly_escaped,
    as_a_string,
    given_twice,
    in_a_call,
    in_prose,
    fenced,
)
STRUCTURE = (a_bracket_lost, a_bracket_changed, a_bracket_added, end_cut_off, front_cut_off)
"""Two of these together can make another whole JSON text, so a reply has one of them at most."""
ORDER = [python_repr, *(each for each in (*PLAIN, *HARD) if each not in (python_repr, *WHOLE)), *WHOLE]
"""Damages to the whole text come after damages to its tokens."""


def spaced(tokens: list[str], rng: random.Random) -> list[str]:
    """The tokens with the blanks of one of the usual ways to write JSON."""
    style = rng.choice(["compact", "usual", "lines"])
    blanks = {"compact": ("", ""), "usual": (" ", " "), "lines": ("\n  ", " ")}[style]
    return [each + (blanks[0] if each == "," else blanks[1] if each == ":" else "") for each in tokens]


def some_damages(rng: random.Random) -> tuple[Damage, ...]:
    """Two or three kinds of damage."""
    drawn = rng.sample([*PLAIN, *HARD], k=rng.choice([2, 2, 3]))
    structural = [each for each in drawn if each in STRUCTURE]
    return tuple(each for each in drawn if each not in structural[1:])


def damaged(rng: random.Random, damages: tuple[Damage, ...]) -> tuple[Any, str]:
    """A value, and its JSON with these damages."""
    value = a_value(rng)
    tokens = TOKEN.findall(json.dumps(value, ensure_ascii=rng.random() < 0.2))
    for damage in sorted(set(damages), key=ORDER.index):
        tokens = damage(tokens if damage not in WHOLE else spaced(tokens, rng), rng)
    return value, "".join(spaced(tokens, rng))


def read(text: str) -> Any:
    return answers.read(Completion(model="m", content=text, finish_reason="stop"), ANY_JSON)


def same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def is_json(text: str) -> bool:
    """Whether a damaged text holds JSON by chance, which nothing mends: it may be another value."""
    text = ODD_BLANKS.sub(" ", text)
    bracket = re.search(r"[{\[]", text)
    try:
        whole = (
            json.loads(text)
            if text[:1] == '"'
            else json.JSONDecoder().raw_decode(text, bracket.start() if bracket else 0)
        )
        return not isinstance(whole, str) or json.loads(whole) is not None
    except ValueError:
        return False


REFUSED = None
READ_OR_REFUSED: list[tuple[str, Any]] = [
    ('{"degrees": −5}', {"degrees": -5}),
    ('{"degrees": –5}', {"degrees": -5}),
    ('{"degrees": +5}', {"degrees": 5}),
    ('{"share": .5}', {"share": 0.5}),
    *[
        (f'{{"n": {number}}}', REFUSED)
        for number in ("—5", "±5", "--5", "- 5", "<5", "~5", "≥5", "≈5", ">5", "5+", "5.")
    ],
    *[
        (f'{{"n": {number}}}', REFUSED)
        for number in ("5 kg", "5%", "$5", "5€", "5°", "5m", "10L", "3-5", "3–5", "3..5", "3 to 5")
    ],
    *[
        (f'{{"n": {number}}}', REFUSED)
        for number in ("1,000", "1 000", "1'000", "1_000", "1.000.000", "1,5", "007", "0x1F")
    ],
    *[
        (f'{{"n": {number}}}', REFUSED)
        for number in ("1/2", "½", "5²", "2024-01-05", "10:30", "1.2.3", "1e5x", "٣", "５", "7 // 2")
    ],
    ('{"n": [1,234,]}', REFUSED),
    ('{"n": 12', REFUSED),
    ('{"n": 12 // and 3', REFUSED),
    ("{'tags': ['Bob's Red Mill', 'food']}", REFUSED),
    ("{'tags': [\"Bob's Red Mill\", 'food']}", {"tags": ["Bob's Red Mill", "food"]}),
    ("{'tags': ['Bob\\'s Red Mill', 'food']}", {"tags": ["Bob's Red Mill", "food"]}),
    ("{“name”: “it’s”}", {"name": "it’s"}),
    ("{„name“: „tea“, »note«: «fine»}", {"name": "tea", "note": "fine"}),
    ("{「name」：「tea」，「note」：「fine」}", {"name": "tea", "note": "fine"}),
    ('{"name": "say "hi" now"}', REFUSED),
    ('{"name": """tea"""}', REFUSED),
    ("{'name': '''tea'''}", REFUSED),
    ('{"name": "te" + "a"}', REFUSED),
    ('{"name": "te" "a"}', REFUSED),
    ('{"names": ["te" "a"]}', REFUSED),
    ('{"name":\n "note": "fine"}', REFUSED),
    ('{"name": , "note": "fine"}', REFUSED),
    ('{"name": }', REFUSED),
    ('{"name"}', REFUSED),
    ('{"name", "note": "fine"}', REFUSED),
    *[
        (f"{{'name': {word}}}", REFUSED)
        for word in ("nan", "NaN", "undefined", "...", "…", "tea", "N/A", "nil", "-inf", "void 0")
    ],
    *[
        (f"{{'name': {word}}}", REFUSED)
        for word in ("Decimal('1.5')", "datetime.date(2024, 1, 5)", "str(5)", "b'tea'", "f'tea'", "('a',)")
    ],
    ("{'name': None, 'new': True}", {"name": None, "new": True}),
    ('{"names": ["tea", "cup", ...]}', REFUSED),
    ('{"names": ["tea", "cup", …]}', REFUSED),
    ('{"names": ["tea", // and so on\n]}', REFUSED),
    ('{"names": ["tea", // hot\n]}', {"names": ["tea"]}),
    ('{"names": ["tea", /* cup */]}', REFUSED),
    ('{"name": "tea", // "note": "fine"\n}', REFUSED),
    ('{"n": 5 // no, wait: 6\n}', REFUSED),
    ('{"a": 1, ...}', REFUSED),
    ('{"a": 1}{"b": 2}', REFUSED),
    ('{"a": 1}\nand\n{"b": 2}', REFUSED),
    ('{"a": 1}, "b": 2}', REFUSED),
    ('{"a": 1}}', REFUSED),
    ('{"a": 1}\n"b": 2', REFUSED),
    ('{"a": 1}\n\nWait, a should be 2.', REFUSED),
    ('{"a": 1}\n\nCorrection: a is 2.', REFUSED),
    ('{"a": 1}\n\nSorry, I made a mistake: it is 2.', REFUSED),
    ('{"a": 1}\n\nI am not sure about it.', REFUSED),
    ('{"a": 1}\n\nThe price is not given, so it is left out.', {"a": 1}),
    ('The word "tea" gives {"a": 1}.', {"a": 1}),
    ('{"a": "x", "b": 5 "c": 6}', {"a": "x", "b": 5, "c": 6}),
    ('{\\"a\\": \\"x\\"}', {"a": "x"}),
]


@pytest.mark.parametrize(("text", "expected"), READ_OR_REFUSED)
def test_a_value_stands_in_the_reply_as_a_whole_token(text: str, expected: Any) -> None:
    result = read(text)
    assert (result.value if isinstance(result, Answer) else REFUSED) == expected


@pytest.mark.parametrize("damage", [*PLAIN, *HARD], ids=lambda each: each.__name__)
def test_a_damaged_reply_gives_its_own_value_or_none(damage: Damage) -> None:
    rng = random.Random(damage.__name__)
    for _ in range(60):
        value, text = damaged(rng, (damage,))
        result = read(text)
        assert not isinstance(result, Answer) or same(result.value, value) or is_json(text), (value, text)


def test_plain_damages_are_mended_as_a_rule() -> None:
    rng = random.Random(6)
    for damage in PLAIN:
        replies = [damaged(rng, (damage,)) for _ in range(100)]
        assert sum(isinstance(read(text), Answer) for _, text in replies) >= 60, damage.__name__


def test_several_damages_at_once_never_change_a_value() -> None:
    rng = random.Random(5)
    for _ in range(1500):
        value, text = damaged(rng, some_damages(rng))
        result = read(text)
        assert not isinstance(result, Answer) or same(result.value, value) or is_json(text), (value, text)


def main(count: int, seed: int) -> None:
    """Damages `count` replies, and prints for each kind of damage how many came back and how many of them wrong."""
    rng = random.Random(seed)
    fates: dict[str, Counter[str]] = {}
    for number in range(count):
        several = number % 3 == 2
        damages = some_damages(rng) if several else (rng.choice([*PLAIN, *HARD]),)
        value, text = damaged(rng, damages)
        result = read(text)
        fate = "refused"
        if isinstance(result, Answer):
            fate = "mended" if same(result.value, value) else "other JSON" if is_json(text) else "WRONG"
        if fate == "WRONG":
            print(fate, [each.__name__ for each in damages], f"{text!r}\n  {value}\n  {result.value}")  # noqa: T201
        fates.setdefault("several" if several else damages[0].__name__, Counter())[fate] += 1
    for name, counts in sorted(fates.items()):
        print(f"{name:26}{counts['mended'] / counts.total():6.1%} of {counts.total()}", dict(counts))  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
