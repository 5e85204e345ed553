"""What the summary of a run and `status` say of the rows: labels, models, waste, failures, the last runs."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from support.command_line import ROWS, JobHere
from support.processes import JobFolder, emulator

from batchfree.cli.outcome_text import outcome_lines
from batchfree.cli.times import duration, moment, with_local_times
from batchfree.core.stops import Counts
from batchfree.job.run_history import past_runs, waiting
from batchfree.journal.event_log import LARGEST_LOG, EventLog
from batchfree.run.summary import Summary

LABELS = {"labels": ["odd", "even"]}


def test_this_run_and_all_runs_are_told_apart(job: JobHere) -> None:
    job.spec(answer=LABELS, router={"route": "local", "seed": 3})
    first = job("run", "-n", 1).err
    assert "this run: 1 answered, 0 failed; 1 request, in " in first
    assert "all runs" not in first
    second = job("run").err
    assert "this run: 1 answered, 0 failed; 1 request, in " in second
    assert "all runs: 2 requests" in second
    assert re.search(r"answers: (odd|even) \d, (odd|even) \d\n", second)


def test_labels_without_rows_are_named_only_if_they_are_few() -> None:
    three, ten = {"odd": 0, "even": 0, "none": 3}, {**{f"label-{number}": 0 for number in range(9)}, "none": 3}
    for labels, shown in ((three, "answers: none 3, even 0, odd 0"), (ten, "answers: none 3; 9 labels on no row")):
        summary = Summary(
            job="a", stopped=None, counts=Counts(ok=3), requests=1, models={}, errors={}, examples={}, output=None,
            labels=labels,
        )  # fmt: skip
        assert [line.strip() for line in outcome_lines(summary)] == [shown]


def test_nothing_to_do_is_one_line(job: JobHere) -> None:
    job("run", "-q")
    output = job("run")
    assert (output.code, output.err.count("\n")) == (0, 1)
    assert output.err.startswith("job: nothing to do: 3 of 3 rows answered; the table is ")


def test_rows_that_failed_earlier_are_told_again_in_short(job: JobHere) -> None:
    job.rows(*ROWS[:2], {"id": "c", "prompt": None})
    job("run", "-q")
    lines = job("run").err.splitlines()
    assert lines[0].startswith("job: nothing to do: 2 of 3 rows answered, 1 failed for good")
    assert lines[1] == "  render: 1 row"
    assert lines[2].startswith("to ask the failed rows again: batchfree run ")


def test_requests_without_an_answer_are_counted_by_model_and_cause(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "job", 12, router={"route": "local", "seed": 3})
    more = "faults: [{fault: upstream_429, model: 'emulated/glm*'}]\n"
    with emulator(tmp_path / "service", more=more) as service:
        done = folder.run(service, "--json")
        value = json.loads(done.stdout)
        wasted = value["this_run"]["wasted"]
        assert set(wasted) <= {"emulated/glm-5.2:free"}
        if wasted:
            number = wasted["emulated/glm-5.2:free"]["upstream_rate_limit"]
            line = rf"  emulated/glm-5.2:free +{number} requests? without answer: {number} upstream_rate_limit"
            assert re.search(line, done.stderr)
            assert re.search(line, folder.command("status", "--endpoint", service.url).stderr)
        assert value["requests"] == 12 + value["this_run"]["without_answer"]


def test_status_lists_the_last_runs_and_what_to_type(job: JobHere) -> None:
    job("run", "-q", "-n", 1)
    job("run", "-q", "--until", "0s")
    output = job("status")
    lines = output.err.splitlines()
    assert lines[0] == "job: 2 of 3 rows answered, 0 failed, 1 pending; not running"
    runs = lines[lines.index("last runs:") + 1 :]
    assert re.fullmatch(r"  [\d:]+, \d+ s: 0 requests; then 2 ok, .*; exit code 75: the time given by .*", runs[0])
    assert re.fullmatch(r"  [\d:]+, \d+ s: \d requests?; then 2 ok, 0 failed, 1 pending; exit code 0", runs[1])
    assert lines[-1] == f"next: batchfree run {job.file}"
    value = job("status", "--json").json
    assert [run["exit_code"] for run in value["last_runs"]] == [75, 0]
    assert value["last_runs"][0]["reason"] == "deadline"


def test_a_run_that_was_killed_is_told_as_cut_off() -> None:
    at = "2026-10-06T12:00:00Z"
    started, ended = {"at": at, "event": "started"}, {"at": at, "event": "ended", "exit_code": 0}
    runs = past_runs([[started, started, ended]])
    assert [run.ended_at is None for run in runs] == [False, True]


def test_a_wait_lasts_until_its_end_whatever_else_is_logged() -> None:
    events = [
        {"event": "waiting", "reason": "day", "until": "2026-10-06T12:00:00Z"},
        {"event": "model_resting", "until": "2026-10-06T11:00:00Z"},
        {"event": "progress"},
    ]
    noon = 1_791_288_000.0
    assert waiting(events, noon - 60) == ("day", noon)
    assert waiting(events, noon + 60) == (None, None)
    assert waiting([*events, {"event": "going_on"}], noon - 60) == (None, None)
    assert waiting([{"event": "waiting", "reason": "day", "until": noon}], noon - 60) == ("day", noon)  # of version 0.1


def test_the_log_is_rotated(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log.jsonl", lambda: 0.0)
    (tmp_path / "log.jsonl").write_bytes(b"x" * LARGEST_LOG)
    log.write("started")
    assert (tmp_path / "log.1.jsonl").stat().st_size == LARGEST_LOG
    assert json.loads((tmp_path / "log.jsonl").read_text()) == {"at": "1970-01-01T00:00:00Z", "event": "started"}


def test_nothing_is_logged_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "log.jsonl").symlink_to(tmp_path / "mine.txt")
    EventLog(tmp_path / "log.jsonl", lambda: 0.0).write("started")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_moments_have_a_date_and_a_zone_where_they_are_not_today() -> None:
    noon = time.mktime((2026, 10, 6, 12, 0, 0, 0, 0, -1))
    assert moment(noon + 5, noon) == "12:00:05"
    assert re.fullmatch(r"2026-10-07 12:00 \w+", moment(noon + 86_400, noon))
    shown = [duration(seconds) for seconds in (5, 60, 3_540, 3_600, 12_000, 86_400, 400_000)]
    assert shown == ["5 s", "1 min", "59 min", "1 h", "3 h 20 min", "1 day", "5 days"]


def test_a_message_for_a_person_names_times_like_every_other_line() -> None:
    now = 1_791_288_000.0  # 2026-10-06T12:00:00Z
    midnight = moment(now + 12 * 3_600, now)
    assert (
        with_local_times("used up: 50 of 50; more at 2026-10-07T00:00:00Z", now)
        == f"used up: 50 of 50; more at {midnight}"
    )
    assert with_local_times("resets at 2026-99-07T00:00:00Z", now) == "resets at 2026-99-07T00:00:00Z"
