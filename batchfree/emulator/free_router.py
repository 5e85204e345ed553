"""Which emulated model gets a request: the free router's draw, models by id, and why a model can't serve.

Sources: OpenRouter docs (free models router, model fallbacks, provider selection). The free router filters by
abilities and draws at random. It does not look at the prompt's length: the docs name no such filter.
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


def free_pool(models: Sequence[EmulatedModel], *, gated: bool, classifier: bool) -> list[EmulatedModel]:
    """The models that `openrouter/free` may draw: free chat models, with `gated` and `classifier` also such models."""
    natures = {"chat", *(["gated"] if gated else []), *(["classifier"] if classifier else [])}
    return [model for model in models if model.id.endswith(":free") and model.nature in natures]


def draw_model(pool: Sequence[EmulatedModel], request: IncomingRequest, rng: random.Random) -> EmulatedModel | Refusal:
    """One of the models with the needed abilities, each with the same chance."""
    able = [model for model in pool if serves(model, request.needs)]
    if able:
        return able[rng.randrange(len(able))]
    return _unable(next(iter(sorted(request.needs)), ""), FREE_ROUTER)


def find(id: str, models: Sequence[EmulatedModel], known: Iterable[str]) -> EmulatedModel | Refusal:
    """The model with this id; `known` are all ids that are ever on offer."""
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


def objection(model: EmulatedModel, request: IncomingRequest) -> Refusal | None:
    """Why this model refuses this request, in the words of the service; None if it accepts."""
    if model.nature == "gated":
        return bodies.agents_only(model.id)
    return _missing_ability(model, request) or _broken_preference(model, request) or _exceeded(model, request)


def _missing_ability(model: EmulatedModel, request: IncomingRequest) -> Refusal | None:
    for kind in sorted(request.needs & INPUT_KINDS):
        if kind not in model.inputs:
            return _unable(kind, model.id)
    return _unable("tools", model.id) if request.tools and "tools" not in model.parameters else None


def _broken_preference(model: EmulatedModel, request: IncomingRequest) -> Refusal | None:
    """A provider preference of the request that the model does not fulfil."""
    preferences = request.body.get("provider")
    preferences = preferences if isinstance(preferences, dict) else {}
    if model.free and (preferences.get("data_collection") == "deny" or preferences.get("zdr") is True):
        return bodies.privacy()
    if preferences.get("require_parameters") is True and _unsupported(model, request):
        message = f"No endpoints found that can handle the requested parameters. To learn more, visit: {DOCS}"
        return bodies.no_endpoints(message, "Filter by Parameters")
    ceiling = preferences.get("max_price")
    is_free_wanted = isinstance(ceiling, dict) and 0 in (ceiling.get("prompt"), ceiling.get("completion"))
    if not model.free and is_free_wanted:
        message = "No endpoints found that satisfy the max price for this request"
        return bodies.no_endpoints(message, "Filter by Max Price")
    return None


def _exceeded(model: EmulatedModel, request: IncomingRequest) -> Refusal | None:
    """A request that is too long for the model, or that forbids it to think."""
    if model.thinking == "mandatory" and request.thinking_off:
        message = "Reasoning is mandatory for this endpoint and cannot be disabled."
        return bodies.refusal_body(400, message, falls_over=True, user=True, metadata={"provider_name": None})
    output = request.max_tokens or 0
    if request.prompt_tokens + output > model.context:
        return bodies.context_length(model.context, request.prompt_tokens, output)
    return None


def _unable(need: str, id: str) -> Refusal:
    """The refusal if the model or the whole pool lacks an ability."""
    if need in INPUT_KINDS:
        message = f"No endpoints found that support {need} input"
        return bodies.no_endpoints(message, "Filter by Input Modalities")
    if need == "tools":
        message = f"No endpoints found that support tool use. To learn more about provider routing, visit: {DOCS}"
        return bodies.no_endpoints(message, "Filter by Tool Compatibility")
    return bodies.no_endpoints(f"No endpoints found for {id} that support {need}.", "Filter by Parameters")


def _unsupported(model: EmulatedModel, request: IncomingRequest) -> list[str]:
    """Parameters of the request that the model does not list."""
    sent = [name for name in TRACKED if request.body.get(name) is not None]
    sent += sorted(request.needs & {"structured_outputs", "response_format"})
    return [name for name in sent if name not in model.parameters]


def metadata(
    requested: str, model: EmulatedModel | None, attempts: Sequence[JsonObject], pool: Sequence[EmulatedModel]
) -> JsonObject:
    """The member `openrouter_metadata`; `attempts` are {provider, model, status}. Source: docs, router metadata."""
    strategy = "free" if requested == FREE_ROUTER else "fallback" if len(attempts) > 1 else "direct"
    available = [
        {"provider": candidate.provider, "model": candidate.id, "selected": candidate is model} for candidate in pool
    ]
    return {
        "requested": requested,
        "strategy": strategy,
        "region": "emulated",
        "summary": f"available={len(pool)}, selected={model.provider if model else 'none'}",
        "attempt": len(attempts),
        "is_byok": False,
        "endpoints": {"total": len(pool), "available": available},
        "attempts": list(attempts),
    }
