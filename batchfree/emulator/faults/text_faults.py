"""Faults of the text: fences, commas, prose, wrong labels, and all faults of packs."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from batchfree.emulator.chance import generator
from batchfree.emulator.faults.fault import Options
from batchfree.emulator.model_call import ModelCall

Change: TypeAlias = Callable[[str, ModelCall, Options], str]
LEADS = ("Sure! Here is the JSON you asked for:\n\n", "Here's my answer: ", "The result is\n")
TAILS = ("\n\nLet me know if you need anything else!", "\nI hope this helps.", "")


def _rng(call: ModelCall, purpose: str) -> random.Random:
    return generator(call.seed, call.about, call.model, purpose)


def fenced(text: str, call: ModelCall, options: Options) -> str:
    return f"```json\n{text}\n```"


def trailing_comma(text: str, call: ModelCall, options: Options) -> str:
    end = max(text.rfind("}"), text.rfind("]"))
    return text if end < 1 else f"{text[:end]},{text[end:]}"


def prose(text: str, call: ModelCall, options: Options) -> str:
    rng = _rng(call, "prose")
    return f"{rng.choice(LEADS)}{text}{rng.choice(TAILS)}"


def half_json(text: str, call: ModelCall, options: Options) -> str:
    return text[: max(1, int(len(text) * options["share"]))]


def single_quotes(text: str, call: ModelCall, options: Options) -> str:
    return text.replace('"', "'")


def thinking(text: str, call: ModelCall, options: Options) -> str:
    return f"<think>The options are clear, so let me decide.</think>\n{text}"


def wrong_label(text: str, call: ModelCall, options: Options) -> str:
    pairs = _pairs(text)
    wrong = options["label"]
    return _object([(code, wrong) for code, _ in pairs]) if pairs else wrong


def lose_rows(text: str, call: ModelCall, options: Options) -> str:
    pairs = _pairs(text)
    kept = [
        pair for pair in pairs if generator(call.seed, call.about, call.model, pair[0]).random() >= options["share"]
    ]
    return _object(kept) if pairs else text


def permute(text: str, call: ModelCall, options: Options) -> str:
    pairs = _pairs(text)
    _rng(call, "permute").shuffle(pairs)
    return _object(pairs) if pairs else text


def renumber(text: str, call: ModelCall, options: Options) -> str:
    pairs = _pairs(text)
    return _object([(str(number), value) for number, (_, value) in enumerate(pairs, 1)]) if pairs else text


def swap_codes(text: str, call: ModelCall, options: Options) -> str:
    """Gives each answer to the code of another row. No client can notice this fault."""
    pairs = _pairs(text)
    return _object([(pairs[index - 1][0], value) for index, (_, value) in enumerate(pairs)]) if pairs else text


def duplicate_codes(text: str, call: ModelCall, options: Options) -> str:
    """Sends some codes twice, the second time with the answer of another row or with nonsense."""
    pairs = _pairs(text)
    rng = _rng(call, "duplicate")
    for code, value in list(pairs):
        if rng.random() < options["share"]:
            other = [known for _, known in pairs if known != value]
            pairs.insert(rng.randrange(len(pairs) + 1), (code, other[0] if other else "duplicate"))
    return _object(pairs) if pairs else text


def unknown_codes(text: str, call: ModelCall, options: Options) -> str:
    """Adds codes that are not in the request. The other answers stay."""
    pairs = _pairs(text)
    rng = _rng(call, "unknown")
    for _ in range(options["count"]):
        code = "".join(rng.choices("abcdefghjkmnpqrstuvwxyz23456789", k=4))
        pairs.insert(rng.randrange(len(pairs) + 1), (code, pairs[0][1] if pairs else "unknown"))
    return _object(pairs)


def truncate(text: str, call: ModelCall, options: Options) -> str:
    share = options["share"] if options["share"] is not None else _rng(call, "truncate").uniform(0.2, 0.95)
    return text[: int(len(text) * share)]


def interleave(text: str, call: ModelCall, options: Options) -> str:
    """Writes prose between the pairs. The text is no longer JSON, but it still holds every answer."""
    lines = [f"For this one I would say:\n{json.dumps(code)}: {json.dumps(value)}," for code, value in _pairs(text)]
    return "{\n" + "\n".join(lines) + "\n}" if lines else text


def wrong_rows(text: str, call: ModelCall, options: Options) -> str:
    pairs = [
        (
            code,
            options["label"] if generator(call.seed, call.about, "wrong", code).random() < options["share"] else value,
        )
        for code, value in _pairs(text)
    ]
    return _object(pairs) if pairs else text


def _pairs(text: str) -> list[tuple[str, Any]]:
    """The pairs of a JSON object in the text; none if the text holds something else."""
    try:
        pairs = json.loads(text[text.index("{") : text.rindex("}") + 1], object_pairs_hook=_Pairs)
    except ValueError:
        return []
    return [(code, _plain(value)) for code, value in pairs] if isinstance(pairs, _Pairs) else []


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs, repeated keys included."""


def _plain(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return {key: _plain(member) for key, member in value}
    return [_plain(member) for member in value] if isinstance(value, list) else value


def _object(pairs: list[tuple[str, Any]]) -> str:
    """A JSON object in the form of the emulated models; repeated keys stay."""
    written = (f"{json.dumps(code)}: {json.dumps(value, ensure_ascii=False)}" for code, value in pairs)
    return "{" + ", ".join(written) + "}"


class TextFault(NamedTuple):
    """A fault that changes only the text of an answer; the members are those of `Fault`."""

    name: str
    does: str
    change: Change
    options: Mapping[str, Any] = MappingProxyType({})
    loses_answer: bool = False


CUT = {"share": None, "finish_reason": "length"}
TEXT_FAULTS = (
    TextFault("fenced", "wraps the answer in a Markdown fence", fenced),
    TextFault("trailing_comma", "leaves a comma before the last brace", trailing_comma),
    TextFault("prose", "wraps the answer in prose", prose),
    TextFault("thinking", "writes its thoughts into the content, in <think> tags", thinking),
    TextFault("single_quotes", "writes Python instead of JSON", single_quotes),
    TextFault("half_json", "stops after a `share` of the JSON and calls it finished", half_json, {"share": 0.6}),
    TextFault("wrong_label", "answers with a label that was not offered", wrong_label, {"label": "perhaps"}, True),
    TextFault("lose_rows", "leaves out a `share` of a pack's rows", lose_rows, {"share": 0.02}),
    TextFault("permute", "answers a pack's rows in another order", permute),
    TextFault("renumber", "numbers a pack's rows from one instead of using their codes", renumber, {}, True),
    TextFault("swap_codes", "gives a pack's answers to wrong codes (no client can notice)", swap_codes, {}, True),
    TextFault("duplicate_codes", "answers a `share` of a pack's codes twice", duplicate_codes, {"share": 0.2}),
    TextFault("unknown_codes", "invents `count` codes", unknown_codes, {"count": 2}),
    TextFault("truncate", "cuts the text by length after a `share` (null: at random)", truncate, CUT),
    TextFault("interleave", "writes prose between a pack's pairs", interleave),
    TextFault(
        "wrong_rows",
        "gives a `share` of a pack's rows a wrong label",
        wrong_rows,
        {"share": 0.1, "label": "perhaps"},
    ),
)
