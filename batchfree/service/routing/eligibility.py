"""The models of the catalogue that may answer a request, and why the others may not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from fnmatch import fnmatchcase

from msgspec.structs import replace

from batchfree.core.routes import is_free_id
from batchfree.service.routing.model import FOR_AGENTS, Model, is_chat_model, is_safety_classifier
from batchfree.service.routing.policy import RoutingPolicy
from batchfree.service.routing.requirements import BUDGETS, TRACKED, Requirements

PARSED = frozenset({"file"})
"""Inputs that the free file parser turns into text, so that any model can read them."""

ABILITIES = {
    "tools": "tools",
    "tool_choice": "tool_choice",
    "response_format": "json",
    "structured_outputs": "schema",
    "reasoning": "reasoning",
    "seed": "seed",
    "stop": "stop",
    "logprobs": "logprobs",
}
INPUT_ABILITIES = {"image": "vision", "audio": "audio", "video": "video", "file": "file"}

ALL_PARAMETERS = TRACKED | {
    *BUDGETS,
    *("tools", "tool_choice", "response_format", "structured_outputs", "reasoning", "include_reasoning"),
}


def eligible(
    catalogue: Sequence[Model], requirements: Requirements, policy: RoutingPolicy, today: date
) -> tuple[Model, ...]:
    """The models that may answer, in the order of the catalogue. `today` is a UTC date."""
    return tuple(model for model in offer(catalogue, policy) if refusal(model, requirements, policy, today) is None)


def offer(catalogue: Sequence[Model], policy: RoutingPolicy) -> tuple[Model, ...]:
    """The models on offer: the catalogue, or on the user's own endpoint the models that the route names."""
    if policy.ids is None or not policy.any_model:
        return tuple(catalogue)
    listed = {model.id: model for model in catalogue}
    own = (listed.get(each) or Model(id=each) for each in policy.ids)
    return tuple(_trusted(model) for model in own)


def _trusted(model: Model) -> Model:
    """A model on the user's own endpoint. If its server lists no abilities, it is trusted to have them all."""
    if model.parameters:
        return model
    return replace(model, parameters=ALL_PARAMETERS, input_modalities=frozenset({"text", *INPUT_ABILITIES}))


def refusal(model: Model, requirements: Requirements, policy: RoutingPolicy, today: date) -> str | None:
    """Why a model may not answer, as half a sentence for a person; None if it may."""
    return next(_reasons(model, requirements, policy, today), None)


def _reasons(model: Model, requirements: Requirements, policy: RoutingPolicy, today: date) -> Iterator[str]:
    yield from _standing(model, policy, today)
    yield from _choice(model, policy)
    yield from _lacks(model, requirements)
    too_small = _too_small(model, requirements)
    if too_small is not None:
        yield too_small


def _standing(model: Model, policy: RoutingPolicy, today: date) -> Iterator[str]:
    """Reasons that hold for every job."""
    if not policy.any_model and not is_free_id(model.id):
        yield "its id does not end in :free"
    elif not policy.any_model and not model.free:
        yield "it has a price that is not zero"
    if is_safety_classifier(model.id):
        yield "it is a safety classifier: it answers every prompt with a verdict"
    if not is_chat_model(model):
        yield "it is not a chat model with text output"
    if model.id.startswith(FOR_AGENTS) and model.id not in (policy.ids or ()):
        yield "it is reserved for coding agents"
    if model.expires is not None and model.expires <= today:
        yield f"it expired on {model.expires.isoformat()}"


def _choice(model: Model, policy: RoutingPolicy) -> Iterator[str]:
    """Reasons that come from the `router:` part of the job."""
    if policy.ids is not None and model.id not in policy.ids:
        yield "the route does not name it"
    if policy.only and not any(_matches(model.id, pattern) for pattern in policy.only):
        yield "router.only leaves it out"
    for pattern in policy.exclude:
        if _matches(model.id, pattern):
            yield f"router.exclude names it ({pattern})"
    if policy.kept is not None and model.id not in policy.kept:
        yield "the pilot found better models"
    if policy.min_context and (model.context_length or 0) < policy.min_context:
        yield f"its context of {model.context_length or 'unknown'} tokens is below router.min_context"


