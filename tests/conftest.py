"""What holds for every test: property tests draw the same examples in every run, and a random order can be repeated."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from support.browser import browser
from support.command_line import job, no_network
from support.postgres import ledger_place, postgres

__all__ = ["browser", "job", "ledger_place", "no_network", "postgres"]  # fixtures

settings.register_profile(
    "repeatable",
    derandomize=True,  # the examples depend on the test alone
    database=None,
    deadline=None,  # a slow machine is no failure
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints the option that repeats the order of the tests; `-q` hides the plugin's own line."""
    seed = config.getoption("randomly_seed", None)
    if seed is not None and config.pluginmanager.has_plugin("randomly"):
        terminalreporter.write_line(f"order of the tests: -p randomly --randomly-seed={seed}")
