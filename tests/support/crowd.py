"""Recorded votes replayed through the emulator: each emulated model answers a row as one worker of a real crowd did."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import polars as pl
from support.rehearsal import Rehearsal, scenario

import batchfree
from batchfree.emulator.http.in_process import InProcessTransport

UNREADABLE = "(the recorded answer could not be read)"


class CrowdTransport(httpx.AsyncBaseTransport):
    """Passes requests to the emulator and puts the worker's vote in the place of the emulated answer."""

    def __init__(self, inner: httpx.AsyncBaseTransport, votes: Mapping[tuple[str, str], str]) -> None:
        """`votes`: the vote by row and model id; a vote that is missing could not be read."""
        self._inner, self._votes = inner, votes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if request.method != "POST" or response.status_code != 200:
            return response
        body = json.loads(await response.aread())
        await response.aclose()
        asked = json.loads(await request.aread())["messages"][-1]["content"]
        row = re.search(r"Row (\d+)\.", asked)
        assert row, asked
        for choice in body["choices"]:
            choice["message"] = {"role": "assistant", "content": self._votes.get((row[1], body["model"]), UNREADABLE)}
            choice["finish_reason"] = "stop"
        return httpx.Response(200, headers={"content-type": "application/json"}, content=json.dumps(body).encode())


class CrowdJob:
    """A job whose models are the workers of a crowd."""

    def __init__(self, folder: Path, recorded: pl.DataFrame, **spec: Any) -> None:
        """`recorded` has the columns `row`, `model`, `answer` and `expected`, as text; an answer may be null."""
        folder.mkdir(parents=True, exist_ok=True)
        names = recorded["model"].unique().sort().to_list()
        ids = {name: f"emulated/{str(name).replace('_', '-')}:free" for name in names}
        labels = recorded["expected"].append(recorded["answer"]).drop_nulls().unique().sort().to_list()
        gold = recorded.select("row", "expected").unique(maintain_order=True)
        rows = [{"prompt": f"Row {row}.", "gold": expected, "none": None} for row, expected in gold.iter_rows()]
        models = ", ".join(f'{{id: "{id}"}}' for id in ids.values())
        text = (
            "limits: {per_minute: null, per_day: null}\nrouter: {draws_classifier: false}\n"
            f"pool: {{replace: true, latency: {{constant: 0.01}}, models: [{models}]}}"
        )
        shared = {
            "answer": {"labels": labels, "reask": 0},
            "evaluate": {"expected": "gold"},
            "retry": {"max_attempts": len(names)},
            "limits": {"requests_per_minute": 10_000_000, "requests_per_day": 10_000_000},
        }
        self.job = Rehearsal(folder, rows, {**shared, **spec}, scenario(text))
        given = {(str(row), ids[model]): answer for row, model, answer in
                    recorded.select("row", "model", "answer").drop_nulls().iter_rows()}  # fmt: skip
        self._transport = CrowdTransport(InProcessTransport(self.job.emulator), given)

    def run(self) -> batchfree.Summary:
        """One run."""
        return self.job.run_over(self._transport)


def accuracy_of(summary: batchfree.Summary) -> float:
    """The share of all rows whose answer is the expected one; a row without an answer is wrong."""
    assert summary.correct is not None
    return summary.correct.count / summary.counts.rows
