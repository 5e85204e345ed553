"""Which faults are due for one model and one request, and how they change the reply.

The first due refusal is sent instead of an answer. All other faults add up: first those of the answer, then those of
the bytes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from batchfree.emulator.emulated_model import EmulatedModel, JsonObject, Latency
from batchfree.emulator.error_bodies import Refusal
from batchfree.emulator.fault_rules import FaultRule, VerbatimReply
from batchfree.emulator.faults import FAULTS
from batchfree.emulator.faults.fault import Fault
from batchfree.emulator.model_call import ModelCall
from batchfree.emulator.replies import HttpReply, ModelOutput

NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """The decision for one model and one request: at most one refusal, the rules played, the seconds to wait."""

    call: ModelCall
    refusal: Refusal | None = None
    verbatim: VerbatimReply | None = None
    rules: tuple[FaultRule, ...] = ()
    delay: float = 0.0

    @property
    def status(self) -> int:
        """The HTTP status that the router's metadata show."""
        return self.refusal.status if self.refusal else 200

    @property
    def names(self) -> str | None:
        """The names of the faults, joined by "+"."""
        return "+".join(rule.fault for rule in self.rules) or None

    def distort(self, body: JsonObject) -> JsonObject:
        """Changes the completion by the faults of its answer and text."""
        for rule in self.rules:
            fault = FAULTS.get(rule.fault)
            if fault is not None and fault.spoil is not None:
                fault.spoil(body, self.call, rule.options)
        return body

    def carry(self, reply: HttpReply) -> HttpReply:
        """The reply after the faults of its bytes."""
        if self.verbatim is not None:
            return _verbatim(self.verbatim, reply)
        for rule in self.rules:
            fault = FAULTS.get(rule.fault)
            if fault is not None and fault.carry is not None:
                reply = fault.carry(reply, self.call, rule.options)
        return reply

    def answers_left(self, output: ModelOutput, body: JsonObject) -> Mapping[str, str]:
        """The answers that the completion still holds after the faults, by prompt."""
        if not self.rules:
            unchanged = _content(body) == output.content or bool(output.tool_calls)
            return output.rows if unchanged else _unharmed(output, body)
        if any(FAULTS[rule.fault].loses_answer for rule in self.rules if rule.fault in FAULTS):
            return {}
        return _unharmed(output, body)


def plan_faults(rules: Sequence[FaultRule], call: ModelCall, model: EmulatedModel) -> FaultPlan:
    """The faults that are due for this model now."""
    delay = answer_seconds(model.behaviour.latency, call)
    due = [rule for index, rule in enumerate(rules) if rule.meets(call, index)]
    verbatim = next((rule for rule in due if rule.respond is not None), None)
    refusing = next((rule for rule in due if rule.fault in FAULTS and FAULTS[rule.fault].refuse), None)
    refusal = None
    if verbatim is not None and verbatim.respond is not None:
        refusal = Refusal(status=verbatim.respond.status, body={}, name=verbatim.fault)
        due = [verbatim]
    elif refusing is not None:
        refusal = _refusal(FAULTS[refusing.fault], call, refusing)
        due = [refusing, *(rule for rule in due if FAULTS[rule.fault].carry)]
    own = [rule.delay for rule in due if rule.delay is not None]
    return FaultPlan(
        call=call,
        refusal=refusal,
        verbatim=None if verbatim is None else verbatim.respond,
        rules=tuple(due),
        delay=own[0] if own else 0.0 if refusal else delay,
    )


def answer_seconds(latency: Latency, call: ModelCall) -> float:
    """Seconds that this answer takes: lognormal around the median."""
    if latency.constant is not None:
        return latency.constant
    if not latency.median or not latency.sigma:
        return latency.median
    quantile = min(max(call.uniform("latency"), 1e-9), 1 - 1e-9)
    return latency.median * math.exp(latency.sigma * NORMAL.inv_cdf(quantile))


def _refusal(fault: Fault, call: ModelCall, rule: FaultRule) -> Refusal:
    assert fault.refuse is not None
    return fault.refuse(call, rule.options)


def _verbatim(respond: VerbatimReply, reply: HttpReply) -> HttpReply:
    is_text = isinstance(respond.body, str)
    text = respond.body if is_text else json.dumps(respond.body, ensure_ascii=False)
    headers = {
        "x-generation-id": reply.headers.get("x-generation-id", ""),
        "content-type": "text/plain" if is_text else "application/json",
        **{name.lower(): str(value) for name, value in respond.headers.items()},
    }
    return HttpReply(status=respond.status, headers=headers, steps=(text.encode(),), delay=reply.delay)


def _content(body: JsonObject) -> str:
    choices = body.get("choices") or [{}]
    content = (choices[0].get("message") or {}).get("content")
    return content if isinstance(content, str) else ""


def _unharmed(output: ModelOutput, body: JsonObject) -> Mapping[str, str]:
    """The rows whose answers the faults left intact, by prompt.

    A row of a pack counts if its code and answer are still there exactly once; a single answer counts if it is whole.
    """
    content = _content(body)
    if not output.codes:
        return output.rows if output.content and output.content in content else {}
    kept = {}
    for code, prompt in output.codes.items():
        pair = f"{json.dumps(code)}: {output.rows[prompt]}"
        if pair in content and len(re.findall(json.dumps(code), content)) == 1:
            kept[prompt] = output.rows[prompt]
    return kept
