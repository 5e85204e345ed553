"""An emulated OpenRouter: its free models, its limits and its failures, over HTTP, without network or key.

It shares no code with the client, so each can check the other. Rooms: `http/` (routes, transports), `scenario/` (the
settings in a YAML file), `faults/` (everything that can go wrong), `mind/` (the answers of the models).

Imports: nothing.
Pure: all but chat_service, http, quotas, request_log, scenario.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchfree.emulator.http.app import Emulator, create_app
from batchfree.emulator.quotas import EmulatedLimits
from batchfree.emulator.request_log import LoggedRequest, RequestLog
from batchfree.emulator.scenario import Scenario
from batchfree.emulator.scenario.scenario_file import load_scenario
from batchfree.emulator.scenario.yaml_document import ScenarioError

if TYPE_CHECKING:
    from batchfree.emulator.http.serve import serve

__all__ = [
    "EmulatedLimits",
    "Emulator",
    "LoggedRequest",
    "RequestLog",
    "Scenario",
    "ScenarioError",
    "create_app",
    "load_scenario",
    "serve",
]


def __getattr__(name: str) -> Any:
    """Imports `serve` at its first use, since it needs uvicorn. The embedded endpoint does not need uvicorn."""
    if name == "serve":
        from batchfree.emulator.http.serve import serve

        return serve
    raise AttributeError(name)
