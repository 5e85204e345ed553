"""The faults by name, and playing them: which ones are due, and what they make of a reply.

Four stages, one module each: a *refusal* stands in for the answer (the first that is due wins), an *answer* or
*text* fault spoils what the model said, a *wire* fault spoils the bytes on their way. The last three add up.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from batchfree.emulator.emulated_model import EmulatedModel, JsonObject, Latency
from batchfree.emulator.error_bodies import Refusal
from batchfree.emulator.fault_rules import FaultRule, ModelCall
from batchfree.emulator.faults import answers as faults_answers
from batchfree.emulator.faults import refusals as faults_refusals
from batchfree.emulator.faults import wires as faults_wires
from batchfree.emulator.faults.fault import Fault
from batchfree.emulator.replies import HttpReply, ModelOutput

FAULTS: Mapping[str, Fault] = {
    fault.name: fault for fault in (*faults_refusals.FAULTS, *faults_answers.FAULTS, *faults_wires.FAULTS)
}
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """What was decided for one model and one request: at most one refusal, and the faults that spoil the rest."""

    occasion: ModelCall
    refusal: Refusal | None = None
    verbatim: Mapping[str, Any] | None = None
    rules: tuple[FaultRule, ...] = ()
    delay: float = 0.0

    @property
    def status(self) -> int:
        """The status as the router's metadata show it."""
        return self.refusal.status if self.refusal else 200

    @property
    def names(self) -> str | None:
        return "+".join(rule.fault for rule in self.rules) or None

    def distort(self, body: JsonObject) -> JsonObject:
        """The completion after its answer and text faults."""
        for rule in self.rules:
            fault = FAULTS.get(rule.fault)
            if fault is not None and fault.spoil is not None:
                fault.spoil(body, self.occasion, fault.defaults | dict(rule.options))
        return body

    def carry(self, reply: HttpReply) -> HttpReply:
        """The reply after its wire faults."""
        if self.verbatim is not None:
            return _verbatim(self.verbatim, reply)
        for rule in self.rules:
            fault = FAULTS.get(rule.fault)
            if fault is not None and fault.carry is not None:
                reply = fault.carry(reply, self.occasion, fault.defaults | dict(rule.options))
        return reply

    def kept(self, said: ModelOutput, body: JsonObject) -> Mapping[str, str]:
        """Prompt → answer for what is still there to be read after the faults."""
        if not self.rules:
            return said.rows if _content(body) == said.content or said.tool_calls else _unharmed(said, body)
        if any(FAULTS[rule.fault].loses_answer for rule in self.rules if rule.fault in FAULTS):
            return {}
        return _unharmed(said, body)


def play(rules: Sequence[FaultRule], occasion: ModelCall, model: EmulatedModel) -> FaultPlan:
    """What is due for this model now."""
    delay = waiting(model.hand.latency, occasion)
    due = tuple(rule for rule in rules if rule.meets(occasion))
    if not due:
        return FaultPlan(occasion=occasion, delay=delay)
    verbatim = next((rule for rule in due if rule.respond is not None), None)
    refusing = next((rule for rule in due if (fault := FAULTS.get(rule.fault)) and fault.refuse), None)
    refusal = None
    if verbatim is not None:
        refusal = Refusal(status=int((verbatim.respond or {}).get("status", 200)), body={}, name=verbatim.fault)
        due = (verbatim,)
    elif refusing is not None:
        fault = FAULTS[refusing.fault]
        assert fault.refuse is not None
        refusal = fault.refuse(occasion, fault.defaults | dict(refusing.options))
        due = (refusing, *(rule for rule in due if FAULTS[rule.fault].carry))
    own = [rule.delay for rule in due if rule.delay is not None]
    return FaultPlan(
        occasion=occasion,
        refusal=refusal,
        verbatim=None if verbatim is None else verbatim.respond,
        rules=due,
        delay=own[0] if own else 0.0 if refusal else delay,
    )


def waiting(latency: Latency, occasion: ModelCall) -> float:
    """Seconds that this answer takes: lognormal around the median."""
    if not latency.median or not latency.sigma:
        return latency.median
    quantile = min(max(occasion.share("latency"), 1e-9), 1 - 1e-9)
    return latency.median * math.exp(latency.sigma * NORMAL.inv_cdf(quantile))


def _verbatim(respond: Mapping[str, Any], reply: HttpReply) -> HttpReply:
    body = respond.get("body", "")
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    headers = {"content-type": "text/plain" if isinstance(body, str) else "application/json"}
    headers |= {name.lower(): str(value) for name, value in (respond.get("headers") or {}).items()}
    generation = {"x-generation-id": reply.headers.get("x-generation-id", "")}
    return HttpReply(
        status=int(respond.get("status", 200)), headers=generation | headers, steps=(text.encode(),), delay=reply.delay
    )


def _content(body: JsonObject) -> str:
    choices = body.get("choices") or [{}]
    content = (choices[0].get("message") or {}).get("content")
    return content if isinstance(content, str) else ""


def _unharmed(said: ModelOutput, body: JsonObject) -> Mapping[str, str]:
    """Of a pack, the rows whose pair is still there, once; of a single answer, all or nothing."""
    content = _content(body)
    if not said.codes:
        return said.rows if said.content and said.content in content else {}
    kept = {}
    for code, prompt in said.codes.items():
        pair = f"{json.dumps(code)}: {said.rows[prompt]}"
        if pair in content and len(re.findall(json.dumps(code), content)) == 1:
            kept[prompt] = said.rows[prompt]
    return kept
