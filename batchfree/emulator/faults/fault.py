"""One fault: its name, a sentence on what it does, its options, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from batchfree.emulator.emulated_model import JsonObject
from batchfree.emulator.error_bodies import Refusal
from batchfree.emulator.model_call import ModelCall
from batchfree.emulator.replies import HttpReply

Options: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`does` completes the sentence "The service …". `options` maps each option to its default, which gives its type.

    Exactly one of the functions `refuse`, `spoil` (changes the completion in place) and `carry` is set.
    `loses_answer` says that no client can find the answer in the reply.
    """

    name: str
    does: str
    options: Mapping[str, Any] = field(default_factory=dict)
    refuse: Callable[[ModelCall, Options], Refusal] | None = None
    spoil: Callable[[JsonObject, ModelCall, Options], None] | None = None
    carry: Callable[[HttpReply, ModelCall, Options], HttpReply] | None = None
    loses_answer: bool = False
