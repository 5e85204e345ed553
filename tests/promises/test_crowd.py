"""The recorded votes of language models, replayed through whole runs: a pilot and few votes beat many blind ones."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from support.crowd import CrowdJob, accuracy_of
from support.votes import BABE, MMLU_PRO, sample


@pytest.mark.parametrize("votes", [BABE, MMLU_PRO])
def test_a_pilot_and_two_votes_per_row_beat_five_blind_votes_at_40_percent_of_the_requests(
    tmp_path: Path, votes: Path
) -> None:
    recorded = sample(votes).with_columns(pl.col("row").cast(pl.String))
    blind = CrowdJob(tmp_path / "blind", recorded, votes={"min": 5, "max": 5}, consensus="majority").run()
    sparing = CrowdJob(
        tmp_path / "sparing",
        recorded,
        votes={"min": 1, "max": 5, "agree": 2, "budget": 2},
        pilot={"rows": 15, "keep": 0.5},
    ).run()
    assert sparing.counts.ok == blind.counts.rows
    assert blind.counts.pending == 0
    assert sparing.requests <= 0.41 * blind.requests  # a few replies can't be read and are asked again
    assert accuracy_of(sparing) > accuracy_of(blind)
