"""The rules of verdicts: tables from the facts about an error to a kind of failure.

Sources: OpenRouter docs (errors page, limits page, router metadata page) and texts of recorded traffic. The first rule
that fits decides, so rules on precise facts come first: the source of a limit, `availability` (which the docs
recommend), the failed routing step, the error type, then words in the text, and the status alone at the end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from batchfree.core.chat import Kind
from batchfree.service.openrouter.evidence import Evidence
from batchfree.service.openrouter.lenient import as_list, as_text
from batchfree.service.openrouter.time_hints import retry_after

GONE = True


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a table. All conditions that are set must fit.

    `says` is searched in the text of the error; `marks` are keys of the metadata of which one must be set; `hinted`
    requires a waiting time; `gone` means that the model will not come back today.
    """

    kind: Kind
    statuses: tuple[int, ...] = ()
    says: str = ""
    types: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    available: tuple[str, ...] = ()
    excluded: str = ""
    upstream: bool | None = None
    hinted: bool = False
    in_reply: bool | None = None
    readable: bool | None = None
    gone: bool = False

    def fits(self, it: Evidence) -> bool:
        """Whether all conditions of the rule fit the error."""
        meta = it.metadata
        excluded = " ".join(as_text(each) or "" for each in as_list(it.availability.get("excluded_by")))
        return (
            (not self.statuses or it.status in self.statuses)
            and (not self.says or re.search(self.says, it.text, re.IGNORECASE) is not None)
            and (not self.types or it.error_type in self.types)
            and (not self.sources or meta.get("limit_source") in self.sources or meta.get("reason") in self.sources)
            and (not self.steps or meta.get("failed_routing_step") in self.steps)
            and (not self.marks or any(meta.get(mark) for mark in self.marks))
            and (not self.available or it.availability.get("code") in self.available)
            and (not self.excluded or re.search(self.excluded, excluded) is not None)
            and self.upstream in (None, it.upstream)
            and (not self.hinted or retry_after(it) is not None)
            and self.in_reply in (None, it.in_reply)
            and self.readable in (None, it.readable)
        )


LIMITS = (
    Rule(Kind.DAY_LIMIT, sources=("openrouter_free_tier_daily",)),
    Rule(Kind.MINUTE_LIMIT, sources=("openrouter_free_tier_per_minute",)),
    Rule(Kind.UPSTREAM_RATE_LIMIT, sources=("upstream_provider_shared_pool",)),
    Rule(Kind.UPSTREAM_RATE_LIMIT, sources=("openrouter_in_flight_budget", "in_flight_budget_exhausted")),
    Rule(
        Kind.CREDITS_OWED,
        (402, 403, 429),
        sources=(
            *("openrouter_credits", "openrouter_key_limit"),
            *("openrouter_guardrail_budget", "openrouter_workspace_budget"),
        ),
    ),
    Rule(Kind.DAY_LIMIT, (429,), says=r"free-models-per-day"),
    Rule(Kind.MINUTE_LIMIT, (429,), says=r"free-models-per-min"),
    Rule(Kind.UPSTREAM_RATE_LIMIT, (429,), says=r"limit_rp[md]|rate-limited upstream|high demand"),
    Rule(Kind.UPSTREAM_RATE_LIMIT, (429,), upstream=True),
    Rule(Kind.UPSTREAM_RATE_LIMIT, (429,), available=("capacity_exhausted",)),
    Rule(Kind.UPSTREAM_RATE_LIMIT, (429,), in_reply=True),
)

AVAILABILITY = (
    Rule(Kind.PRIVACY_SETTING, available=("privacy_restricted",)),
    Rule(Kind.PRIVACY_SETTING, available=("constraint_filtered", "no_endpoints"), excluded=r"data_policy|data_region"),
    Rule(Kind.CONTEXT_LENGTH, available=("constraint_filtered", "no_endpoints"), excluded=r"context_length"),
    Rule(Kind.MODEL_UNAVAILABLE, available=("constraint_filtered",)),
    Rule(
        Kind.MODEL_UNAVAILABLE,
        available=(
            *("model_not_found", "wrong_endpoint", "no_endpoints", "model_deprecated", "free_variant_ended"),
            *("region_restricted", "model_unavailable_upstream"),
        ),
        gone=GONE,
    ),
    Rule(Kind.UPSTREAM_RATE_LIMIT, available=("capacity_exhausted",)),
    Rule(Kind.UPSTREAM_ERROR, available=("temporarily_unavailable",)),
)

STEPS = (
    Rule(Kind.PRIVACY_SETTING, steps=("Filter by Data Policy",)),
    Rule(Kind.MODEL_UNAVAILABLE, steps=("Gate Free Endpoints by Agentic Harness",), gone=GONE),
    Rule(Kind.MODEL_UNAVAILABLE, steps=("Gate Endpoints with Attestations",), gone=GONE),
    Rule(Kind.MODEL_UNAVAILABLE, steps=("Filter by Guardrails", "Filter by Max Price"), gone=GONE),
    Rule(Kind.MODEL_UNAVAILABLE, steps=("Filter by Parameters", "Filter by Tool Compatibility")),
)

