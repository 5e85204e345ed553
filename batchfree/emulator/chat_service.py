"""One chat request from arrival to reply: key, quota, form, the models in turn, the faults, the words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from batchfree.emulator import checking, replies
from batchfree.emulator import free_router as router
from batchfree.emulator.chance import generator, share
from batchfree.emulator.error_bodies import Refusal
from batchfree.emulator.faults import Played, play
from batchfree.emulator.mind import speak
from batchfree.emulator.model import FREE_ROUTER, JsonObject, Model
from batchfree.emulator.quotas import Quota
from batchfree.emulator.replies import Reply
from batchfree.emulator.request import Asked
from batchfree.emulator.request_log import Book, Post
from batchfree.emulator.rules import Occasion
from batchfree.emulator.scenario import Scenario
from batchfree.emulator.sse import as_stream

JSON_HEADERS = {"content-type": "application/json"}
REMEMBERED_GENERATIONS = 10_000
METADATA_HEADERS = ("x-openrouter-metadata", "x-openrouter-experimental-metadata")


class Service:
    """The emulated service's memory: quota, book, counts per model, generations. `clock` gives epoch seconds."""

    def __init__(
        self, scenario: Scenario, clock: Callable[[], float], book: Book, *, seed: int, require_key: bool
    ) -> None:
        self.scenario = scenario
        self.clock = clock
        self.book = book
        self.seed = seed
        self.require_key = require_key
        self.started = clock()
        self.quota = Quota(scenario.limits, self.started)
        self.generations: dict[str, JsonObject] = {}
        self.ids = generator(seed, "generation ids")
        self._of_model: Counter[str] = Counter()
        self._seen: Counter[bytes] = Counter()

    def models(self) -> list[Model]:
        """The models on offer now."""
        seconds, requests = self.clock() - self.started, len(self.book.posts)
        return [model for model in self.scenario.models if model.presence.covers(seconds, requests)]

    def check_key(self, headers: Mapping[str, str]) -> Refusal | None:
        if not self.require_key:
            return None
        return checking.check_key(headers.get("authorization"), self.scenario.keys)

    def new_id(self) -> str:
        return replies.generation_id(self.clock(), self.ids)

    def chat(self, raw: bytes, headers: Mapping[str, str]) -> tuple[Post, Reply]:
        """Decide everything about one POST; nothing is sent or waited for here."""
        post = self.book.open(self.clock(), headers)
        post.generation = self.new_id()
        try:
            post.body = json.loads(raw)
        except ValueError:
            post.body = None
        refused = self._at_the_door(post, headers)
        if refused is not None:
            return post, self._refuse(post, refused)
        return post, self._answer(post, Asked(post.body), raw, headers)

    def _at_the_door(self, post: Post, headers: Mapping[str, str]) -> Refusal | None:
        refused = self.check_key(headers)
        if refused is not None:
            return refused
        if checking.counts_as_free(post.body):
            post.counted = True
            refused = self.quota.arrive(post.at)
        return refused or checking.check(post.body)

    def _refuse(self, post: Post, refused: Refusal, router_data: JsonObject | None = None) -> Reply:
        post.status, post.fault = refused.status, "+".join(filter(None, (post.fault, refused.name or "refused")))
        if router_data is not None and refused.status not in (401, 429, 500):
            refused = replace(refused, body=refused.body | {"openrouter_metadata": router_data})
        if post.counted and refused.name not in ("minute_429", "day_429"):
            self.quota.give_back(post.at)
        headers = JSON_HEADERS | {"x-generation-id": post.generation or ""} | dict(refused.headers)
        return Reply(status=refused.status, headers=headers, steps=(refused.encode(),))

    def _answer(self, post: Post, asked: Asked, raw: bytes, headers: Mapping[str, str]) -> Reply:
        """Try the models in turn, as the `models` list and the free router allow; the last refusal stands."""
        about = self._about(raw)
        post.asked = tuple(asked.models) or ("openrouter/auto",)
        attempts: list[JsonObject] = []
        pool = self._pool()
        wants_data = any(headers.get(name, "").lower() == "enabled" for name in METADATA_HEADERS)
        refused: Refusal | None = None
        for id in self._turns(post.asked):
            model = self._resolve(
                id, asked, about + bytes([len(attempts)]), [m for m in pool if m.id not in post.tried]
            )
            if isinstance(model, Refusal):
                refused, played = model, None
            else:
                played = self._try(post, model, asked, id, about)
                refused = played.refusal
                attempts.append({"provider": model.provider, "model": model.id, "status": played.status})
            if refused is None or not refused.falls_over:
                break
        chosen = model if isinstance(model, Model) else None
        data = (
            router.metadata(post.asked[0], chosen, attempts, self._shown(pool, asked, chosen)) if wants_data else None
        )
        if refused is not None or played is None or chosen is None:
            reply = self._refuse(post, refused or Refusal(status=500, body={}), data)
            return played.carry(replace(reply, delay=played.delay)) if played is not None else reply
        return self._say(post, chosen, asked, played, data)

    def _about(self, raw: bytes) -> bytes:
        """What tells this request apart: its bytes, and how often they came before."""
        key = share(0, raw).hex().encode()
        self._seen[key] += 1
        return key + str(self._seen[key]).encode()

    def _pool(self) -> list[Model]:
        pool = router.free_pool(self.models(), gated=self.scenario.draws_gated)
        return pool if self.scenario.draws_classifier else [model for model in pool if model.nature != "classifier"]

    def _shown(self, pool: Sequence[Model], asked: Asked, chosen: Model | None) -> list[Model]:
        able = [model for model in pool if router.serves(model, asked.needs)]
        return able if asked.models[:1] == [FREE_ROUTER] else [chosen] if chosen else []

    def _turns(self, ids: Sequence[str]) -> list[str]:
        return [id for id in ids for _ in range(self.scenario.router_tries if id == FREE_ROUTER else 1)]

    def _resolve(self, id: str, asked: Asked, about: bytes, pool: Sequence[Model]) -> Model | Refusal:
        if id == FREE_ROUTER:
            return router.draw(pool, asked, generator(self.seed, "draw", about))
        return router.find(id, self.models(), (model.id for model in self.scenario.models))

    def _try(self, post: Post, model: Model, asked: Asked, id: str, about: bytes) -> Played:
        post.tried = (*post.tried, model.id)
        self._of_model[model.id] += 1
        occasion = Occasion(
            model=model.id,
            provider=model.provider,
            asked=id,
            content=asked.last_user,
            number=post.number,
            number_of_model=self._of_model[model.id],
            seconds=post.at - self.started,
            now=post.at,
            seed=self.seed,
            about=about,
        )
        played = play(self.scenario.rules, occasion, model)
        return played if played.refusal else replace(played, refusal=router.objection(model, asked))

    def _say(self, post: Post, model: Model, asked: Asked, played: Played, data: JsonObject | None) -> Reply:
        said = speak(model, asked, played.occasion, self.scenario.answers)
        body = replies.completion(model, asked, said, id=post.generation or "", now=post.at)
        if data is not None:
            body["openrouter_metadata"] = data
        body = played.distort(body)
        post.status, post.model = 200, model.id
        post.fault = played.names
        post.cost = (body.get("usage") or {}).get("cost") or 0.0
        choices = body.get("choices") or [{}]
        post.finish_reason = choices[0].get("finish_reason")
        post.rows = played.kept(said, body)
        self._remember(body, model, post)
        headers = JSON_HEADERS | {"x-generation-id": post.generation or ""}
        reply = (
            as_stream(body, headers)
            if asked.stream
            else Reply(status=200, headers=headers, steps=(replies.encode(body),))
        )
        return played.carry(replace(reply, delay=played.delay))

    def _remember(self, body: JsonObject, model: Model, post: Post) -> None:
        if len(self.generations) >= REMEMBERED_GENERATIONS:
            del self.generations[next(iter(self.generations))]
        self.generations[post.generation or ""] = {"body": body, "model": model, "at": post.at, "post": post}
