"""The commands that need no job: init, schema, emulate."""

from __future__ import annotations

import os
from pathlib import Path

from batchfree.cli.terminal import print_json, say
from batchfree.core.stops import OK, USAGE


def init(directory: Path) -> int:
    """Writes the starter job and its data."""
    from batchfree.cli import starter

    written = starter.write_starter(directory)
    for path in written:
        say(f"wrote {os.path.relpath(path)}")
    job = next(path for path in written if path.suffix == ".yaml")
    say(f"next: batchfree run {os.path.relpath(job)} --endpoint embedded")
    return OK


def schema() -> int:
    """Prints the JSON Schema of job files."""
    from batchfree.jobspec.editor_schema import json_schema

    print_json(json_schema())
    return OK


def emulate(port: int, scenario_name: str | None, log_path: Path | None, *, require_key: bool) -> int:
    """Serves the emulated OpenRouter until it is interrupted."""
    from batchfree.emulator import ScenarioError, create_app, load_scenario, serve

    try:
        scenario = None if scenario_name is None else load_scenario(scenario_name)
        serve(create_app(scenario, require_key=require_key, log_path=log_path), port=port)
    except ScenarioError as error:
        say(f"error: {error}")
        return USAGE
    except OSError as error:
        say(f"error: {error.filename or f'port {port}'}: {error.strerror}")
        return USAGE
    return OK
