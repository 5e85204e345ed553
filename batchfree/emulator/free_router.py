"""Which emulated model gets a request: the free router's draw, concrete ids, and why a model cannot serve.

Sources: OpenRouter docs (free models router, model fallbacks, provider selection). The free router filters by
abilities and draws at random; prompt length is not looked at before the draw, as the docs name no such filter.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from batchfree.emulator import error_bodies as bodies
from batchfree.emulator.emulated_model import FREE_ROUTER, EmulatedModel, JsonObject
from batchfree.emulator.error_bodies import Refusal
from batchfree.emulator.incoming_request import IncomingRequest

DOCS = "https://openrouter.ai/docs/guides/routing/provider-selection"
INPUT_KINDS = frozenset({"image", "audio", "video"})
TRACKED = (
    "temperature", "top_p", "top_k", "min_p", "top_a", "frequency_penalty", "presence_penalty", "repetition_penalty",
    "logit_bias", "logprobs", "top_logprobs", "seed", "stop", "tools", "tool_choice", "parallel_tool_calls",
    "reasoning", "verbosity",
)  # fmt: skip


def serves(model: EmulatedModel, needs: Iterable[str]) -> bool:
    """Whether the model has every ability in `needs`."""
    return all(need in (model.inputs if need in INPUT_KINDS else model.parameters) for need in needs)


def free_pool(models: Sequence[EmulatedModel], *, gated: bool = False) -> list[EmulatedModel]:
    """The models that `openrouter/free` may draw: free, and with text output; a classifier is among them."""
    natures = ("chat", "classifier", "gated") if gated else ("chat", "classifier")
    return [model for model in models if model.id.endswith(":free") and model.nature in natures]


def draw(pool: Sequence[EmulatedModel], asked: IncomingRequest, rng: random.Random) -> EmulatedModel | Refusal:
    """One model of the pool that can do what is needed, each with equal chance."""
    able = [model for model in pool if serves(model, asked.needs)]
    if able:
        return able[rng.randrange(len(able))]
    return _unable(next(iter(sorted(asked.needs)), ""), FREE_ROUTER)


def find(id: str, models: Sequence[EmulatedModel], known: Iterable[str]) -> EmulatedModel | Refusal:
    """A concrete model by its id; `known` are ids that are or were on offer."""
    for model in models:
        if model.id == id:
            return model
    if id in known:
        return bodies.no_endpoints(f"No endpoints found for {id}.", "Initial Endpoints", name="gone_404")
    if id.endswith(":free") and any(model.id == id.removesuffix(":free") for model in models):
        message = (
            f"This model is unavailable for free. The paid version is available now - use this slug instead: {id[:-5]}"
        )
        return bodies.no_endpoints(message, "Initial Endpoints", name="gone_404")
    return bodies.unknown_model(id)


def objection(model: EmulatedModel, asked: IncomingRequest) -> Refusal | None:
    """Why this model does not take this request, as the service words it; None if it does. Long: one rule a line."""
    if model.nature == "gated":
        return bodies.agents_only(model.id)
    for kind in sorted(asked.needs & INPUT_KINDS):
        if kind not in model.inputs:
            return _unable(kind, model.id)
    if asked.tools and "tools" not in model.parameters:
        return _unable("tools", model.id)
    preferences = asked.body.get("provider")
    preferences = preferences if isinstance(preferences, dict) else {}
    if model.free and (preferences.get("data_collection") == "deny" or preferences.get("zdr") is True):
        return bodies.privacy()
    if preferences.get("require_parameters") is True and _unsupported(model, asked):
        message = f"No endpoints found that can handle the requested parameters. To learn more, visit: {DOCS}"
        return bodies.no_endpoints(message, "Filter by Parameters")
    if not model.free and _too_dear(preferences.get("max_price")):
        message = "No endpoints found that satisfy the max price for this request"
        return bodies.no_endpoints(message, "Filter by Max Price")
    if model.thinking == "mandatory" and asked.thinking_off:
        message = "Reasoning is mandatory for this endpoint and cannot be disabled."
        return bodies.refusal(400, message, falls_over=True, user=True, metadata={"provider_name": None})
    output = asked.max_tokens or 0
    if asked.prompt_tokens + output > model.context:
        return bodies.context_length(model.context, asked.prompt_tokens, output)
    return None


def _unable(need: str, id: str) -> Refusal:
    if need in INPUT_KINDS:
        message = f"No endpoints found that support {need} input"
        return bodies.no_endpoints(message, "Filter by Input Modalities")
    if need == "tools":
        message = f"No endpoints found that support tool use. To learn more about provider routing, visit: {DOCS}"
        return bodies.no_endpoints(message, "Filter by Tool Compatibility")
    return bodies.no_endpoints(f"No endpoints found for {id} that support {need}.", "Filter by Parameters")


def _unsupported(model: EmulatedModel, asked: IncomingRequest) -> list[str]:
    sent = [name for name in TRACKED if asked.body.get(name) is not None]
    sent += sorted(asked.needs & {"structured_outputs", "response_format"})
    return [name for name in sent if name not in model.parameters]


def _too_dear(ceiling: object) -> bool:
    return isinstance(ceiling, dict) and any(ceiling.get(part) == 0 for part in ("prompt", "completion"))


def metadata(
    requested: str,
    model: EmulatedModel | None,
    attempts: Sequence[JsonObject],
    pool: Sequence[EmulatedModel],
    region: str = "emulated",
) -> JsonObject:
    """`openrouter_metadata` of the router-metadata docs page; `attempts` are {provider, model, status}."""
    strategy = "free" if requested == FREE_ROUTER else "fallback" if len(attempts) > 1 else "direct"
    available = [
        {"provider": candidate.provider, "model": candidate.id, "selected": candidate is model} for candidate in pool
    ]
    return {
        "requested": requested,
        "strategy": strategy,
        "region": region,
        "summary": f"available={len(pool)}, selected={model.provider if model else 'none'}",
        "attempt": len(attempts),
        "is_byok": False,
        "endpoints": {"total": len(pool), "available": available},
        "attempts": list(attempts),
    }
