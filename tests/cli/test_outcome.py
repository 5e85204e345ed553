"""What the summary of a run and `status` say of the rows: labels, models, waste, failures, the last runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

from support.command_line import ROWS, JobHere
from support.processes import JobFolder, emulator

from batchfree.cli.outcome_text import outcome_lines
from batchfree.core.stops import Counts
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
