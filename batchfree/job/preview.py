"""The requests that a job would send. Nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from batchfree import answers
from batchfree.core.chat import Failure, JsonObject
from batchfree.core.routes import LOCAL
from batchfree.job.endpoint import retry_policy, routing_policy
from batchfree.job.open_job import OpenJob, open_job
from batchfree.jobspec.job import Job
from batchfree.journal.question_state import QuestionState
from batchfree.journal.questions import Question, digest
from batchfree.run.outgoing import write_request
from batchfree.run.packer import Packer, in_parcels
from batchfree.run.tasks import Parcel, Task
from batchfree.service.openrouter import wire

Warn: TypeAlias = Callable[[str], None]

SALT = "preview"
"""The pack codes of a preview are always the same."""
DRAWN = "drawn/when-it-is-sent:free"
"""Stands for a model that batchfree will draw when it sends the request."""
LISTED = "the one that the server lists"
"""Stands for the model on a server of the user's own, if the job names none."""


def bodies(
    job: Job, rows: int, unrenderable: Callable[[int, str], None], warn: Warn = lambda warning: None
) -> list[JsonObject]:
    """The request bodies of the first rows, packed as a run would pack them.

    `unrenderable` is called with the number (from zero) of each row that cannot be rendered, and the reason; `warn`
    with what may be a mistake. Raises SpecError and DatasetError.
    """
    opened = open_job(job.spec)
    for warning in opened.warnings():
        warn(warning)
    packer = Packer(opened.rule, job.spec.pack, lambda warning: None)
    return [_body(opened, parcel) for parcel in in_parcels(_tasks(opened, rows, unrenderable), packer)]


def _tasks(opened: OpenJob, rows: int, unrenderable: Callable[[int, str], None]) -> Iterator[Task]:
    for number, request in enumerate(opened.requests(rows)):
        if isinstance(request, Failure):
            unrenderable(number, request.message)
        else:
            question = Question(digest=digest(request, opened.rule), request=request, row=number)
            yield Task(question=question, state=QuestionState())


def _body(opened: OpenJob, parcel: Parcel) -> JsonObject:
    rule, route, spec = opened.rule, opened.spec.router.route, opened.spec
    native = answers.wants_native(rule, packed=len(parcel) > 1, own=routing_policy(spec).own_models)
    request = write_request(parcel, rule, retry_policy(spec), native=native, salt=SALT).request
    model = LISTED if route is None else DRAWN if route == (LOCAL,) else route[0]
    return wire.body(request, [model], any_model=not spec.endpoint.is_openrouter)
