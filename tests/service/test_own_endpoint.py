"""What a 429 of the user's own server means."""

from __future__ import annotations

import pytest

from batchfree.core.chat import Failure, Kind
from batchfree.service.openrouter.judge import judge
from batchfree.service.own_endpoint import on_own_endpoint

NOW = 1_800_000_000.0
LITELLM = "litellm.RateLimitError: No deployments available for selected model"


@pytest.mark.parametrize(
    ("headers", "message", "kind", "seconds"),
    [
        ({"retry-after": "3"}, "slow down", Kind.MINUTE_LIMIT, 3),
        ({"retry-after-ms": "2500"}, "slow down", Kind.MINUTE_LIMIT, 2.5),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "9s"}, "slow down", Kind.MINUTE_LIMIT, 9),
        ({}, "Rate limit reached for requests", Kind.MINUTE_LIMIT, None),
        ({}, "Too Many Requests", Kind.MINUTE_LIMIT, None),
        ({"llm_provider-retry-after": "60"}, f"{LITELLM}. Passed model=small", Kind.MINUTE_LIMIT, 60),
        ({"retry-after": "5"}, f"{LITELLM}, Try again in 5 seconds. cooldown_list=['1']", Kind.UPSTREAM_RATE_LIMIT, 5),
        ({}, "Model is overloaded", Kind.UPSTREAM_RATE_LIMIT, None),
        ({"retry-after": "5000"}, "slow down", Kind.DAY_LIMIT, 5000),
        ({}, "Limit reached: 200 requests per day", Kind.DAY_LIMIT, None),
    ],
)
def test_a_429_is_a_limit_unless_the_server_says_that_it_is_busy(
    headers: dict[str, str], message: str, kind: Kind, seconds: float | None
) -> None:
    body = b'{"error": {"message": "%s", "code": "429"}}' % message.encode()
    failure = on_own_endpoint(judge(429, headers, body), "small", NOW)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.retry_after) == (kind, seconds)


def test_a_timeout_says_what_to_do() -> None:
    failure = on_own_endpoint(Failure(kind=Kind.TIMEOUT, message="no complete response within 120 s"), "small", NOW)
    assert isinstance(failure, Failure)
    assert "within 120 s; if the server is slow, raise retry.timeout" in failure.message
