"""A parcel → its request."""

from __future__ import annotations

import random

import msgspec

from batchfree import answers
from batchfree.answers import AnswerRule, packs
from batchfree.core.chat import ChatRequest
from batchfree.run.follow_up import RetryPolicy, complaint
from batchfree.run.tasks import Parcel

SEEDS = 1 << 32
"""The seeds from which the codes of packs are drawn are below this number. The journal keeps the seed."""


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it is sent for a parcel; `codes` name the rows of a pack and come from `seed`.

    `repeats` as in `follow_up.repeats`.
    """

    request: ChatRequest
    repeats: bool = False
    codes: tuple[str, ...] = ()
    seed: int | None = None


def write_request(
    parcel: Parcel, rule: AnswerRule, policy: RetryPolicy, *, native: bool, salt: str, repeats: bool = False
) -> Outgoing:
    """The request for a parcel. `native`: with a `response_format`. The codes of a pack depend only on `salt`.

    `repeats` as in `follow_up.repeats`.
    """
    if len(parcel) == 1:
        (task,) = parcel
        shown = complaint(task, policy, repeats=repeats)
        request = answers.compose(task.question.request, rule, native=native, complaint=shown)
        return Outgoing(request=request, repeats=repeats)
    seed = random.Random(f"codes {salt}").randrange(SEEDS)
    codes = packs.draw_codes(len(parcel), random.Random(seed))
    requests = [task.question.request for task in parcel]
    return Outgoing(request=packs.compose(requests, codes, rule, native=native), codes=codes, seed=seed)
