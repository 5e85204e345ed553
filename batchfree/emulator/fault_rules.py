"""When a fault is played: rules about model, number, content, chance and time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, create_model, field_validator

from batchfree.emulator.faults import FAULTS
from batchfree.emulator.model_call import ModelCall
from batchfree.emulator.settings import Members, Pattern, Settings, TextList, did_you_mean

ENDLESS = 10**12


class RequestNumbers(Settings):
    """A set of request numbers, counted from one: ranges with both ends, or every n-th number from a start on."""

    ranges: tuple[tuple[int, int], ...] = ()
    every: int | None = None
    start: int = 0

    def __contains__(self, number: int) -> bool:
        if self.every is not None:
            return number >= self.start and (number - self.start) % self.every == 0
        return any(low <= number <= high for low, high in self.ranges)


def _read_numbers(value: Any) -> RequestNumbers | None:
    """Reads `3`, `[1, 5]`, `"10-20"`, `"10-"` or `{every: 4, from: 2}`. Raises ValueError for anything else."""
    if value is None:
        return None
    if isinstance(value, dict):
        every, start = value.get("every"), value.get("from", value.get("every"))
        if set(value) <= {"every", "from"} and isinstance(every, int) and every > 0 and isinstance(start, int):
            return RequestNumbers(every=every, start=start)
    else:
        parts = [str(part).strip() for part in (value if isinstance(value, list) else [value])]
        found = [match for part in parts if (match := re.fullmatch(r"(\d+)(-?)(\d*)", part))]
        if len(found) == len(parts):
            ends = [
                (int(low), int(high or ENDLESS) if dash else int(low))
                for low, dash, high in (m.groups() for m in found)
            ]
            return RequestNumbers(ranges=tuple(ends))
    raise ValueError('expected a number, a list of numbers, "10-20", "10-", or {every: 4, from: 2}')


def _read_span(value: Any) -> Any:
    if isinstance(value, list) and len(value) == 2:
        start, end = value
        if isinstance(start, int | float | None) and isinstance(end, int | float | None):
            return (float(start or 0), None if end is None else float(end))
    raise ValueError(f"expected two numbers of seconds since the start, the second may be null; got {value!r}")


class VerbatimReply(Settings):
    """A reply that is sent unchanged. A body that is no text is sent as JSON."""

    status: Annotated[int, Field(ge=200, le=599)] = 200
    headers: Members = Field(default_factory=dict)
    body: Any = ""


class FaultRule(Settings):
    """Plays a fault, or sends `respond` as it is, whenever all conditions are met.

    `between` is a span of seconds since the start, `chance` a share from 0 to 1, `delay` seconds before the reply.
    Empty `models` and `asked` fit everything.
    """

    respond: VerbatimReply | None = None
    fault: Annotated[str, Field(validate_default=True)] = ""
    options: Annotated[Members, Field(alias="with", validate_default=True)] = Field(default_factory=dict)
    models: Annotated[TextList, Field(alias="model")] = ()
    asked: TextList = ()
    nth: Annotated[RequestNumbers | None, BeforeValidator(_read_numbers)] = None
    per: Literal["all", "model"] = "all"
    content: Pattern | None = None
    chance: Annotated[float, Field(ge=0, le=1)] = 1.0
    between: Annotated[tuple[float, float | None], BeforeValidator(_read_span)] = (0.0, None)
    delay: float | None = None

    @field_validator("fault")
    @classmethod
    def _check_fault(cls, name: str, info: ValidationInfo) -> str:
        if info.data.get("respond", "wrong") is not None:
            return name or "respond"
        if name not in FAULTS:
            raise ValueError(f"there is no fault {name!r}{did_you_mean(name, FAULTS)}" if name else "is missing")
        return name

    @field_validator("options")
    @classmethod
    def _check_options(cls, given: Mapping[str, Any], info: ValidationInfo) -> Mapping[str, Any]:
        """All options of the fault. Options that are not given have their defaults."""
        name = info.data.get("fault")
        return _options_model(name).model_validate(given).model_dump() if name in FAULTS else given

    def meets(self, call: ModelCall, index: int) -> bool:
        """Whether the fault is due now. `index` is the rule's place in the scenario, so that each rule draws alone."""
        start, end = self.between
        return (
            _fits(call.model, self.models)
            and _fits(call.asked, self.asked)
            and start <= call.seconds
            and (end is None or call.seconds < end)
            and (self.nth is None or (call.number_of_model if self.per == "model" else call.number) in self.nth)
            and (self.content is None or self.content.search(call.content) is not None)
            and (self.chance >= 1.0 or call.uniform("rule", index) < self.chance)
        )


def _fits(id: str, globs: tuple[str, ...]) -> bool:
    return not globs or any(fnmatchcase(id, glob) for glob in globs)


@cache
def _options_model(name: str) -> type[Settings]:
    """The model of a fault's options. Each option has the type of its default; a default of null allows anything."""
    options: dict[str, Any] = {
        key: (Any if default is None else type(default), default) for key, default in FAULTS[name].options.items()
    }
    return create_model(f"options of {name}", __base__=Settings, **options)


class ScriptedAnswer(Settings):
    """The right answer to every prompt that matches. Models then err only as often as their accuracy says."""

    match: Pattern
    answer: str
