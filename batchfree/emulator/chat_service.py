"""One chat request from arrival to reply: key, quota, form, then model after model with its faults and its answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from batchfree.emulator import free_router, replies, validation
from batchfree.emulator.chance import generator, uniform
from batchfree.emulator.emulated_model import FREE_ROUTER, EmulatedModel, JsonObject
from batchfree.emulator.error_bodies import Refusal
from batchfree.emulator.fault_plan import FaultPlan, plan_faults
from batchfree.emulator.incoming_request import IncomingRequest
from batchfree.emulator.mind import speak
from batchfree.emulator.model_call import ModelCall
from batchfree.emulator.quotas import Quota
from batchfree.emulator.replies import HttpReply
from batchfree.emulator.request_log import LoggedRequest, RequestLog
from batchfree.emulator.scenario import Scenario
from batchfree.emulator.sse import as_stream

JSON_HEADERS = {"content-type": "application/json"}
DEFAULT_MODEL = "openrouter/auto"
"""The model of a request that names none."""
REMEMBERED_GENERATIONS = 10_000
METADATA_HEADERS = ("x-openrouter-metadata", "x-openrouter-experimental-metadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivedRequest:
    """A well-formed request with its entry in the log. `about` is different for every request."""

    logged: LoggedRequest
    chat: IncomingRequest
    about: bytes
    wants_metadata: bool


class EmulatedService:
    """The emulated service with its state: quota, request log, requests per model, generations.

    `clock` gives epoch seconds.
    """

    def __init__(
        self, scenario: Scenario, clock: Callable[[], float], log: RequestLog, *, seed: int, require_key: bool
    ) -> None:
        self.scenario = scenario
        self.clock = clock
        self.log = log
        self.seed = seed
        self.require_key = require_key
        self.started = clock()
        self.quota = Quota(scenario.limits, self.started)
        self.generations: dict[str, JsonObject] = {}
        self.ids = generator(seed, "generation ids")
        self._requests_of_model: Counter[str] = Counter()
        self._times_seen: Counter[bytes] = Counter()

    def models(self) -> list[EmulatedModel]:
        """The models on offer now."""
        seconds, requests = self.clock() - self.started, len(self.log.requests)
        return [model for model in self.scenario.models if model.presence.covers(seconds, requests)]

    def check_key(self, headers: Mapping[str, str]) -> Refusal | None:
        """The refusal of a missing or wrong key; None if it is right or not required."""
        if not self.require_key:
            return None
        return validation.check_key(headers.get("authorization"), self.scenario.keys)

    def new_id(self) -> str:
        """A fresh generation id."""
        return replies.generation_id(self.clock(), self.ids)

    def chat(self, raw: bytes, headers: Mapping[str, str]) -> tuple[LoggedRequest, HttpReply]:
        """Logs one POST and decides its whole reply. Nothing is sent or waited for here."""
        logged = self.log.open(self.clock(), headers)
        logged.generation = self.new_id()
        try:
            logged.body = json.loads(raw)
        except ValueError:
            logged.body = None
        refusal = self._refusal_on_arrival(logged, headers)
        if refusal is not None:
            return logged, self._refuse(logged, refusal)
        wants_metadata = any(headers.get(name, "").lower() == "enabled" for name in METADATA_HEADERS)
        chat = IncomingRequest(logged.body)
        arrived = ArrivedRequest(logged=logged, chat=chat, about=self._about(raw), wants_metadata=wants_metadata)
        return logged, self._answer(arrived)

    def _refusal_on_arrival(self, logged: LoggedRequest, headers: Mapping[str, str]) -> Refusal | None:
        """Checks the key, then counts the request against the quota, then checks its form."""
        refusal = self.check_key(headers)
        if refusal is None and validation.counts_as_free(logged.body):
            logged.counted = True
            refusal = self.quota.arrive(logged.at)
        return refusal or validation.check_form(logged.body)

    def _refuse(self, logged: LoggedRequest, refusal: Refusal, metadata: JsonObject | None = None) -> HttpReply:
        logged.status = refusal.status
        logged.fault = "+".join(filter(None, (logged.fault, refusal.name or "refused")))
        if metadata is not None and refusal.status not in (401, 429, 500):
            refusal = replace(refusal, body=refusal.body | {"openrouter_metadata": metadata})
        if logged.counted and refusal.name not in ("minute_429", "day_429"):
            self.quota.give_back(logged.at)
        headers = JSON_HEADERS | {"x-generation-id": logged.generation or ""} | dict(refusal.headers)
        return HttpReply(status=refusal.status, headers=headers, steps=(refusal.encode(),))

    def _answer(self, arrived: ArrivedRequest) -> HttpReply:
        """Tries model after model, as `models` and the free router allow. If all refuse, the last refusal is sent."""
        logged = arrived.logged
        logged.asked = tuple(arrived.chat.models) or (DEFAULT_MODEL,)
        attempts: list[JsonObject] = []
        pool = self._pool()
        model: EmulatedModel | Refusal = Refusal(status=500, body={})
        plan: FaultPlan | None = None
        for id in self._turns(logged.asked):
            model, plan = self._resolve(id, arrived, len(attempts), pool), None
            if isinstance(model, EmulatedModel):
                plan = self._try(arrived, model, id)
                attempts.append({"provider": model.provider, "model": model.id, "status": plan.status})
            refusal = model if isinstance(model, Refusal) else plan.refusal if plan else None
            if refusal is None or not refusal.falls_over:
                break
        metadata = self._metadata(arrived, model, attempts, pool) if arrived.wants_metadata else None
        if isinstance(model, Refusal):
            return self._refuse(logged, model, metadata)
        assert plan is not None, "a model that was found was tried"
        if plan.refusal is not None:
            return plan.carry(replace(self._refuse(logged, plan.refusal, metadata), delay=plan.delay))
        return self._complete(arrived, model, plan, metadata)

    def _about(self, raw: bytes) -> bytes:
        """Bytes that are different for every request: a digest of its body, and how often the same body has come."""
        key = uniform(0, raw).hex().encode()
        self._times_seen[key] += 1
        return key + str(self._times_seen[key]).encode()

    def _pool(self) -> list[EmulatedModel]:
        """The models that the free router may draw now."""
        router = self.scenario.router
        return free_router.free_pool(self.models(), gated=router.draws_gated, classifier=router.draws_classifier)

    def _turns(self, ids: Sequence[str]) -> list[str]:
        """The ids to try in order; the free router may draw more than once."""
        return [id for id in ids for _ in range(self.scenario.router.tries if id == FREE_ROUTER else 1)]

    def _resolve(
        self, id: str, arrived: ArrivedRequest, attempts: int, pool: Sequence[EmulatedModel]
    ) -> EmulatedModel | Refusal:
        """The model that an id stands for; the free router draws one that this request has not tried."""
        if id != FREE_ROUTER:
            return free_router.find(id, self.models(), (model.id for model in self.scenario.models))
        untried = [model for model in pool if model.id not in arrived.logged.tried]
        rng = generator(self.seed, "draw", arrived.about + bytes([attempts]))
        return free_router.draw_model(untried, arrived.chat, rng)

    def _try(self, arrived: ArrivedRequest, model: EmulatedModel, id: str) -> FaultPlan:
        """The faults of one model for this request. A model that can't serve the request refuses it as well."""
        logged = arrived.logged
        logged.tried = (*logged.tried, model.id)
        self._requests_of_model[model.id] += 1
        call = ModelCall(
            model=model.id,
            provider=model.provider,
            asked=id,
            content=arrived.chat.last_user,
            number=logged.number,
            number_of_model=self._requests_of_model[model.id],
            seconds=logged.at - self.started,
            now=logged.at,
            seed=self.seed,
            about=arrived.about,
        )
        plan = plan_faults(self.scenario.faults, call, model)
        return plan if plan.refusal else replace(plan, refusal=free_router.objection(model, arrived.chat))

    def _metadata(
        self,
        arrived: ArrivedRequest,
        model: EmulatedModel | Refusal,
        attempts: Sequence[JsonObject],
        pool: Sequence[EmulatedModel],
    ) -> JsonObject:
        chosen = model if isinstance(model, EmulatedModel) else None
        candidates = [chosen] if chosen else []
        if arrived.chat.models[:1] == [FREE_ROUTER]:
            candidates = [model for model in pool if free_router.serves(model, arrived.chat.needs)]
        return free_router.metadata(arrived.logged.asked[0], chosen, attempts, candidates)

    def _complete(
        self, arrived: ArrivedRequest, model: EmulatedModel, plan: FaultPlan, metadata: JsonObject | None
    ) -> HttpReply:
        """The answer of a model after its faults, logged and remembered as a generation."""
        logged, chat = arrived.logged, arrived.chat
        output = speak(model, chat, plan.call, self.scenario.answers)
        body = replies.completion(model, chat, output, id=logged.generation or "", now=logged.at)
        if metadata is not None:
            body["openrouter_metadata"] = metadata
        body = plan.distort(body)
        choices = body.get("choices") or [{}]
        logged.status, logged.model, logged.fault = 200, model.id, plan.names
        logged.cost = (body.get("usage") or {}).get("cost") or 0.0
        logged.finish_reason = choices[0].get("finish_reason")
        logged.rows = plan.answers_left(output, body)
        self._remember(body, logged)
        headers = JSON_HEADERS | {"x-generation-id": logged.generation or ""}
        plain = HttpReply(status=200, headers=headers, steps=(replies.encode(body),))
        reply = as_stream(body, headers) if chat.stream else plain
        return plan.carry(replace(reply, delay=plan.delay))

    def _remember(self, body: JsonObject, logged: LoggedRequest) -> None:
        if len(self.generations) >= REMEMBERED_GENERATIONS:
            del self.generations[next(iter(self.generations))]
        self.generations[logged.generation or ""] = {"body": body, "at": logged.at, "logged": logged}
