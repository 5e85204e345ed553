"""Requests per row on bad days: over dead, lossy and mixed pools, for several seeds, in virtual time. Run by hand:

PYTHONPATH=tests python tests/benchmarks/bad_days.py [seeds]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

from support.rehearsal import UNLIMITED, Rehearsal, scenario

from batchfree.emulator.scenario.scenario_file import presets

LABELS = {"answer": {"labels": ["positive", "negative"]}}
TWENTY_A_MINUTE = {"requests_per_minute": 20, "requests_per_day": 1_000_000}

CASES: list[tuple[str, str, int, dict[str, Any]]] = [
    *(
        (f"six of ten dead, {route}, {fallbacks} fallbacks, {name}", "half-dead", 1000,
         {"router": {"route": route, "fallbacks": fallbacks}, "limits": limits})
        for route in ("openrouter/free", "local")
        for fallbacks in (0, 2)
        for name, limits in (("no limits", UNLIMITED), ("20 a minute", TWENTY_A_MINUTE))
    ),
    *(
        (f"lossy packs of 20, {route}", "lossy-packs", 2000,
         {"router": {"route": route}, "limits": UNLIMITED, "pack": 20, **LABELS})
        for route in ("openrouter/free", "local")
    ),
    *(
        (f"mixed JSON, pack {pack}, {route}", "mixed-json", 2000,
         {"router": {"route": route}, "limits": UNLIMITED, "pack": pack, **LABELS})
        for pack in (1, 10, 25, "auto")
        for route in ("openrouter/free", "local")
    ),
]  # fmt: skip
"""Name, preset, rows, spec."""


def main(seeds: int) -> None:
    print(f"{'case':<60} {'mean':>7} {'worst':>7} {'answered':>9} {'rows/s':>7}   requests per row, {seeds} seeds")
    for name, preset, rows, spec in CASES:
        began = time.perf_counter()
        figures = list(measured(preset, rows, spec, seeds))
        speed = rows * seeds / (time.perf_counter() - began)
        per_row = [requests / rows for requests, _ in figures]
        answered = min(ok / rows for _, ok in figures)
        print(f"{name:<60} {mean(per_row):>7.4f} {max(per_row):>7.4f} {answered:>9.2%} {speed:>7.0f}", flush=True)


def measured(preset: str, rows: int, spec: dict[str, Any], seeds: int) -> Iterator[tuple[int, int]]:
    """Requests and answered rows of one run per seed; the seed is the emulator's and the router's."""
    prompts = [{"prompt": f"Review {n}: {'great' if n % 3 else 'awful'} thing {n * 79 % 107}."} for n in range(rows)]
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            seeded = {**spec, "router": {**spec["router"], "seed": seed}}
            job = Rehearsal(Path(folder), prompts, seeded, scenario(f"{presets()[preset]}\nseed: {seed}"))
            yield job.run().requests, job.table().filter(status="ok").height


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
