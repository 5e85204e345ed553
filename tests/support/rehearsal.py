"""Whole runs of a job against the emulated OpenRouter, in one process and in virtual time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import yaml
from support.virtual_time import VirtualTime

import batchfree
from batchfree.emulator import Emulator, Scenario, create_app
from batchfree.emulator.http.in_process import InProcessTransport
from batchfree.emulator.scenario.scenario_file import read_scenario

BASE_URL = "http://emulated.invalid/api/v1"
KEY = "sk-or-v1-0123456789abcdef0123456789abcdef"
SEED = 1
UNLIMITED = {"requests_per_minute": 1_000_000, "requests_per_day": 1_000_000}
"""Limits of a job that never waits for its quota."""
SENTIMENTS = ("negative", "positive")


def scenario(text: str = "") -> Scenario:
    """The scenario that a YAML text describes; the default scenario for an empty text."""
    return read_scenario(text, "a test", Path.cwd(), "test") if text.strip() else Scenario()


def reviews(number: int) -> list[dict[str, str]]:
    """Short reviews, by turns bad and good, with the right label in the column `gold`."""
    words = ("awful bad", "great lovely")
    return [{"prompt": f"Review {n}: {words[n % 2]} food.", "gold": SENTIMENTS[n % 2]} for n in range(number)]


def stop_of(summary: batchfree.Summary) -> batchfree.Stopped:
    """Why a run stopped early; fails if it did not."""
    assert summary.stopped is not None
    return summary.stopped


@dataclass
class Rehearsal:
    """A job in its own folder. Its emulated service and its clock are kept from run to run.

    Every draw is seeded, so a test meets the same models in every run. A spec with `router.seed` keeps its own seed.
    """

    folder: Path
    rows: Sequence[Mapping[str, Any]]
    spec: Mapping[str, Any] = field(default_factory=dict)
    service: Scenario = field(default_factory=Scenario)
    time: VirtualTime = field(default_factory=VirtualTime)

    def __post_init__(self) -> None:
        self.emulator: Emulator = create_app(self.service, clock=self.time.clock)
        self.environment = {
            "OPENROUTER_API_KEY": KEY,
            "BATCHFREE_STATE_DIR": str(self.folder / "state"),
            "BATCHFREE_CACHE_DIR": str(self.folder / "cache"),
        }
        self.write_rows(self.rows)
        self.write_spec(self.spec)

    @property
    def job_file(self) -> Path:
        return self.folder / "job.yaml"

    def write_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (self.folder / "rows.jsonl").write_text(text, encoding="utf-8")

    def write_spec(self, spec: Mapping[str, Any]) -> None:
        whole = {"input": "rows.jsonl", "output": "out.parquet", "endpoint": BASE_URL, **spec}
        whole["router"] = {"seed": SEED, **whole.get("router", {})}
        self.job_file.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")

    def job(self) -> batchfree.Job:
        """The job, loaded from its file as it is now."""
        return batchfree.load(self.job_file, environment=self.environment)

    def run(self, **options: Any) -> batchfree.Summary:
        """One run; `options` are those of `RunOptions`."""
        return self.run_over(InProcessTransport(self.emulator), **options)

    def run_over(self, transport: httpx.AsyncBaseTransport, **options: Any) -> batchfree.Summary:
        """A run that sends its requests through `transport`."""

        async def main() -> batchfree.Summary:
            return await batchfree.arun(
                self.job(),
                batchfree.RunOptions(**options),
                clock=self.time.clock,
                transport=transport,
            )

        summary: batchfree.Summary = self.time.run(main)
        return summary

    def table(self) -> pl.DataFrame:
        """The output table as the last run wrote it."""
        return pl.read_parquet(self.folder / "out.parquet")

    @property
    def posts(self) -> list[Any]:
        """Every POST that the service received, over all runs."""
        posts: list[Any] = self.emulator.state.log.requests
        return posts
