"""Compares a pilot with two votes per row and five blind votes per row, in whole runs over recorded crowds. By hand:

PYTHONPATH=tests python tests/benchmarks/crowd.py [SEEDS] [CSV …]

Without a file it takes the samples in `tests/quality/data`. A CSV has the columns `task,worker,label,gold`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
from support.crowd import CrowdJob
from support.votes import BABE, MMLU_PRO, sample

BLIND: dict[str, Any] = {"votes": {"min": 5, "max": 5}, "consensus": "majority"}
SPARING: dict[str, Any] = {"votes": {"min": 1, "max": 5, "agree": 2, "budget": 2}, "pilot": {"rows": 40, "keep": 0.5}}


def recorded(path: Path) -> pl.DataFrame:
    """The votes of a file; tasks without an expected label are left out."""
    if path in (BABE, MMLU_PRO):
        return sample(path).with_columns(pl.col("row").cast(pl.String))
    table = pl.read_csv(path, infer_schema=False).rename(
        {"task": "row", "worker": "model", "label": "answer", "gold": "expected"}
    )
    return table.filter(pl.col("expected").is_not_null() & (pl.col("expected") != ""))


def right_with_random_ties(table: pl.DataFrame) -> float:
    """The share of right answers; of a tied row the chance to draw the right one of its most frequent answers."""
    right = 0.0
    for row in table.select("answer", "gold", "votes").to_dicts():
        counts = Counter(vote["answer"] for vote in row["votes"])
        leading = [answer for answer, number in counts.items() if number == max(counts.values())]
        right += row["answer"] == row["gold"] if row["answer"] is not None else (row["gold"] in leading) / len(leading)
    return right / table.height


def main() -> None:
    """Prints the accuracy and the requests of each way."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    ways = {
        "majority of five": BLIND,
        "pilot, budget 2, by expected values": SPARING,
        "pilot, budget 2, by agreement": {**SPARING, "evaluate": {"expected": "none"}},
    }
    for path in [Path(each) for each in sys.argv[2:]] or [BABE, MMLU_PRO]:
        votes = recorded(path)
        for name, way in ways.items():
            for seed in range(1, seeds + 1):
                with tempfile.TemporaryDirectory() as folder:
                    began = time.perf_counter()
                    job = CrowdJob(Path(folder), votes, router={"seed": seed}, **way)
                    summary = job.run()
                    right = right_with_random_ties(job.job.table())
                    print(
                        f"{path.stem}: {name}, seed {seed}: {right:.4f} right, {summary.requests:,} requests for "
                        f"{summary.counts.rows:,} rows, {time.perf_counter() - began:.0f} s",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
