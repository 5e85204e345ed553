"""The verdict on an error: the facts about it → a failure, by the tables of `verdict_rules`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from batchfree.core.chat import Failure, Kind
from batchfree.service.openrouter.evidence import Evidence
from batchfree.service.openrouter.lenient import as_count, as_number
from batchfree.service.openrouter.time_hints import gateway_limits, resets_at, retry_after
from batchfree.service.openrouter.verdict_rules import (
    AVAILABILITY,
    LAST_RESORT,
    LIMITS,
    REFUSED_PARAMETERS,
    STATUSES,
    STEPS,
    TYPES,
    Rule,
)

MINUTE_S = 61.0
"""Longest time in seconds until a limit per minute resets, with one second for rounding."""


UNABLE = re.compile(r"support|mandatory|not allowed|unrecogni[sz]ed|not permitted|not available|not enabled", re.I)
UNWILLING = re.compile(r"invalid|must|unknown|unexpected|cannot|can't|exceed|too (large|small|low)", re.I)
CAPABILITY_STATUSES = (400, 404, 422)
TRANSIENT = frozenset({Kind.UPSTREAM_ERROR, Kind.UPSTREAM_RATE_LIMIT})


def verdict(evidence: Evidence) -> Failure:
    """The failure for an error."""
    rule, unsupported = _decide(evidence)
    kind, permanent = rule.kind, rule.gone
    retryable = evidence.availability.get("retryable")
    is_account_limit = kind in (Kind.MINUTE_LIMIT, Kind.DAY_LIMIT)
    if retryable is True:
        permanent = False
    elif retryable is False and kind in TRANSIENT and not evidence.in_reply:
        kind = Kind.MODEL_UNAVAILABLE
    return Failure(
        kind=kind,
        message=evidence.cause or f"the service answered with status {evidence.status}",
        status=evidence.status,
        model=evidence.model,
        provider=evidence.provider,
        retry_after=retry_after(evidence),
        resets_at=resets_at(evidence),
        limit=_named_limit(evidence) if is_account_limit else None,
        permanent=permanent,
        unsupported=unsupported,
    )


def _decide(evidence: Evidence) -> tuple[Rule, str | None]:
    """The first rule that fits, and the request parameter that the error refuses, if any."""
    firm = _first((*LIMITS, *AVAILABILITY, *STEPS, *TYPES, *STATUSES), evidence)
    capable = evidence.status in CAPABILITY_STATUSES and (firm is None or firm.kind is Kind.MODEL_UNAVAILABLE)
    parameter = _refused_parameter(evidence) if capable and not (firm and firm.gone) else None
    if firm is None and parameter is not None:
        return Rule(Kind.MODEL_UNAVAILABLE), parameter
    return firm or _first((_rule_for_bare_429(evidence), *LAST_RESORT), evidence) or Rule(Kind.BAD_RESPONSE), parameter


def _first(rules: Iterable[Rule], evidence: Evidence) -> Rule | None:
    return next((rule for rule in rules if rule.fits(evidence)), None)


def _rule_for_bare_429(evidence: Evidence) -> Rule:
    """The rule for a 429 without useful text: with rate-limit headers it is the account's limit, else a provider's."""
    limited = any(as_number(evidence.limit_header(f"x-ratelimit-{name}")) is not None for name in ("limit", "reset"))
    is_ours = limited or bool(gateway_limits(evidence)) or not evidence.readable
    return Rule(Kind.MINUTE_LIMIT if is_ours else Kind.UPSTREAM_RATE_LIMIT, (429,))


def _named_limit(evidence: Evidence) -> int | None:
    """The limit that a 429 names. OpenAI's header may be about any window: it counts if it is used up for a minute."""
    named = as_count(evidence.limit_header("x-ratelimit-limit"))
    if named is not None:
        return named
    limits = (each for each in gateway_limits(evidence) if each.what == "requests")
    return next((each.allowed for each in limits if each.remaining == 0 and each.resets_in <= MINUTE_S), None)


def _refused_parameter(evidence: Evidence) -> str | None:
    """The request parameter that the provider or model does not accept, according to the text."""
    if evidence.error_type == "max_tokens_exceeded":
        return "max_tokens"
    said = UNABLE.search(evidence.text) or (UNWILLING.search(evidence.text) if evidence.upstream else None)
    if said is None:
        return None
    return next((name for name, says in REFUSED_PARAMETERS if re.search(says, evidence.text, re.I)), None)
