"""How many rows a request should carry: for each model as it has proved itself, and as contexts allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from batchfree.answers.packs.compose import most_rows
from batchfree.core.chat import ChatRequest

WISE_SIZE = 25
"""Rows in one request above which answers suffer."""
AUTO_START, AUTO_CAP = 10, WISE_SIZE
LEAST_YIELD = 0.9
"""The share of rows with an answer below which a model gets smaller packs."""
WINDOW = 3
"""Packs whose yield is looked at together."""
GROWTH = 0.25
ALONE_UNTIL_TWO = 8
SHARE_OF_CONTEXT = 0.25
LATIN_CHARACTERS_PER_TOKEN = 4.0
OTHER_CHARACTERS_PER_TOKEN = 1.5
TOKENS_OF_A_MESSAGE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PackSize:
    """One model's pack size in rows, and the yields, as (rows, answered), that it rests on.

    `most` is the largest number of rows that one reply of the model has answered; `blank`: its last one answered none.
    `alone` counts the answers to single rows since the size came down to one.
    """

    size: int
    cap: int
    most: int = 0
    recent: tuple[tuple[int, int], ...] = ()
    blank: bool = False
    alone: int = 0

    def after(self, *, rows: int, answered: int, cut_off: bool = False) -> PackSize:
        """The size after a reply to `rows` rows that answered so many of them.

        Halved when the yield of the last packs falls under 90 %; grown by a quarter after a full pack that did. A reply
        that was cut off shrinks nothing when the model has answered as many rows before: then length is not the cause,
        smaller packs would be cut off as often, and only cost more requests. And a single reply without any answer
        says little about sizes.
        """
        if rows == 1:
            return self._after_one(answered)
        before = replace(self, most=max(self.most, answered), blank=not answered)
        if (cut_off and rows <= self.most) or (not answered and not self.blank):
            return before
        recent = (*self.recent, (rows, answered))[-WINDOW:]
        asked, got = sum(each for each, _ in recent), sum(each for _, each in recent)
        poor = answered < LEAST_YIELD * rows
        if poor and got < LEAST_YIELD * asked:
            return replace(before, size=max(1, min(self.size, rows) // 2), recent=())
        grows = not poor and rows >= self.size
        size = min(self.cap, self.size + max(1, round(self.size * GROWTH))) if grows else self.size
        return replace(before, size=size, recent=recent)

    def _after_one(self, answered: int) -> PackSize:
        """A single row says nothing about packs; but when a model was given no more for a while, two are tried."""
        if self.size > 1 or self.cap == 1:
            return self
        alone = self.alone + answered
        return replace(self, size=2, alone=0) if alone >= ALONE_UNTIL_TWO else replace(self, alone=alone)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackSizes:
    """The pack sizes of all models. A model that has not been met starts with the first size."""

    start: int
    cap: int
    known: Mapping[str, PackSize] = field(default_factory=dict)

    def of(self, name: str) -> int:
        """The rows for a request that this model will answer."""
        return self.known[name].size if name in self.known else self.start

    def after(self, name: str, *, rows: int, answered: int, cut_off: bool = False) -> PackSizes:
        """The sizes after a reply of the model `name` to `rows` rows, of which `answered` got an answer.

        To be told of every reply that arrived, readable or not, also to single rows; not of requests that were refused
        or lost.
        """
        before = self.known.get(name) or PackSize(size=self.start, cap=self.cap)
        return replace(self, known={**self.known, name: before.after(rows=rows, answered=answered, cut_off=cut_off)})


def first_sizes(pack: int | Literal["auto"]) -> PackSizes:
    """The sizes of a job that has not asked anything yet."""
    start, cap = (AUTO_START, AUTO_CAP) if pack == "auto" else (pack, pack)
    return PackSizes(start=start, cap=cap)


def rows_that_fit(
    requests: Sequence[ChatRequest], *, contexts: Iterable[int | None], outputs: Iterable[int | None]
) -> int:
    """How many of the first requests, which keep company, one request may carry; at least one.

    `contexts` and `outputs` are those of every model that may answer, in tokens; None where one is not known.
    """
    contexts = tuple(contexts)
    shared = sum(tokens(str(message)) for message in requests[0].messages[:-1])
    count = fitting([weight(request) for request in requests], shared=shared, room=room(contexts))
    rest = [int(each * (1 - SHARE_OF_CONTEXT)) for each in contexts if each]
    most = most_rows(requests[0].parameters, min([*rest, *(each for each in outputs if each)], default=None))
    return count if most is None else max(1, min(count, most))


def room(contexts: Iterable[int | None]) -> int | None:
    """Tokens that a pack may fill: a quarter of the smallest context; None where no context is known."""
    return min((int(each * SHARE_OF_CONTEXT) for each in contexts if each), default=None)


def tokens(text: str) -> int:
    """A rough count of a text's tokens: about 4 Latin characters each, 1.5 of other scripts."""
    latin = len(text) if text.isascii() else sum(character < "\u0250" for character in text)
    return round(latin / LATIN_CHARACTERS_PER_TOKEN + (len(text) - latin) / OTHER_CHARACTERS_PER_TOKEN)


def weight(request: ChatRequest) -> int:
    """A rough count of the tokens that a row brings into a pack: those of its last message."""
    content = request.messages[-1].get("content")
    texts = [content] if isinstance(content, str) else [str(part.get("text", "")) for part in content or ()]
    return sum(map(tokens, texts)) + TOKENS_OF_A_MESSAGE


def fitting(weights: Sequence[int], *, shared: int, room: int | None) -> int:
    """How many of the first rows fit into `room` tokens beside the `shared` ones; at least one."""
    if room is None:
        return len(weights)
    total, count = shared, 0
    for each in weights:
        total += each
        if total > room:
            break
        count += 1
    return max(1, count)
