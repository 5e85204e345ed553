"""Measures time and memory of the consensus of 100,000 rows, each with 3 votes for one of 5 labels. Run by hand:

PYTHONPATH=tests python tests/benchmarks/consensus.py [ROWS] [LABELS]
"""

from __future__ import annotations

import random
import resource
import sys
import time
from typing import Literal

import polars as pl

from batchfree.quality.consensus import consensus
from batchfree.quality.vote_allocation import VotingRule

MODELS = {f"model-{number}": 0.4 + 0.04 * number for number in range(12)}
"""Each model with the share of its votes that are right."""


def panel(rows: int, labels: list[str], votes: int = 3) -> tuple[pl.DataFrame, list[str]]:
    """Votes of random models, and the right label of each row."""
    rng = random.Random(1)
    truth = rng.choices(labels, k=rows)
    lines = [
        (row, model, right if rng.random() < MODELS[model] else rng.choice(labels))
        for row, right in enumerate(truth)
        for model in rng.sample(list(MODELS), votes)
    ]
    return pl.DataFrame(lines, schema=["row", "model", "answer"], orient="row"), truth


def main() -> None:
    """Prints seconds, memory and accuracy of each method."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    labels = [f"label-{number}" for number in range(size)]
    votes, truth = panel(rows, labels)
    methods: list[tuple[str, Literal["majority", "dawid-skene"], list[str] | None]] = [
        ("majority", "majority", labels),
        ("dawid-skene", "dawid-skene", labels),
        ("dawid-skene, free text", "dawid-skene", None),
    ]
    for name, method, known in methods:
        start = time.perf_counter()
        answers = consensus(votes, VotingRule(), method=method, labels=known)["answer"]
        seconds = time.perf_counter() - start
        right = (answers == pl.Series(truth)).fill_null(False).sum() / len(truth)
        print(f"{name}: {seconds:.2f} s, accuracy {right:.4f}")
    print(f"most memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    main()
