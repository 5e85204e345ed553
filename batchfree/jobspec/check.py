"""Rules about several keys of a job spec, or about the meaning of a value.

A rule is skipped if a value that it needs is already known to be wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from pydantic import ValidationError

from batchfree.core.chat import JsonObject
from batchfree.core.routes import FREE_ROUTER, LOCAL, ROUTERS
from batchfree.core.text import KeyPath
from batchfree.core.urls import LLAMA
from batchfree.jobspec.draft import Draft, Finding, Origin
from batchfree.jobspec.rules.base_url import base_url_complaints
from batchfree.jobspec.rules.chat_messages import FIRST_ROLES
from batchfree.jobspec.rules.free_routes import route_complaints
from batchfree.jobspec.rules.outputs import output_complaints, overwriting
from batchfree.jobspec.rules.request_parameters import RequestParameters, near_parameter, refusals
from batchfree.jobspec.schema import JobSpec
from batchfree.jobspec.type_errors import blame_all


def check_rules(draft: Draft, spec: JobSpec) -> None:
    """Tries every rule whose keys have no mistake yet, and blames the values that break it."""
    for rule, looks_at in RULES.items():
        if not any(draft.broken(tuple(key.split("."))) for key in looks_at):
            for finding in list(rule(spec)):
                draft.blame(finding.path, finding.message)


def parameter_complaints(parameters: JsonObject) -> list[str]:
    """What is wrong with the parameters of one request, such as those in the body of an OpenAI batch request."""
    origin = Origin(file="body")
    draft = Draft("body", parameters, {(): origin, **{(name,): origin for name in parameters}})
    try:
        RequestParameters.model_validate_json(json.dumps(parameters))
    except ValidationError as error:
        blame_all(draft, error)
    for name, message in refusals(parameters):
        draft.blame((name,), message)
    return [f"{mistake.key}: {mistake.message}" for mistake in draft.mistakes]


def _paths(spec: JobSpec) -> Iterator[Finding]:
    places: list[tuple[KeyPath, str]] = [(("input", "path"), path) for path in spec.input.path]
    places += [(("output", "path"), str(spec.output.path)), (("run_dir",), str(spec.run_dir))]
    for key, path in places:
        if any(ord(character) < ord(" ") for character in path):
            yield Finding(key, "a path can't hold control characters; leave them out")


def _name(spec: JobSpec) -> Iterator[Finding]:
    name = spec.name
    if name in (".", "..") or any(sign in name for sign in "/\\") or not name.isprintable() or name != name.strip():
        advice = "no slashes, no control characters, no spaces around it"
        yield Finding(("name",), f"the name is also that of a folder: {advice}")


def _one_way_to_ask(spec: JobSpec) -> Iterator[Finding]:
    if spec.prompt is not None and spec.messages is not None:
        yield Finding(("messages",), "`prompt` and `messages` contradict each other; keep one of them")


def _one_first_message(spec: JobSpec) -> Iterator[Finding]:
    if spec.system and spec.messages and spec.messages[0].get("role") in FIRST_ROLES:
        both = "`system` and the first message of `messages` are both system messages"
        yield Finding(("system",), f"{both}; keep one of them")


def _one_kind_of_answer(spec: JobSpec) -> Iterator[Finding]:
    if spec.answer.labels is not None and spec.answer.schema_ is not None:
        yield Finding(("answer", "schema"), "`labels` and `schema` contradict each other; keep one of them")


def _labels(spec: JobSpec) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for index, label in enumerate(spec.answer.labels or ()):
        path: KeyPath = ("answer", "labels", index)
        plain = label.strip().casefold()
        if not plain:
            yield Finding(path, "a label must not be blank")
        elif not label.isprintable():
            yield Finding(path, "a label is one line without tabs and control characters")
        elif plain in first:
            why = "case and spaces around a label don't count"
            yield Finding(path, f"this label equals `{first[plain]}`, since {why}; leave one of them out")
        first.setdefault(plain, label)


def _one_format(spec: JobSpec) -> Iterator[Finding]:
    kind = "labels" if spec.answer.labels is not None else "schema" if spec.answer.schema_ is not None else None
    if kind and spec.request.get("response_format") is not None:
        message = f"`answer.{kind}` decides what is sent as response_format; leave it out here"
        yield Finding(("request", "response_format"), message)


def _pack(spec: JobSpec) -> Iterator[Finding]:
    if spec.pack == 1:
        return
    if spec.answer.labels is None and spec.answer.schema_ is None:
        need = "several rows in one request need `answer.labels` or `answer.schema`"
        yield Finding(("pack",), f"{need}; add one of them, or write pack: 1")
    if spec.request.get("tools"):
        yield Finding(("pack",), "rows with tools can't share a request; write pack: 1, or leave out request.tools")


def _evaluate(spec: JobSpec) -> Iterator[Finding]:
    evaluate = spec.evaluate
    if evaluate is None or evaluate.expected is not None:
        return
    if not evaluate.pack_check:
        yield Finding(("evaluate", "expected"), "this key is required: it names the column of expected values")
    elif evaluate.metric != "exact" or evaluate.field is not None or evaluate.tolerance:
        message = "this key is required: metric, field and tolerance compare answers with expected values"
        yield Finding(("evaluate", "expected"), message)


def _pack_check(spec: JobSpec) -> Iterator[Finding]:
    if spec.pack_checks and spec.pack == 1:
        message = "this asks rows of packs alone as well, and the job has no packs; write pack: 10, or leave it out"
        yield Finding(("evaluate", "pack_check"), message)


def _refused_parameters(spec: JobSpec) -> Iterator[Finding]:
    for name, message in refusals(spec.request):
        yield Finding(("request", name), message)


def _misspelt_parameters(spec: JobSpec) -> Iterator[Finding]:
    """OpenRouter would silently ignore these. Another service may know more parameters."""
    if spec.endpoint.is_openrouter or spec.endpoint.embedded:
        for name in spec.request:
            near = near_parameter(name)
            if near:
                message = f"OpenRouter knows no such parameter; did you mean `request.{near}`?"
                yield Finding(("request", name), message)


def _base_url(spec: JobSpec) -> Iterator[Finding]:
    for complaint in base_url_complaints(spec.endpoint.base_url):
        yield Finding(("endpoint", "base_url"), complaint)


def _llama(spec: JobSpec) -> Iterator[Finding]:
    endpoint = spec.endpoint
    if endpoint.is_llama:
        return
    if endpoint.llama is not None:
        message = "`base_url` and `llama` say two things; keep one of them"
        yield Finding(("endpoint", "llama"), message)
    for key in ("context", "threads"):
        if getattr(endpoint, key) is not None:
            message = f"this is for a model that llama.cpp runs here; leave it out, or write base_url: {LLAMA}"
            yield Finding(("endpoint", key), message)


def _route(spec: JobSpec) -> Iterator[Finding]:
    if spec.router.route is None:
        return
    for complaint in route_complaints(spec.router.route, spec.endpoint.base_url):
        yield Finding(("router", "route"), complaint)


def _output(spec: JobSpec) -> Iterator[Finding]:
    for complaint in output_complaints(str(spec.output.path)):
        yield Finding(("output", "path"), complaint)


def _overwriting(spec: JobSpec) -> Iterator[Finding]:
    for complaint in overwriting(str(spec.output.path), spec.input.path, str(spec.run_dir)):
        yield Finding(("output", "path"), complaint)


def _reserve(spec: JobSpec) -> Iterator[Finding]:
    day = spec.limits.requests_per_day
    if isinstance(day, int) and spec.limits.reserve >= day:
        message = f"this reserves all {day} requests of the day, so none could be sent; write a smaller number"
        yield Finding(("limits", "reserve"), message)


def _votes(spec: JobSpec) -> Iterator[Finding]:
    votes = spec.votes
    if votes.max < votes.min:
        message = f"no row can have at least {votes.min} and at most {votes.max} votes; raise max or lower min"
        yield Finding(("votes", "max"), message)
    if votes.agree > votes.max:
        message = (
            f"an answer can't be {votes.agree} votes ahead with at most {votes.max} votes; raise max or lower agree"
        )
        yield Finding(("votes", "agree"), message)
    if votes.budget is not None and votes.budget < votes.min:
        message = f"every row gets {votes.min} votes, which is more than {votes.budget:g} on average; raise the budget"
        yield Finding(("votes", "budget"), message)


def _voting_route(spec: JobSpec) -> Iterator[Finding]:
    key = "pilot" if spec.pilot is not None and spec.votes.max == 1 else "votes"
    if spec.asks_votes and spec.router.route == (FREE_ROUTER,):
        message = f"`{key}` needs draws that are made here, since {FREE_ROUTER} may draw the same model twice for a row"
        yield Finding(("router", "route"), f"{message}; write `route: {LOCAL}`, or leave the key out")
    ids = [each for each in spec.router.route or () if each not in ROUTERS]
    if ids and len(ids) < spec.votes.min:
        message = f"every row needs {spec.votes.min} votes from different models, and `router.route` names {len(ids)}"
        yield Finding(("votes", "min"), message)


RULES: Mapping[Callable[[JobSpec], Iterator[Finding]], tuple[str, ...]] = {
    _name: ("name",),
    _paths: ("name", "input.path", "output.path", "run_dir"),
    _one_way_to_ask: ("prompt", "messages"),
    _one_first_message: ("system", "messages"),
    _one_kind_of_answer: ("answer.labels", "answer.schema"),
    _labels: (),
    _one_format: ("answer.labels", "answer.schema", "request.response_format"),
    _pack: ("pack", "answer.labels", "answer.schema", "request.tools"),
    _evaluate: ("evaluate",),
    _pack_check: ("pack", "evaluate"),
    _refused_parameters: (),
    _misspelt_parameters: ("endpoint.base_url",),
    _route: ("router.route", "endpoint.base_url"),
    _base_url: ("endpoint.base_url",),
    _llama: ("endpoint.base_url", "endpoint.llama"),
    _output: ("output.path",),
    _overwriting: ("output.path", "input.path", "run_dir"),
    _votes: ("votes",),
    _voting_route: ("router.route", "votes", "pilot"),
    _reserve: ("limits.reserve", "limits.requests_per_day"),
}
"""Rule → the keys that must be sound before the rule makes sense. The route comes before the base URL, because a wrong
base URL must not hide a paid route."""
