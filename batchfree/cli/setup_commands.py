"""The commands that make something: init, schema, emulate."""

from __future__ import annotations

import argparse
import os

from batchfree.cli.job_commands import show
from batchfree.cli.terminal import say
from batchfree.core.stops import OK, USAGE


def init(arguments: argparse.Namespace) -> int:
    """Writes a starter job."""
    from batchfree.cli import starter

    written = starter.write(arguments.directory)
    for path in written:
        say(f"wrote {os.path.relpath(path)}")
    job = next(path for path in written if path.suffix == ".yaml")
    say(f"next: batchfree run {os.path.relpath(job)} --endpoint embedded")
    return OK


def schema(arguments: argparse.Namespace) -> int:
    """Prints the JSON Schema of the job spec."""
    from batchfree.jobspec import json_schema

    show(json_schema())
    return OK


def not_built(arguments: argparse.Namespace) -> int:
    """Refuses a command that this version does not have yet."""
    say(f"error: `batchfree {arguments.name}` is not built yet in this version")
    return USAGE


def emulate(arguments: argparse.Namespace) -> int:
    """Serves the emulated OpenRouter until it is interrupted."""
    from batchfree.emulator import ScenarioError, create_app, load_scenario, serve

    try:
        scenario = None if arguments.scenario is None else load_scenario(arguments.scenario)
        serve(create_app(scenario, log_path=arguments.book), port=arguments.port)
    except ScenarioError as error:
        say(f"error: {error}")
        return USAGE
    except OSError as error:
        say(f"error: {error.filename or f'port {arguments.port}'}: {error.strerror}")
        return USAGE
    return OK
