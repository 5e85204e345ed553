"""What the service offers to a job: the quota, and the models that may answer. Asking costs no request of the quota."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from batchfree.core.errors import UnavailableError
from batchfree.core.stops import Stopped
from batchfree.job.endpoint import Endpoint
from batchfree.job.models_report import model_entries
from batchfree.job.own_route import with_route
from batchfree.job.row_survey import RowSurvey
from batchfree.jobspec.job import Job
from batchfree.service.connection import Connection, Transport, connect, find_api_key
from batchfree.service.quota.account import QuotaUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What the service offers: the quota, and the models that may answer."""

    usage: QuotaUsage | None = None
    reserve: int = 0
    models: Sequence[str] = ()
    refused: int = 0
    catalogue_at: float | None = None
    warnings: Sequence[str] = ()


async def ask_service(job: Job, survey: RowSurvey, clock: Callable[[], float], transport: Transport) -> Market:
    """What the service offers to the rows of `survey`; a service out of reach is a warning. `clock` in epoch seconds.

    Raises StorageError. A cancellation closes the connection.
    """
    spec = job.spec
    if spec.endpoint.is_llama:  # asking it would mean to start it
        return Market(models=spec.router.route or ())
    warnings = list[str]()
    async with connect(spec.endpoint, job.environment, clock, transport=transport) as connection:
        routed = await with_route(spec, connection, warnings.append)
        if isinstance(routed, Stopped):
            return Market(warnings=[routed.message])
        job, spec = replace(job, spec=routed), routed
        limits = Endpoint(spec=spec, connection=connection).limits
        if limits.per_day is not None:
            warnings.extend(await _refresh_quota(job, connection))
        try:
            models = await connection.catalogue.models()
        except UnavailableError as error:
            models = ()
            warnings.append(str(error))
        entries = model_entries(models, survey.needs, job, clock())
        able = tuple(entry.model.id for entry in entries if entry.reason is None)
        return Market(
            usage=None if limits.per_day is None and limits.per_minute is None else connection.ledger.usage(limits),
            reserve=limits.reserve,
            models=able,
            refused=len(entries) - len(able),
            catalogue_at=connection.catalogue.fetched_at,
            warnings=warnings,
        )


async def _refresh_quota(job: Job, connection: Connection) -> list[str]:
    """Asks for the daily quota. Returns a warning if the answer is not that of the job's account."""
    endpoint = job.spec.endpoint
    if endpoint.is_openrouter and find_api_key(endpoint, job.environment) is None:
        return ["no API key: the quota is that of a new account"]
    failure = await connection.refresh_quota()
    return [] if failure is None else [f"the service does not say what is left of the quota: {failure.message}"]
