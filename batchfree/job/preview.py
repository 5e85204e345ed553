"""What a job would send, and what is wrong with it; nothing is sent."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from batchfree import answers
from batchfree.answers import packs as packing
from batchfree.core.chat import ChatRequest, Failure, JsonObject
from batchfree.core.errors import Mistake, MistakesError
from batchfree.core.routes import LOCAL
from batchfree.data import output as results
from batchfree.job.open_job import OpenJob, open_job
from batchfree.jobspec.job import Job
from batchfree.service.openrouter import wire

SEED = 0
"""Pack codes of a preview are always the same."""
DRAWN = "drawn/when-it-is-sent:free"
"""Stands for the model of a request whose model is drawn by batchfree."""


def bodies(job: Job, rows: int, unrenderable: Callable[[int, str], None]) -> list[JsonObject]:
    """The request bodies of the first rows, packed as a run would pack them. `unrenderable` hears of rows (counted
    from zero) that can't be rendered, and why. Raises SpecError and DatasetError."""
    opened = open_job(job.spec)
    rendered = []
    for number, request in enumerate(opened.requests(rows)):
        if isinstance(request, Failure):
            unrenderable(number, request.message)
        else:
            rendered.append(request)
    rng = random.Random(SEED)
    return [_body(opened, parcel, rng) for parcel in _parcels(opened, rendered)]


def _parcels(opened: OpenJob, requests: Sequence[ChatRequest]) -> Iterator[list[ChatRequest]]:
    """The requests as they would travel: together where they ask alike, up to the size of a pack."""
    size = packing.first_sizes(opened.spec.pack).start
    groups: dict[str, list[ChatRequest]] = {}
    for request in requests:
        key = packing.company_key(request, opened.rule)
        if size == 1 or not isinstance(key, str):
            yield [request]
            continue
        group = groups.setdefault(key, [])
        group.append(request)
        if len(group) == size:
            yield groups.pop(key)
    yield from groups.values()


def _body(opened: OpenJob, parcel: Sequence[ChatRequest], rng: random.Random) -> JsonObject:
    rule, route = opened.rule, opened.spec.router.route
    native = answers.wants_native(rule, packed=len(parcel) > 1)
    if len(parcel) == 1:
        request = answers.compose(parcel[0], rule, native=native)
    else:
        request = packing.compose(parcel, packing.draw_codes(len(parcel), rng), rule, native=native)
    model = DRAWN if route == (LOCAL,) else route[0]
    return wire.body(request, [model], any_model=not opened.spec.endpoint.is_openrouter)


def mistakes(job: Job) -> list[Mistake]:
    """Everything that is wrong with the input, the templates, and the place of the table."""
    found: list[Mistake] = []
    try:
        opened = open_job(job.spec)
        found.extend(opened.dataset.check())
        results.check_names(job.spec, opened.dataset.schema)
    except MistakesError as error:
        found.extend(error.mistakes)
    try:
        results.check_writable(job.spec.output.path)
    except MistakesError as error:
        found.extend(error.mistakes)
    return found
