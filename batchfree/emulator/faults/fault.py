"""One fault of the catalogue: its name, what it does in words, its options, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from batchfree.emulator.emulated_model import JsonObject
from batchfree.emulator.error_bodies import Refusal
from batchfree.emulator.fault_rules import ModelCall
from batchfree.emulator.replies import HttpReply

Options: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`says` completes "the service …"; `options` are their names and defaults, which also tell their types.

    Exactly one of `refuse`, `spoil` (changes the completion in place) and `carry` is there. `loses_answer`: nothing
    that could be taken for the answer is left.
    """

    name: str
    says: str
    options: Mapping[str, Any] = field(default_factory=dict)
    refuse: Callable[[ModelCall, Options], Refusal] | None = None
    spoil: Callable[[JsonObject, ModelCall, Options], None] | None = None
    carry: Callable[[HttpReply, ModelCall, Options], HttpReply] | None = None
    loses_answer: bool = False

    @property
    def defaults(self) -> dict[str, Any]:
        return dict(self.options)
