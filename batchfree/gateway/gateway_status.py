"""The state of the gateway for `GET /status`: quota, queue, models with their health, batches. No call's contents."""

from __future__ import annotations

from collections import Counter

from batchfree.core.chat import JsonObject
from batchfree.core.text import iso
from batchfree.core.version import __version__
from batchfree.gateway.batches.batch_record import BatchRecord
from batchfree.gateway.gateway import Gateway
from batchfree.service.routing import Health
from batchfree.service.routing.health import failing_share

MOST_BATCHES = 50
"""Most batches that are shown, the newest first."""


async def gateway_status(gateway: Gateway) -> JsonObject:
    """The value of `/status`, from facts that are known already. It sends no request."""
    now, failover = gateway.clock(), gateway.failover
    requests = [
        {"model": model, "result": result, "count": count}
        for (model, result), count in sorted(gateway.counts.requests.items())
    ]
    return {
        "version": __version__,
        "endpoint": gateway.endpoint.spec.endpoint.base_url,
        "now": iso(now),
        "started_at": iso(gateway.began),
        "quota": (await gateway.usage()).to_json(),
        "queue": {"waiting": gateway.queue.waiting, "in_flight": gateway.queue.in_flight},
        "closed": None if failover.closed is None else failover.closed.message,
        "calls": dict(sorted(gateway.counts.calls.items())),
        "call_seconds": round(gateway.counts.seconds, 3),
        "requests": requests,
        "models": _models(gateway, now),
        "batches": [_batch(gateway, record) for record in gateway.batches.all()[:MOST_BATCHES]],
    }


def _models(gateway: Gateway, now: float) -> list[JsonObject]:
    """The models that may answer, and those that were asked, each with its health and its requests."""
    asked, answered = Counter[str](), Counter[str]()
    for (model, result), count in gateway.counts.requests.items():
        asked[model] += count
        answered[model] += count if result == "ok" else 0
    names = sorted({*gateway.eligible_now(), *gateway.shelf.health, *asked})
    return [
        {
            "id": name,
            **_health(gateway.shelf.health.get(name, Health()), now),
            "requests": asked[name],
            "answers": answered[name],
        }
        for name in names
    ]


def _health(health: Health, now: float) -> JsonObject:
    rests = health.rests_until > now
    state = (
        "gone" if rests and health.gone else "resting" if rests else "trial" if health.trial_until > now else "ready"
    )
    return {
        "state": state,
        "until": iso(health.rests_until) if rests else None,
        "failing": round(failing_share(health, now), 3),
    }


def _batch(gateway: Gateway, record: BatchRecord) -> JsonObject:
    shown = gateway.runner.now(record)
    job = gateway.runner.running.get(record.id)
    return {
        "id": record.id,
        "status": record.status,
        "model": record.route,
        "created_at": iso(record.created_at),
        "total": shown.counts.total,
        "completed": shown.counts.completed,
        "failed": shown.counts.failed,
        "waiting_for": None if job is None else job.progress.waiting_for,
        "until": None if job is None else iso(job.progress.until),
    }
