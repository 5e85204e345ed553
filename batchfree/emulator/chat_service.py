"""One chat request from arrival to reply: key, quota, form, the models in turn, the faults, the words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from batchfree.emulator import free_router as router
from batchfree.emulator import replies, validation
from batchfree.emulator.chance import generator, share
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
REMEMBERED_GENERATIONS = 10_000
METADATA_HEADERS = ("x-openrouter-metadata", "x-openrouter-experimental-metadata")


class EmulatedService:
    """The emulated service's memory: quota, book, counts per model, generations. `clock` gives epoch seconds."""

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
        self._of_model: Counter[str] = Counter()
        self._seen: Counter[bytes] = Counter()

    def models(self) -> list[EmulatedModel]:
        """The models on offer now."""
        seconds, requests = self.clock() - self.started, len(self.log.requests)
        return [model for model in self.scenario.models if model.presence.covers(seconds, requests)]

    def check_key(self, headers: Mapping[str, str]) -> Refusal | None:
        if not self.require_key:
            return None
        return validation.check_key(headers.get("authorization"), self.scenario.keys)

    def new_id(self) -> str:
        return replies.generation_id(self.clock(), self.ids)

    def chat(self, raw: bytes, headers: Mapping[str, str]) -> tuple[LoggedRequest, HttpReply]:
        """Decide everything about one POST; nothing is sent or waited for here."""
        logged = self.log.open(self.clock(), headers)
        logged.generation = self.new_id()
        try:
            logged.body = json.loads(raw)
        except ValueError:
            logged.body = None
        refused = self._at_the_door(logged, headers)
        if refused is not None:
            return logged, self._refuse(logged, refused)
        return logged, self._answer(logged, IncomingRequest(logged.body), raw, headers)

    def _at_the_door(self, logged: LoggedRequest, headers: Mapping[str, str]) -> Refusal | None:
        refused = self.check_key(headers)
        if refused is not None:
            return refused
        if validation.counts_as_free(logged.body):
            logged.counted = True
            refused = self.quota.arrive(logged.at)
        return refused or validation.check(logged.body)

    def _refuse(self, logged: LoggedRequest, refused: Refusal, router_data: JsonObject | None = None) -> HttpReply:
        logged.status, logged.fault = refused.status, "+".join(filter(None, (logged.fault, refused.name or "refused")))
        if router_data is not None and refused.status not in (401, 429, 500):
            refused = replace(refused, body=refused.body | {"openrouter_metadata": router_data})
        if logged.counted and refused.name not in ("minute_429", "day_429"):
            self.quota.give_back(logged.at)
        headers = JSON_HEADERS | {"x-generation-id": logged.generation or ""} | dict(refused.headers)
        return HttpReply(status=refused.status, headers=headers, steps=(refused.encode(),))

    def _answer(
        self, logged: LoggedRequest, asked: IncomingRequest, raw: bytes, headers: Mapping[str, str]
    ) -> HttpReply:
        """Try the models in turn, as the `models` list and the free router allow; the last refusal stands."""
        about = self._about(raw)
        logged.asked = tuple(asked.models) or ("openrouter/auto",)
        attempts: list[JsonObject] = []
        pool = self._pool()
        wants_data = any(headers.get(name, "").lower() == "enabled" for name in METADATA_HEADERS)
        refused: Refusal | None = None
        for id in self._turns(logged.asked):
            model = self._resolve(
                id, asked, about + bytes([len(attempts)]), [m for m in pool if m.id not in logged.tried]
            )
            if isinstance(model, Refusal):
                refused, played = model, None
            else:
                played = self._try(logged, model, asked, id, about)
                refused = played.refusal
                attempts.append({"provider": model.provider, "model": model.id, "status": played.status})
            if refused is None or not refused.falls_over:
                break
        chosen = model if isinstance(model, EmulatedModel) else None
        data = (
            router.metadata(logged.asked[0], chosen, attempts, self._shown(pool, asked, chosen)) if wants_data else None
        )
        if refused is not None or played is None or chosen is None:
            reply = self._refuse(logged, refused or Refusal(status=500, body={}), data)
            return played.carry(replace(reply, delay=played.delay)) if played is not None else reply
        return self._say(logged, chosen, asked, played, data)

    def _about(self, raw: bytes) -> bytes:
        """What tells this request apart: its bytes, and how often they came before."""
        key = share(0, raw).hex().encode()
        self._seen[key] += 1
        return key + str(self._seen[key]).encode()

    def _pool(self) -> list[EmulatedModel]:
        pool = router.free_pool(self.models(), gated=self.scenario.router.draws_gated)
        return (
            pool if self.scenario.router.draws_classifier else [model for model in pool if model.nature != "classifier"]
        )

    def _shown(
        self, pool: Sequence[EmulatedModel], asked: IncomingRequest, chosen: EmulatedModel | None
    ) -> list[EmulatedModel]:
        able = [model for model in pool if router.serves(model, asked.needs)]
        return able if asked.models[:1] == [FREE_ROUTER] else [chosen] if chosen else []

    def _turns(self, ids: Sequence[str]) -> list[str]:
        return [id for id in ids for _ in range(self.scenario.router.tries if id == FREE_ROUTER else 1)]

    def _resolve(
        self, id: str, asked: IncomingRequest, about: bytes, pool: Sequence[EmulatedModel]
    ) -> EmulatedModel | Refusal:
        if id == FREE_ROUTER:
            return router.draw(pool, asked, generator(self.seed, "draw", about))
        return router.find(id, self.models(), (model.id for model in self.scenario.models))

    def _try(
        self, logged: LoggedRequest, model: EmulatedModel, asked: IncomingRequest, id: str, about: bytes
    ) -> FaultPlan:
        logged.tried = (*logged.tried, model.id)
        self._of_model[model.id] += 1
        occasion = ModelCall(
            model=model.id,
            provider=model.provider,
            asked=id,
            content=asked.last_user,
            number=logged.number,
            number_of_model=self._of_model[model.id],
            seconds=logged.at - self.started,
            now=logged.at,
            seed=self.seed,
            about=about,
        )
        played = plan_faults(self.scenario.faults, occasion, model)
        return played if played.refusal else replace(played, refusal=router.objection(model, asked))

    def _say(
        self,
        logged: LoggedRequest,
        model: EmulatedModel,
        asked: IncomingRequest,
        played: FaultPlan,
        data: JsonObject | None,
    ) -> HttpReply:
        said = speak(model, asked, played.call, self.scenario.answers)
        body = replies.completion(model, asked, said, id=logged.generation or "", now=logged.at)
        if data is not None:
            body["openrouter_metadata"] = data
        body = played.distort(body)
        logged.status, logged.model = 200, model.id
        logged.fault = played.names
        logged.cost = (body.get("usage") or {}).get("cost") or 0.0
        choices = body.get("choices") or [{}]
        logged.finish_reason = choices[0].get("finish_reason")
        logged.rows = played.answers_left(said, body)
        self._remember(body, model, logged)
        headers = JSON_HEADERS | {"x-generation-id": logged.generation or ""}
        reply = (
            as_stream(body, headers)
            if asked.stream
            else HttpReply(status=200, headers=headers, steps=(replies.encode(body),))
        )
        return played.carry(replace(reply, delay=played.delay))

    def _remember(self, body: JsonObject, model: EmulatedModel, logged: LoggedRequest) -> None:
        if len(self.generations) >= REMEMBERED_GENERATIONS:
            del self.generations[next(iter(self.generations))]
        self.generations[logged.generation or ""] = {"body": body, "model": model, "at": logged.at, "logged": logged}
