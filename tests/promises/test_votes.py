"""Several answers per row: each from another model, spent where they decide most, and one consensus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support.rehearsal import UNLIMITED, Rehearsal, reviews, scenario

import batchfree
from batchfree.cli.print_summary import result_lines
from batchfree.job.state import read_state
from batchfree.quality.intervals import Proportion

POOL = "limits: {per_minute: null, per_day: null}\nrouter: {draws_classifier: false}\n"
ERRING = POOL + "pool: {accuracy: 0.7, follows: 1.0}\n"


def rehearse(folder: Path, rows: int = 60, text: str = ERRING, **spec: Any) -> Rehearsal:
    folder.mkdir(exist_ok=True)
    labels = {"answer": {"labels": ["positive", "negative"]}, "limits": UNLIMITED}
    return Rehearsal(folder, reviews(rows), {**labels, "router": {"seed": 1}, **spec}, scenario(text))


def votes_of(table: pl.DataFrame) -> list[list[dict[str, str]]]:
    return table["votes"].to_list()


def test_every_vote_of_a_row_comes_from_another_model(tmp_path: Path) -> None:
    job = rehearse(tmp_path, votes={"min": 4, "max": 4})
    summary = job.run()
    assert (summary.counts.ok, summary.exit_code, summary.requests) == (60, 0, 240)
    votes = votes_of(job.table())
    assert all(len({vote["model"] for vote in row}) == len(row) == 4 for row in votes)
    assert set(job.table()["route"].to_list()) == {"local"}


def test_the_table_shows_the_consensus_and_sums(tmp_path: Path) -> None:
    job = rehearse(tmp_path, votes={"min": 3, "max": 3}, consensus="majority", evaluate={"expected": "gold"})
    job.run()
    for row in job.table().to_dicts():
        given = [vote["answer"] for vote in row["votes"]]
        assert row["answer"] == max(set(given), key=given.count)
        assert row["agreement"] == given.count(row["answer"]) / 3
        assert row["model"] in [vote["model"] for vote in row["votes"] if vote["answer"] == row["answer"]]
        assert (row["attempts"], row["correct"]) == (3, row["answer"] == row["gold"])
        assert row["prompt_tokens"] > 60
        assert 0 < row["confidence"] < 1
        assert row["settled"]


def test_the_summary_counts_the_right_answers(tmp_path: Path) -> None:
    job = rehearse(tmp_path, votes={"min": 3, "max": 3}, evaluate={"expected": "gold"})
    summary = job.run()
    right = int(job.table()["correct"].sum())
    assert summary.correct == Proportion(count=right, total=60)
    assert summary.to_json()["correct"]["share"] == round(right / 60, 4)
    assert [line for line in result_lines(summary) if "correct" in line] == [f"  correct: {summary.correct}"]


def test_without_expected_values_the_summary_has_no_share(tmp_path: Path) -> None:
    summary = rehearse(tmp_path, 5).run()
    assert summary.correct is None
    assert not any("correct" in line for line in result_lines(summary))


def test_further_votes_go_where_they_decide_and_keep_to_the_budget(tmp_path: Path) -> None:
    job = rehearse(tmp_path, 100, votes={"min": 1, "max": 5, "agree": 2, "budget": 2})
    summary = job.run()
    votes = votes_of(job.table())
    assert summary.requests == sum(map(len, votes)) == 200
    assert {len(row) for row in votes} >= {1, 2, 3}
    without = rehearse(tmp_path / "without", 100, votes={"min": 1, "max": 5, "agree": 2})
    without.run()
    for row, settled in zip(votes_of(without.table()), without.table()["settled"].to_list(), strict=True):
        given = [vote["answer"] for vote in row]
        ahead = abs(given.count("positive") - given.count("negative"))
        assert len(row) == 5 or ahead == 2, "asked until two ahead, at most five times"
        assert ahead >= 2 or not settled


def test_raising_votes_asks_only_the_missing_ones_and_lowering_them_asks_nothing(tmp_path: Path) -> None:
    job = rehearse(tmp_path, votes={"min": 1, "max": 1})
    assert job.run().requests == 60
    job.write_spec({**job.spec, "votes": {"min": 3, "max": 3}})
    assert job.run().requests == 120
    job.write_spec({**job.spec, "consensus": "majority"})
    assert job.run().requests == 0
    job.write_spec({**job.spec, "votes": 1})
    assert job.run().requests == 0
    assert job.table()["status"].to_list() == ["ok"] * 60


def test_votes_go_on_where_a_spent_day_has_stopped_them(tmp_path: Path) -> None:
    text = ERRING.replace("per_day: null", "per_day: 50")
    spec = {"votes": 3, "limits": {"requests_per_day": 50, "requests_per_minute": 1000}}
    job = rehearse(tmp_path, 40, text, **spec)
    codes, requests = [], 0
    for _ in range(4):
        summary = job.run()
        codes.append(summary.exit_code)
        requests += summary.requests
        job.time.pass_by(86_400)
    assert codes[:2] == [75, 75]
    assert codes[-1] == 0
    assert requests == 120
    assert all(len({vote["model"] for vote in row}) == 3 for row in votes_of(job.table()))


def test_a_second_vote_sits_among_other_neighbours(tmp_path: Path) -> None:
    job = rehearse(tmp_path, 200, votes={"min": 2, "max": 2}, pack=10)
    summary = job.run()
    assert summary.counts.ok == 200
    assert summary.requests <= 60
    packs = [set(each) for each in rows_of_packs(job)]
    pairs = [frozenset((a, b)) for pack in packs for a in pack for b in pack if a < b]
    assert len(pairs) - len(set(pairs)) < 0.2 * len(pairs), "few rows meet the same neighbour twice"


def rows_of_packs(job: Rehearsal) -> list[list[int]]:
    lines = (job.folder / "job.run" / "journal.jsonl").read_text().splitlines()[1:]
    return [[outcome["row"] for outcome in json.loads(line)["outcomes"]] for line in lines]


def test_a_pilot_asks_every_model_and_keeps_the_better_half(tmp_path: Path) -> None:
    models = ", ".join(
        f'{{id: "emulated/{name}:free", accuracy: {accuracy}}}'
        for name, accuracy in [("a", 0.95), ("b", 0.95), ("c", 0.95), ("d", 0.5), ("e", 0.5), ("f", 0.5)]
    )
    text = POOL + f"pool: {{replace: true, follows: 1.0, models: [{models}]}}"
    spec = {"pilot": {"rows": 30, "keep": 0.5}, "evaluate": {"expected": "gold"}}
    job = rehearse(tmp_path, 120, text, **spec)
    summary = job.run()
    assert summary.counts.ok == 120
    assert 30 * 6 + 90 <= summary.requests <= 30 * 6 + 90 + 10
    (pilot,) = read_state(job.job()).pilots
    assert set(pilot.kept) == {f"emulated/{name}:free" for name in "abc"}
    assert summary.pilot == pilot
    assert summary.to_json()["pilot"]["kept"] == list(pilot.kept)
    assert all(each.measured and each.votes == 30 for each in pilot.ranking)
    later = job.table()[30:]
    assert {vote["model"] for row in votes_of(later) for vote in row} <= set(pilot.kept)
    assert job.run().requests == 0


def test_without_expected_values_a_pilot_ranks_by_consensus(tmp_path: Path) -> None:
    job = rehearse(tmp_path, 40, pilot={"rows": 20, "keep": 3}, votes={"min": 2, "max": 3})
    summary = job.run()
    (pilot,) = read_state(job.job()).pilots
    assert len(pilot.kept) == 3
    ranked = f"  pilot: 3 of {len(pilot.ranking)} models kept, ranked by agreement with the consensus (estimated)"
    assert [line for line in result_lines(summary) if "pilot" in line] == [ranked]
    assert not any(each.measured for each in pilot.ranking)


def test_a_tie_with_nothing_left_to_ask_is_no_answer(tmp_path: Path) -> None:
    models = '{id: "emulated/a:free", answers: positive}, {id: "emulated/b:free", answers: negative}'
    text = POOL + f"pool: {{replace: true, follows: 1.0, accuracy: 0.5, models: [{models}]}}"
    text = text.replace(", answers: positive", "").replace(", answers: negative", "")
    job = rehearse(tmp_path, 40, text, votes={"min": 2, "max": 5, "agree": 2}, consensus="majority")
    summary = job.run()
    rows = job.table().to_dicts()
    tied = [row for row in rows if len({vote["answer"] for vote in row["votes"]}) == 2]
    assert tied, "two models that guess disagree now and then"
    assert {(row["status"], row["error_kind"], row["answer"], row["settled"]) for row in tied} == {
        ("failed", "tied", None, False)
    }
    assert summary.counts.failed == len(tied)
    assert summary.exit_code == 1
    assert job.run().requests == 0


def test_fewer_models_than_votes_stop_the_run_before_the_first_request(tmp_path: Path) -> None:
    job = rehearse(tmp_path, votes=20)
    summary = job.run()
    assert summary.stopped is not None
    assert (summary.exit_code, summary.requests) == (3, 0)
    assert "votes.min asks for 20 answers per row" in summary.stopped.message


def test_votes_on_free_text_and_json_are_equal_after_normalising(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"good": {"type": "boolean"}}, "required": ["good"]}
    job = rehearse(tmp_path, 20, POOL + "pool: {accuracy: 1.0, follows: 1.0}", votes=2, answer={"schema": schema})
    assert job.run().counts.ok == 20
    for row in job.table().to_dicts():
        assert all(json.loads(vote["answer"]).keys() == {"good"} for vote in row["votes"])


@pytest.mark.parametrize("column", ["golden", "Gold"])
def test_a_missing_column_of_expected_values_is_an_error_before_anything_is_sent(tmp_path: Path, column: str) -> None:
    job = rehearse(tmp_path, evaluate={"expected": column})
    with pytest.raises(batchfree.SpecError, match=r"evaluate\.expected.*did you mean `gold`"):
        job.run()
    assert job.posts == []
