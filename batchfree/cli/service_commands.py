"""The commands that ask the service but spend no request of the quota: plan, models and quota."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

import anyio

from batchfree.cli.arguments import Arguments, JobArguments, ModelsArguments
from batchfree.cli.load_job import endpoint_of, environment_of, load_job, load_optional_job
from batchfree.cli.terminal import print_json, print_result, say, wrapped
from batchfree.core.chat import Failure, Kind
from batchfree.core.errors import UnavailableError
from batchfree.core.stops import NEEDS_A_PERSON, OK, Stopped
from batchfree.job.endpoint import Endpoint
from batchfree.job.models_report import ModelEntry, model_entries, needs_with, requirements
from batchfree.job.open_job import open_job
from batchfree.job.own_route import is_out_of_reach, with_route
from batchfree.jobspec import JobSpec
from batchfree.service.connection import Connection, connect, find_api_key, missing_key
from batchfree.service.quota.limits import FREE, Limits
from batchfree.service.routing import Model


def models(arguments: ModelsArguments) -> int:
    """Prints the free models, and for those that may not answer the reason."""
    needed = requirements(arguments.requires)
    job = load_optional_job(arguments)
    endpoint, variables = endpoint_of(arguments, job), environment_of(arguments, job)

    async def ask() -> list[ModelEntry] | None:
        async with connect(endpoint, variables, time.time, say=say) as connection:
            own = endpoint.is_own or endpoint.is_llama
            needs = needs_with(needed, None if job is None else open_job(job.spec))
            listed = await _listed(connection, anew=own)
            return None if listed is None else model_entries(listed, needs, job, time.time(), own_endpoint=own)

    found = anyio.run(ask)
    if found is None:
        return NEEDS_A_PERSON
    if arguments.json:
        print_json([offer.to_json() for offer in found])
        return OK
    for line in _model_lines(found):
        for part in wrapped(line):
            print_result(part)
    return OK


async def _listed(connection: Connection, *, anew: bool) -> Sequence[Model] | None:
    """The models that the service lists; None if it refuses, after printing why. Raises UnavailableError."""
    catalogue = connection.catalogue
    try:
        return await (catalogue.latest() if anew else catalogue.models())
    except UnavailableError as error:
        failure = catalogue.last_failure
        if failure is None or failure.status is None or not 400 <= failure.status < 500 or failure.status in (408, 429):
            raise
        say(f"error: {error}")
        return None


def _model_lines(found: Sequence[ModelEntry]) -> Iterator[str]:
    width = max((len(offer.model.id) for offer in found), default=0)
    for offer in found:
        health = offer.health.note()
        context = offer.model.context_length
        size = f"{context // 1000:>5}k" if context else "     ?"
        text = (
            ", ".join(offer.abilities) or "abilities are not listed" if offer.reason is None else f"no: {offer.reason}"
        )
        yield f"{offer.model.id:<{width}}  {size}  {text}" + (f"  [{health}]" if health else "")
    eligible = sum(offer.reason is None for offer in found)
    yield f"{eligible} of {len(found)} may answer"


def plan(arguments: JobArguments) -> int:
    """Prints what a run would take; sends no request of the quota."""
    from batchfree.cli.print_plan import print_plan
    from batchfree.job.plan import plan as plan_of

    found = anyio.run(plan_of, load_job(arguments.job, arguments), time.time)
    if arguments.json:
        print_json(found.to_json())
        return OK
    for warning in found.warnings:
        say(f"warning: {warning}")
    print_plan(found, time.time())
    return OK


def quota(arguments: Arguments) -> int:
    """Prints what is left in this minute and this UTC day, and which jobs used the rest."""
    job = load_optional_job(arguments)
    endpoint, variables = endpoint_of(arguments, job), environment_of(arguments, job)
    if endpoint.is_openrouter and find_api_key(endpoint, variables) is None:
        say(f"error: {missing_key(endpoint, variables)}")
        return NEEDS_A_PERSON

    async def ask() -> int:
        async with connect(endpoint, variables, time.time, say=say) as connection:
            unreached = await _out_of_reach(connection) if endpoint.is_own else None
            limits = await _limits(job.spec, connection) if job else Limits() if endpoint.embedded else FREE
            failure = unreached or (None if limits.per_day is None else await connection.refresh_quota())
            if failure is not None and failure.kind is Kind.KEY_REFUSED:
                say(f"error: {failure.message}")
                return NEEDS_A_PERSON
            if failure is not None:
                if job is not None or not endpoint.is_own or failure.status != 404:  # other servers have no such path
                    say(
                        f"warning: the service does not say what is left ({failure.message}). "
                        "The numbers below are batchfree's own count on this machine."
                    )
                limits = limits if job is not None or endpoint.is_openrouter else Limits()
            unlimited = "no limit" if unreached is None else "out of reach"
            _print_usage(connection, limits, unlimited, as_json=arguments.json)
            return OK

    return anyio.run(ask)


async def _out_of_reach(connection: Connection) -> Failure | None:
    """Why a server of the user's own can't be reached; None if it sends any response."""
    with suppress(UnavailableError):
        await connection.catalogue.latest()
    failure = connection.catalogue.last_failure
    return failure if is_out_of_reach(failure) else None


async def _limits(spec: JobSpec, connection: Connection) -> Limits:
    """The limits of a job, which may depend on the models that the server lists."""
    routed = await with_route(spec, connection, lambda warning: None)
    return Endpoint(spec=spec if isinstance(routed, Stopped) else routed, connection=connection).limits


def _print_usage(connection: Connection, limits: Limits, unlimited: str, *, as_json: bool) -> None:
    usage = connection.ledger.usage(limits)
    value = usage.to_json() | {"ledger": connection.ledger.name}
    if as_json:
        print_json(value)
        return
    for name, part in (("this UTC day", value["day"]), ("this minute", value["minute"])):
        limit = unlimited if part["limit"] is None else f"{part['left']:,} of {part['limit']:,} left"
        print_result(f"{name}: {limit}, {part['used']:,} used, resets at {part['resets_at']}")
    print_result(f"ledger: {value['ledger']}")
    for each in value["jobs"]:
        print_result(f"  {each['job']}: {each['today']:,} today")
