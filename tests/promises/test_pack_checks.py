"""Pack checks: some rows of packs are also asked alone, to see what packs do to the answers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support.rehearsal import UNLIMITED, Rehearsal, reviews, scenario

from batchfree.cli.print_summary import result_lines
from batchfree.core.parts import Part
from batchfree.emulator.http.in_process import InProcessTransport
from batchfree.job.plan import plan
from batchfree.job.state import read_state
from batchfree.journal.attempts import Attempt
from batchfree.journal.journal_lines import read_attempts
from batchfree.report.collect import collect
from batchfree.report.figures_json import as_json
from batchfree.report.page import render_page

CALM = """
limits: {per_minute: null, per_day: null}
router: {draws_classifier: false}
pool: {follows: 1.0, accuracy: 0.8, models: [{id: "emulated/inkling:free", nature: chat}]}
"""
ALONE = "content: '^(?!<row)'"
"""Makes a fault hit requests for a single row only."""


def rehearse(folder: Path, rows: int = 60, check: int = 20, faults: str = "", **spec: Any) -> Rehearsal:
    folder.mkdir(exist_ok=True)
    whole = {
        "answer": {"labels": ["positive", "negative"]},
        "limits": UNLIMITED,
        "pack": 10,
        "evaluate": {"expected": "gold", "pack_check": check},
        **spec,
    }
    return Rehearsal(folder, reviews(rows), whole, scenario(f"{CALM}\nfaults: [{faults}]" if faults else CALM))


def attempts(job: Rehearsal) -> list[Attempt]:
    return [line.attempt for line in read_attempts(job.folder / "job.run" / "journal.jsonl")]


def checks(job: Rehearsal) -> list[Attempt]:
    return [attempt for attempt in attempts(job) if attempt.pack_check]


def figures(job: Rehearsal) -> dict[str, Any]:
    collected = collect(job.job(), job.time.clock())
    assert render_page(collected).startswith("<!doctype html>")
    found: dict[str, Any] = json.loads(json.dumps(as_json(collected.report)))["pack_check"]
    return found


def is_packed(post: Any) -> bool:
    return "<row id=" in str(post.body["messages"][-1]["content"])


def test_rows_of_packs_are_asked_alone_of_the_same_model_after_all_others(tmp_path: Path) -> None:
    job = rehearse(tmp_path)
    summary = job.run()
    assert (summary.counts.ok, summary.exit_code, summary.requests) == (60, 0, 26)
    assert [is_packed(post) for post in job.posts] == [True] * 6 + [False] * 20
    packed = {
        outcome.row: attempt.model
        for attempt in attempts(job)
        if not attempt.pack_check
        for outcome in attempt.outcomes
    }
    asked = {attempt.outcomes[0].row: attempt for attempt in checks(job)}
    assert len(asked) == 20
    assert all(attempt.models == (packed[row],) == (attempt.model,) for row, attempt in asked.items())
    assert sorted(asked) != list(range(20)), "the rows are drawn from all"


def test_a_check_is_no_vote_no_answer_and_no_attempt_of_the_row(tmp_path: Path) -> None:
    with_votes: dict[str, Any] = {"votes": {"min": 2, "max": 3}, "router": {"route": "local"}}
    job, plain = rehearse(tmp_path / "checked", **with_votes), rehearse(tmp_path / "plain", check=0, **with_votes)
    job.run()
    plain.run()
    stamps = ("request_id", "answered_at", "latency_s")
    assert job.table().drop(stamps).equals(plain.table().drop(stamps))
    assert len(job.posts) == len(plain.posts) + 20
    state = read_state(job.job())
    assert state.votes is not None
    assert len(state.votes) == job.table()["votes"].list.len().sum()


def test_checks_are_not_repeated_and_a_larger_number_asks_only_the_missing_ones(tmp_path: Path) -> None:
    job = rehearse(tmp_path)
    job.run()
    assert job.run().requests == 0
    job.write_spec({**job.spec, "evaluate": {"pack_check": 25}})
    assert job.run().requests == 5
    job.write_spec({**job.spec, "evaluate": {"pack_check": 1_000}})
    assert job.run().requests == 35
    assert job.run().requests == 0
    assert sorted(attempt.outcomes[0].row for attempt in checks(job)) == list(range(60))


def test_the_rows_to_check_depend_on_the_seed_alone(tmp_path: Path) -> None:
    drawn = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        job = rehearse(tmp_path / name, router={"seed": seed})
        job.run()
        drawn.append(sorted(attempt.outcomes[0].row for attempt in checks(job)))
    assert drawn[0] == drawn[1] != drawn[2]


def test_no_row_is_checked_while_rows_are_pending(tmp_path: Path) -> None:
    job = rehearse(tmp_path)
    assert job.run(limit=30).exit_code == 0
    assert checks(job) == []
    job.run()
    assert len(checks(job)) == 20


def test_checks_keep_to_the_limits_and_go_on_the_next_day(tmp_path: Path) -> None:
    job = rehearse(tmp_path, limits={"requests_per_day": 12, "requests_per_minute": 1_000})
    codes = []
    for _ in range(4):
        codes.append(job.run().exit_code)
        job.time.pass_by(86_400)
    assert codes == [75, 75, 0, 0]
    assert len(job.posts) == 26
    assert len(checks(job)) == 20


def test_a_plan_counts_the_checks(tmp_path: Path) -> None:
    job = rehearse(tmp_path)

    def planned() -> Any:
        return job.time.run(lambda: plan(job.job(), job.time.clock, InProcessTransport(job.emulator)))

    before = planned()
    assert (before.checks, before.to_json()["pack_checks"]) == (20, 20)
    assert 26 <= before.requests <= 29
    job.run()
    assert (planned().checks, planned().requests) == (0, 0)


def test_a_row_without_a_usable_answer_alone_is_not_asked_again(tmp_path: Path) -> None:
    job = rehearse(tmp_path, faults=f"{{fault: wrong_label, {ALONE}}}")
    assert job.run().requests == 26
    assert job.run().requests == 0
    found = figures(job)
    assert (found["asked"], found["equal"]["total"], found["equal"]["share"]) == (20, 0, None)
    assert job.table()["status"].to_list() == ["ok"] * 60


def test_a_model_that_is_gone_leaves_its_place_to_rows_of_others(tmp_path: Path) -> None:
    job = rehearse(tmp_path)
    job.write_spec({**job.spec, "evaluate": {"expected": "gold"}})
    job.run()
    gone = attempts(job)[0].model
    job.write_spec({**job.spec, "router": {"exclude": [gone]}})
    before = len(job.posts)
    assert job.run().exit_code == 0
    assert len(job.posts) - before == 20
    assert gone not in {attempt.model for attempt in checks(job)}


def test_the_report_compares_answers_in_packs_with_answers_alone(tmp_path: Path) -> None:
    job = rehearse(tmp_path, faults="{fault: swap_codes, content: '^<row'}")
    summary = job.run()
    alone = {attempt.outcomes[0].row: attempt.outcomes[0].answer for attempt in checks(job)}
    table = job.table().with_row_index("row").filter(pl.col("row").is_in(list(alone)))
    packed = dict(zip(table["row"], table["answer"], strict=True))
    gold = dict(zip(table["row"], table["gold"], strict=True))
    equal = sum(packed[row] == alone[row] for row in alone)
    found = figures(job)
    assert (found["asked"], found["equal"]["count"], found["equal"]["total"]) == (20, equal, 20)
    assert equal < 20
    assert found["kappa"]["rows"] == 20
    assert found["kappa"]["interval"][0] < found["kappa"]["value"] < found["kappa"]["interval"][1]
    assert found["packed_right"]["count"] == sum(packed[row] == gold[row] for row in alone)
    assert found["alone_right"]["count"] == sum(alone[row] == gold[row] for row in alone)
    only = [(packed[row] == gold[row], alone[row] == gold[row]) for row in alone]
    test = found["mcnemar"]
    assert (test["only_packed_right"], test["only_alone_right"]) == (
        only.count((True, False)),
        only.count((False, True)),
    )
    assert 0 <= test["p_value"] <= 1
    assert summary.to_json()["pack_check"]["count"] == equal
    assert any(re.match(rf"  same answer alone as in the pack: {equal} of 20", line) for line in result_lines(summary))


def test_a_check_without_expected_values_compares_the_answers_only(tmp_path: Path) -> None:
    job = rehearse(tmp_path, evaluate={"pack_check": 12})
    summary = job.run()
    assert summary.correct is None
    assert "correct" not in job.table().columns
    found = figures(job)
    assert (found["equal"]["total"], found["packed_right"]["total"], found["mcnemar"]["p_value"]) == (12, 0, None)


@pytest.mark.parametrize("check", [1, 9])
def test_under_ten_pairs_only_counts_are_shown(tmp_path: Path, check: int) -> None:
    job = rehearse(tmp_path, check=check)
    job.run()
    found = figures(job)
    assert (found["equal"]["total"], found["equal"]["share"], found["kappa"]["value"]) == (check, None, None)
    assert found["mcnemar"]["p_value"] is None


def test_the_parts_of_a_job_check_as_many_rows_as_the_whole(tmp_path: Path) -> None:
    job = rehearse(tmp_path)
    for number in (1, 2, 3):
        job.run(part=Part(number=number, count=3))
    found = [line.attempt for path in (tmp_path / "job.run").rglob("journal.jsonl") for line in read_attempts(path)]
    asked = [attempt.outcomes[0].question for attempt in found if attempt.pack_check]
    assert len(asked) == len(set(asked)) == 20
    assert job.run().requests == 0
