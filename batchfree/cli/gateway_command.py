"""The command `serve`."""

from __future__ import annotations

import time
from functools import partial
from importlib.util import find_spec

import anyio

from batchfree.cli.arguments import ServeArguments
from batchfree.cli.load_job import environment_of, load_optional_job
from batchfree.cli.terminal import say
from batchfree.core.stops import USAGE
from batchfree.gateway.access import LOOPBACK
from batchfree.gateway.serve_session import ServeOptions, serve_clients
from batchfree.jobspec import JobSpec, load_default_spec
from batchfree.jobspec.job import Job
from batchfree.run.signals import is_interruption

SERVE_KEY_VARIABLE = "BATCHFREE_SERVE_KEY"
SHORTEST_KEY = 16
"""Fewest characters that a key should have. A stranger who guesses the key can use up the account."""
AT_ONCE = 64
"""Requests in flight at once without a job. 20 starts a minute that take two minutes each need 40."""


def serve(arguments: ServeArguments) -> int:
    """Serves until it is interrupted."""
    job = load_optional_job(arguments)
    environment = environment_of(arguments, job)
    key = environment.get(SERVE_KEY_VARIABLE, "").strip() or None
    if key is None and arguments.host not in LOOPBACK:
        advice = f"set {SERVE_KEY_VARIABLE} to a key for your clients"
        say(f"error: --host {arguments.host} is open to other machines; {advice}")
        return USAGE
    if key is not None and len(key) < SHORTEST_KEY:
        say(f"warning: {SERVE_KEY_VARIABLE} is shorter than {SHORTEST_KEY} characters; a key must be hard to guess")
    options = ServeOptions(host=arguments.host, port=arguments.port, max_wait=arguments.max_wait, key=key)
    try:
        serving = partial(serve_clients, _spec(arguments, job), environment, options, time.time, say)
        stopped = anyio.run(serving, backend_options={"use_uvloop": find_spec("uvloop") is not None})
    except OSError as error:
        say(f"error: {arguments.host} port {arguments.port}: {error.strerror}")
        return USAGE
    if not is_interruption(stopped):
        say(f"error: {stopped.message}")
    return stopped.exit_code


def _spec(arguments: ServeArguments, job: Job | None) -> JobSpec:
    """The spec of the job; without a job one with the endpoint and default values."""
    if job is not None:
        return job.spec
    spec = load_default_spec(arguments.endpoint)
    return spec.model_copy(update={"limits": spec.limits.model_copy(update={"concurrency": AT_ONCE})})