TYPES = (
    Rule(Kind.CONTEXT_LENGTH, types=("context_length_exceeded", "token_limit_exceeded", "string_too_long")),
    Rule(Kind.MODEL_UNAVAILABLE, types=("max_tokens_exceeded",)),
    Rule(Kind.CONTENT_POLICY, types=("content_policy_violation", "content_filter", "moderation")),
    Rule(Kind.REFUSED, types=("refusal",)),
    Rule(
        Kind.INVALID_REQUEST,
        types=(
            *("invalid_image", "image_too_large", "image_too_small", "unsupported_image_format"),
            *("image_download_failed", "image_not_found", "invalid_prompt"),
        ),
    ),
    Rule(Kind.UPSTREAM_ERROR, types=("provider_overloaded", "provider_unavailable")),
)

STATUSES = (
    Rule(Kind.MODEL_UNAVAILABLE, (401, 402), upstream=True),
    Rule(Kind.KEY_REFUSED, (401,)),
    Rule(Kind.UPSTREAM_RATE_LIMIT, (402,), hinted=True),
    Rule(Kind.CREDITS_OWED, (402,)),
    Rule(Kind.CONTENT_POLICY, (403,), marks=("patterns", "reasons", "flagged_input")),
    Rule(Kind.MODEL_UNAVAILABLE, (403,), marks=("missing_attestation_types",), gone=GONE),
    Rule(Kind.MODEL_UNAVAILABLE, (403,), says=r"agentic harness", gone=GONE),
    Rule(Kind.MODEL_UNAVAILABLE, (400, 403), says=r"location is not supported|in your (region|country)", gone=GONE),
    Rule(Kind.MODEL_UNAVAILABLE, (403,), says=r"\bregion\b|country", gone=GONE),
    Rule(Kind.MODEL_UNAVAILABLE, (403,), says=r"terms of service|banned|attestation"),
    Rule(Kind.CREDITS_OWED, (403,), says=r"(key|budget|spend\w*|usage) limit|budget .{0,20}exceeded", upstream=False),
    Rule(Kind.KEY_REFUSED, (403,), says=r"api[ _-]?key|credentials|unauthori[sz]ed", upstream=False),
    Rule(Kind.CONTENT_POLICY, (403,), says=r"moderation|flagged|guardrail|content policy|blocked by"),
    Rule(Kind.PRIVACY_SETTING, (404,), says=r"data policy|settings/privacy"),
    Rule(Kind.BAD_RESPONSE, (400, 403, 404), readable=False),
    Rule(Kind.MODEL_UNAVAILABLE, (403,)),
    Rule(Kind.MODEL_UNAVAILABLE, (404,), says=r"support (tool|image|audio|file|video)|modalit|requested parameters"),
    Rule(Kind.MODEL_UNAVAILABLE, (404,), gone=GONE),
    Rule(Kind.MODEL_UNAVAILABLE, (400,), says=r"not a valid model|model .{0,80}(does not exist|not found)", gone=GONE),
    Rule(Kind.INVALID_REQUEST, (400,), says=r"'models' array"),
    Rule(
        Kind.CONTEXT_LENGTH,
        (400, 413, 422),
        says=r"context (length|window|size)|(prompt|input|request) is too long|too many (input )?tokens|"
        r"input token count|reduce the length",
    ),
    Rule(
        Kind.CONTEXT_LENGTH,
        (500,),
        says=r"exceed\w* .{0,40}context (length|window|size)|context (length|window|size) .{0,20}exceeded",
    ),
    Rule(Kind.MODEL_UNAVAILABLE, (413,), says=r"tokens per (minute|day)"),
    Rule(
        Kind.CONTENT_POLICY,
        (400, 422),
        says=r"content[ _]?(policy|management|filter)|safety system|inappropriate|data_inspection|flagged as|"
        r"prohibited content|sensitive",
    ),
)

LAST_RESORT = (
    Rule(Kind.MODEL_UNAVAILABLE, (400, 413, 422), upstream=True),
    Rule(Kind.INVALID_REQUEST, (400, 412, 413, 422)),
    Rule(Kind.TIMEOUT, (408, 504, 524)),
    Rule(Kind.MINUTE_LIMIT, (429,), readable=False),
    Rule(Kind.UPSTREAM_ERROR, upstream=True),
    Rule(Kind.UPSTREAM_ERROR, tuple(range(500, 600))),
    Rule(Kind.BAD_RESPONSE),
)

REFUSED_PARAMETERS = (
    ("response_format", r"response[ _]format|json[ _](schema|object|mode)|structured[ _]outputs?|guided"),
    ("tool_choice", r"tool[ _]choice"),
    ("parallel_tool_calls", r"parallel[ _]tool"),
    ("tools", r"\btools?\b|function calling"),
    ("reasoning", r"reasoning|thinking"),
    ("max_tokens", r"max[ _](completion[ _]|output[ _])?tokens"),
    ("top_logprobs", r"top_logprobs"),
    ("logprobs", r"logprobs"),
    *((name, rf"\b{name}\b") for name in ("temperature", "top_p", "top_k", "min_p", "top_a", "seed", "stop")),
    *((name, rf"\b{name}\b") for name in ("frequency_penalty", "presence_penalty", "repetition_penalty")),
    *((name, rf"\b{name}\b") for name in ("logit_bias", "verbosity", "prediction")),
)
