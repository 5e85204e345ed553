"""The options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from batchfree.cli.argument_types import PATH
from batchfree.core.urls import WORDS


def together(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """One decorator that adds several options, in the order given."""

    def decorate(command: Any) -> Any:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def complete_endpoint(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """The completions of `--endpoint`."""
    return [word for word in WORDS if word.startswith(typed)]


change_options = together(
    click.option("--set", multiple=True, metavar="KEY=VALUE", help="Change a key of the job file; may be repeated."),
    click.option("--env-file", type=PATH, metavar="PATH", help="Read more environment variables from this file."),
)
spec_options = together(change_options, click.option("--json", is_flag=True, help="Print the result as JSON."))
endpoint_option = click.option(
    "--endpoint",
    metavar="URL|embedded|llama[:FILE]",
    shell_complete=complete_endpoint,
    help="Use this service; embedded is the emulation inside batchfree, llama a small model on this machine.",
)
job_options = together(click.argument("job", type=PATH, metavar="JOB"), endpoint_option, spec_options)
optional_job = click.argument("job", type=PATH, required=False, metavar="[JOB]")
service_options = together(optional_job, endpoint_option, spec_options)
server_options = together(optional_job, endpoint_option, change_options)
