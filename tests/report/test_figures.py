"""The figures of a report: what `report --json` prints is what the journal and the table say."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support.command_line import JobHere
from support.rehearsal import UNLIMITED, Rehearsal, reviews, scenario

from batchfree.core.stops import Counts
from batchfree.journal.attempts import Status
from batchfree.quality.evaluation import Evaluation, Score
from batchfree.quality.intervals import Proportion, median
from batchfree.report.advice import forecast, models_to_exclude, next_steps
from batchfree.report.collect import collect
from batchfree.report.count_rows import MOST_ROWS, doubt
from batchfree.report.figures import ModelFigures
from batchfree.report.figures_json import as_json
from batchfree.report.page import render_page
from batchfree.report.page_rows import MOST_BYTES, page_rows
from batchfree.report.timeline import MOST_BARS, StartCounter, pauses

POOL = "limits: {per_minute: null, per_day: null}\nrouter: {draws_classifier: false}\npool: {accuracy: 0.7}\n"


def rehearse(folder: Path, rows: int = 60, text: str = POOL, **spec: Any) -> Rehearsal:
    labels = {"answer": {"labels": ["positive", "negative"]}, "limits": UNLIMITED}
    return Rehearsal(folder, reviews(rows), {**labels, **spec}, scenario(text))


def figures(job: Rehearsal) -> dict[str, Any]:
    """The figures of a report, as JSON text holds them."""
    collected = collect(job.job(), job.time.clock())
    assert render_page(collected).startswith("<!doctype html>")
    value: dict[str, Any] = json.loads(json.dumps(as_json(collected.report)))
    return value


@pytest.fixture(scope="module")
def voted(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    rehearsal = rehearse(
        tmp_path_factory.mktemp("voted"),
        80,
        votes={"min": 2, "max": 4, "agree": 2},
        pilot={"rows": 20, "keep": 0.5},
        evaluate={"expected": "gold"},
    )
    rehearsal.run()
    return rehearsal


def test_counts_scores_and_labels_are_those_of_the_table(voted: Rehearsal) -> None:
    found, table = figures(voted), voted.table()
    assert found["outcome"]["counts"] == {"ok": 80, "failed": 0, "pending": 0}
    assert found["outcome"]["requests"] == len(voted.posts)
    accuracy = found["evaluation"]["overall"]["accuracy"]
    assert (accuracy["count"], accuracy["total"]) == (table["correct"].sum(), 80)
    assert {k: v["count"] for k, v in found["labels"]["overall"].items()} == dict(Counter(table["answer"]))
    confusion = found["evaluation"]["overall"]["confusion"]
    pairs = Counter(zip(table["gold"], table["answer"], strict=True))
    assert {(each["expected"], each["answer"]): each["rows"] for each in confusion} == dict(pairs)


def test_every_model_has_the_figures_of_its_votes(voted: Rehearsal) -> None:
    found = figures(voted)
    votes = voted.table().select("gold", "votes").explode("votes").unnest("votes")
    for model, score in found["evaluation"]["models"].items():
        own = votes.filter(pl.col("model") == model)
        right = own.filter(pl.col("gold") == pl.col("answer")).height
        assert (score["accuracy"]["count"], score["accuracy"]["total"]) == (right, own.height)
    answered = {each["model"]: each["valid"]["count"] for each in found["models"] if each["valid"]["count"]}
    assert answered == dict(Counter(votes["model"]))
    assert {each["model"] for each in found["estimates"]} == set(answered)
    assert found["pilot"]["kept"]


def test_a_share_of_fewer_than_ten_cases_is_null_everywhere(tmp_path: Path) -> None:
    small = rehearse(tmp_path, 8, votes=2, evaluate={"expected": "gold"})
    small.run()
    found = figures(small)

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            cases = value.get("total", value.get("rows"))
            if "interval" in value and isinstance(cases, int) and cases < 10:
                assert value["interval"] is None
                assert value.get("share") is None
                assert value.get("value") is None
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(found)
    assert found["evaluation"]["overall"]["accuracy"]["share"] is None
    assert found["evaluation"]["overall"]["macro_f1"] is None
    page = render_page(collect(small.job(), 0.0))
    assert f"{found['evaluation']['overall']['accuracy']['count']:.0f} of 8" in page


def test_rows_are_listed_by_doubt_the_least_agreed_first(voted: Rehearsal) -> None:
    found, agreement = figures(voted)["doubtful"], voted.table()["agreement"]
    listed = [agreement[each["row"] - 1] for each in found]
    assert listed
    assert min(agreement) == listed[0]
    split = [value for value in listed if value < 1]
    assert split == sorted(split)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"status": "failed", "error_kind": "timeout"}, None),
        ({"status": "ok", "correct": False}, "not the expected answer"),
        ({"status": "ok", "repaired": True}, "the JSON syntax was mended"),
        ({"status": "ok", "attempts": 3}, "3 attempts"),
        ({"status": "ok", "attempts": 1, "correct": True}, None),
        ({"status": "ok", "votes": [1, 2, 3], "agreement": 2 / 3, "confidence": 0.6}, "2 of 3 votes agree"),
        ({"status": "ok", "votes": [1, 2], "agreement": 1.0, "confidence": 0.9}, None),
    ],
)
def test_why_a_row_is_worth_a_look(values: dict[str, Any], why: str | None) -> None:
    found = doubt({**values, "status": Status(values["status"])})
    assert (found and found[1]) == (why or (found and "failed: timeout"))


def test_a_job_that_never_ran_and_an_empty_one_have_a_report(tmp_path: Path) -> None:
    fresh = rehearse(tmp_path, 3)
    found = figures(fresh)
    assert found["outcome"]["next"][0]["text"] == "Nothing was asked yet."
    assert (found["models"], found["timeline"], found["failures"]) == ([], None, [])


def test_a_long_table_is_sampled_and_the_page_says_so(tmp_path: Path) -> None:
    long = rehearse(tmp_path, MOST_ROWS + 1)
    collected = collect(long.job(), 0.0)
    assert len(collected.rows) == MOST_ROWS // 2 + 1
    page = render_page(collected)
    assert f"{len(collected.rows):,} of {MOST_ROWS + 1:,} rows" in page
    assert len(page.encode()) < MOST_BYTES + 200_000


def test_the_steps_name_what_to_type() -> None:
    steps = next_steps("my jobs/a.yaml", Counts(ok=1, failed=2, pending=3), requests=9, begun=True, may_get_votes=False)
    lines = [each.line for each in steps]
    assert lines == ["batchfree run 'my jobs/a.yaml'", "batchfree run 'my jobs/a.yaml' --retry-failed"]


def test_a_rehearsal_alone_is_pointed_to() -> None:
    steps = next_steps("a.yaml", Counts(pending=3), requests=0, begun=True, may_get_votes=False)
    assert [each.line for each in steps] == ["batchfree run a.yaml", "batchfree report a.yaml --set endpoint=embedded"]


def test_the_forecast_says_on_what_it_rests() -> None:
    found = forecast(Counts(ok=90, failed=10, pending=100), 150, 50, 40)
    assert found is not None
    assert found.text == (
        "Forecast: about 150 more requests (95 % interval 126–175), at 1.50 per finished row so far (n = 100); "
        "that is 3 days at 50 requests a day, as the job allows."
    )
    assert forecast(Counts(pending=5), 0, 50, 0) is None


def score(count: int, total: int) -> Score:
    return Score(accuracy=Proportion(count=count, total=total), labels=(), confusion={})


def model_figures(name: str, count: int, total: int) -> ModelFigures:
    return ModelFigures(
        model=name,
        requests=total,
        valid=Proportion(count=count, total=total),
        failures={},
        latency=median([]),
        prompt_tokens=0,
        completion_tokens=0,
        metered=0,
    )


@pytest.mark.parametrize(
    ("shares", "proposed"),
    [
        ([(90, 100), (92, 100), (50, 100)], ['router: {exclude: ["x/*", "m2"]}']),
        ([(90, 100), (92, 100), (85, 100)], []),
        ([(90, 100), (92, 100), (0, 9)], []),
        ([(99, 100), (70, 100), (71, 100), (72, 100), (73, 100)], []),
        ([(99, 100)], []),
    ],
)
def test_only_a_model_whose_interval_lies_below_half_of_the_others_is_proposed(
    shares: list[tuple[int, int]], proposed: list[str]
) -> None:
    models = [model_figures(f"m{n}", count, total) for n, (count, total) in enumerate(shares)]
    by_usable = models_to_exclude(models, None, ["x/*"], least=1)
    assert [each.line for each in by_usable][-1:] == proposed
    measured = Evaluation(overall=score(0, 0), models={f"m{n}": score(*share) for n, share in enumerate(shares)})
    alike = [model_figures(each.model, 5, 10) for each in models]
    assert [each.line for each in models_to_exclude(alike, measured, ["x/*"], least=1)][-1:] == proposed


def test_no_more_models_are_proposed_than_the_job_can_do_without() -> None:
    models = [model_figures("a", 90, 100), model_figures("b", 90, 100), model_figures("c", 10, 100)]
    assert models_to_exclude(models, None, [], least=2)
    assert models_to_exclude(models, None, [], least=3) == []


def test_the_median_has_the_interval_of_its_order_statistics() -> None:
    assert median([1.0] * 9).value is None
    found = median([float(n) for n in range(1, 101)])
    assert found.interval is not None
    assert (found.value, found.interval.low, found.interval.high) == (50.5, 41.0, 61.0)


def test_the_bars_add_up_and_are_few_however_long_the_job_took() -> None:
    for days in (0, 1, 30, 900):
        counter = StartCounter()
        for n in range(300):
            counter.add(1_700_000_000 + n * days * 288, answered=n % 3 > 0)
        timeline = counter.timeline([])
        assert timeline is not None
        assert len(timeline.bars) <= MOST_BARS + 1
        assert (sum(bar.starts for bar in timeline.bars), sum(bar.failed for bar in timeline.bars)) == (300, 100)
        assert all(timeline.start < reset < timeline.end for reset in timeline.resets)


def test_a_wait_ends_with_the_next_event() -> None:
    def event(second: int, name: str, **more: str) -> dict[str, str]:
        return {"at": f"2026-10-06T12:00:{second:02}+00:00", "event": name, **more}

    events = [event(0, "waiting", reason="minute"), event(5, "warning"), event(9, "going_on"), {"at": "?"}]
    events += [event(20, "waiting", reason="day"), event(20, "stopped"), event(21, "ended")]
    (wait,) = pauses(events)
    assert (wait.end - wait.start, wait.reason) == (9, "minute")


def test_a_run_that_a_spent_day_has_stopped_waits_for_the_next_day_or_run() -> None:
    def event(hour: int, name: str, **more: str) -> dict[str, str]:
        return {"at": f"2026-10-06T{hour:02}:00:00+00:00", "event": name, **more}

    stopped = event(12, "stopped", reason="quota", until="2026-10-07T00:00:00+00:00")
    events = [event(9, "started"), stopped, event(12, "ended")]
    (wait,) = pauses(events)
    assert (wait.end - wait.start, wait.reason) == (12 * 3600, "quota")
    (wait,) = pauses([*events, event(18, "started")])
    assert wait.end - wait.start == 6 * 3600


def test_long_texts_are_cut_until_the_rows_fit_and_models_stay_whole() -> None:
    def row(number: int) -> dict[str, Any]:
        text = f"{number} " + "x" * 590
        tries = [["2026-10-06 12:00:00", "a/" + "m" * 90, "answered", 0.1, 10]]
        return {"n": number, "s": "ok", "p": text, "a": text, "m": "a/" + "m" * 90, "r": "reply", "t": tries}

    few, many = page_rows([row(n) for n in range(10)]), page_rows([row(n) for n in range(4_000)])
    assert (few.limit, len(many.text) <= MOST_BYTES) == (600, True)
    assert many.limit < 300
    data = json.loads(many.text)
    assert (data["models"], data["replies"]) == (["a/" + "m" * 90], ["reply"])
    assert len(data["rows"][0]["p"]) == many.limit + 1


@pytest.mark.usefixtures("no_network")
def test_the_command_writes_the_page_beside_the_output(job: JobHere) -> None:
    assert job("report").code == 0
    assert job.created() == {"out.report.html"}
    output = job("report", "--json")
    assert output.json["output"] == str(job.path / "out.report.html")
    assert (output.json["rows"], output.json["job"]) == (3, "job")
    assert job("report", "-o", job.path / "other.html").code == 0
    assert job.created() == {"out.report.html", "other.html"}


@pytest.mark.usefixtures("no_network")
def test_a_report_overwrites_only_pages(job: JobHere) -> None:
    (job.path / "link.html").symlink_to(job.file)
    (job.path / "folder.html").mkdir()
    before = job.file.read_text()
    for name, why in (
        ("job.yaml", "its name ends in .html"),
        ("link.html", "job.yaml"),
        ("folder.html", "no plain file"),
    ):
        output = job("report", "-o", job.path / name)
        assert (output.code, output.err.count("\n")) == (2, 1)
        assert "--output" in output.err
        assert why in output.err
    assert job.file.read_text() == before