def _matches(model_id: str, pattern: str) -> bool:
    """Whether a glob pattern matches an id, with or without `:free`, in any case."""
    names = (model_id.lower(), model_id.lower().removesuffix(":free"))
    return any(fnmatchcase(name, pattern.strip().lower()) for name in names)


def _lacks(model: Model, requirements: Requirements) -> Iterator[str]:
    """Abilities that the request needs and the model does not list."""
    for kind in sorted(requirements.inputs - model.input_modalities - PARSED):
        yield f"it takes no {kind} input"
    listed = model.parameters | ({"max_tokens"} if model.parameters & set(BUDGETS) else set())
    for name in sorted(requirements.parameters - listed):
        yield f"it does not support {name}"
    if requirements.forbids_reasoning and model.reasoning_mandatory:
        yield "its reasoning cannot be switched off"


def without_lengths(requirements: Requirements) -> Requirements:
    """The same needs for a request of any length."""
    return replace(requirements, prompt_tokens=0, completion_tokens=None, context_above=None)


def is_large_enough(model: Model, requirements: Requirements) -> bool:
    """Whether the request fits into the model's context; an unknown context is large enough."""
    return _too_small(model, requirements) is None


def _too_small(model: Model, requirements: Requirements) -> str | None:
    """The length of the model that is too small, in words; None if none is. An unknown length is large enough."""
    context, most = model.context_length, model.max_completion_tokens
    if context is not None and context < requirements.context:
        return f"its context of {context} tokens is too small for about {requirements.context}"
    if requirements.context_above is not None and (context or 0) <= requirements.context_above:
        return f"its context of {context or 'unknown'} tokens is no larger than one that was too small"
    if most is not None and (requirements.completion_tokens or 0) > most:
        return f"it writes at most {most} tokens"
    return None


def longest_answer(model: Model, requirements: Requirements) -> int | None:
    """The most tokens that may be asked of the model beside this prompt; None if neither of its lengths is known."""
    room = None if model.context_length is None else max(0, model.context_length - requirements.prompt_tokens)
    return min((length for length in (room, model.max_completion_tokens) if length is not None), default=None)


def beyond(requirements: Requirements, refused: Model | None, models: Sequence[Model]) -> Requirements:
    """The requirements after a model refused a request for its length.

    `refused` is None if the response named no model. Then the smallest of `models` counts as the refusing one.
    """
    known = [model.context_length for model in models if model.context_length is not None]
    said = refused.context_length if refused is not None else min(known, default=None)
    bounds = [bound for bound in (said, requirements.context_above) if bound is not None]
    return replace(requirements, context_above=max(bounds, default=None))


def larger(models: Sequence[Model], refused: Model | None) -> tuple[Model, ...]:
    """The models with a larger context than the model that refused. An unknown context does not count as larger."""
    above = beyond(Requirements(), refused, models).context_above
    return tuple(model for model in models if above is not None and (model.context_length or 0) > above)


def why_none(
    catalogue: Sequence[Model], requirements: Requirements, policy: RoutingPolicy, today: date
) -> tuple[str, ...]:
    """The reasons why no free model is eligible, each with its number of models, the most frequent first."""
    reasons: dict[str, int] = {}
    for model in offer(catalogue, policy):
        reason = refusal(model, requirements, policy, today)
        if reason is not None and (policy.any_model or is_free_id(model.id)):
            reasons[reason] = reasons.get(reason, 0) + 1
    for each in sorted(set(policy.ids or ()) - {model.id for model in offer(catalogue, policy)}):
        reasons[f"{each} is not in the catalogue"] = 1
    return tuple(f"{n} × {reason}" for reason, n in sorted(reasons.items(), key=lambda item: -item[1]))


def abilities(model: Model) -> tuple[str, ...]:
    """The abilities of a model, in the words of `batchfree models --requires`."""
    inputs = [word for kind, word in INPUT_ABILITIES.items() if kind in model.input_modalities]
    return (*inputs, *(word for name, word in ABILITIES.items() if name in model.parameters))
