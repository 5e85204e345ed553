"""`GET /key`: the quota of the account in the shape of OpenRouter, as the ledger of this machine knows it.

Source: OpenRouter's SDK 1.3.84, the response of `GET /key`. Amounts of money are 0, since nothing here costs any.
"""

from __future__ import annotations

from batchfree.core.chat import JsonObject

UNLIMITED = 1_000_000_000
"""The limit of an endpoint that has none; the SDK wants a number."""
SPANS = ("", "_daily", "_weekly", "_monthly")


def key_shape(*, limit: int | None, used: int, left: int | None) -> JsonObject:
    """The response for the requests of the UTC day; None if there is no limit."""
    limit = UNLIMITED if limit is None else limit
    day = {"limit": limit, "used": used, "remaining": limit if left is None else left}
    return {
        "data": {
            "label": "batchfree serve",
            "limit": None,
            "limit_remaining": None,
            "limit_reset": None,
            "include_byok_in_limit": False,
            **{f"{kind}usage{span}": 0 for kind in ("", "byok_") for span in SPANS},
            "is_free_tier": limit < 1000,
            "is_management_key": False,
            "is_provisioning_key": False,
            "free_model_daily_requests": day,
            "rate_limit": {"requests": -1, "interval": "10s", "note": "This field is deprecated and safe to ignore."},
            "expires_at": None,
            "creator_user_id": None,
            "organization_id": None,
            "workspace_id": None,
            "allowed_data_regions": [],
            "budgets": [],
            "effective_budget": None,
        }
    }
