"""`run`: what it prints, with which exit code it ends, and its options."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.command_line import ROWS, JobHere, Output, command
from support.processes import JobFolder, emulator

from batchfree.cli.run_command import deadline
from batchfree.cli.show_progress import attempt_line
from batchfree.core.chat import Kind
from batchfree.core.errors import SpecError
from batchfree.journal.attempts import Attempt, Outcome


def test_a_run_prints_its_summary_to_stderr_and_nothing_to_stdout(job: JobHere) -> None:
    output = job("run")
    assert (output.code, output.out) == (0, "")
    assert "job: 3 of 3 rows answered" in output.err
    assert "table: " in output.err
    assert "What is 1 + 2?" in output.err  # the first rows of the table


def test_json_of_a_run_is_one_object_on_stdout(job: JobHere) -> None:
    value = job("run", "--json", "--set", "router.route=local").json
    assert {"job", "stopped", "counts", "requests", "models", "output"} <= value.keys()
    assert value["counts"] == {"ok": 3, "failed": 0, "pending": 0}
    assert (value["job"], value["stopped"], value["requests"]) == ("job", None, 2)  # two rows are equal
    assert sum(value["models"].values()) == 3
    assert value["output"] == str(job.path / "out.parquet")


def test_quiet_prints_nothing_when_every_row_is_answered(job: JobHere) -> None:
    assert job("run", "-q") == Output(0, "", "")
    assert job("run", "-q", "--fresh") == Output(0, "", "")


def test_quiet_says_nothing_when_only_time_is_needed(job: JobHere) -> None:
    job.spec(limits={"requests_per_day": 1})
    assert job("run", "-q", "--until", "0s") == Output(75, "", "")
    assert job("run", "-q") == Output(75, "", "")
    status = job("status", "--json").json
    assert (status["waiting_for"], status["counts"]["pending"] > 0) == ("quota", True)
    assert status["until"].endswith("T00:00:00Z")


@pytest.mark.parametrize(("change", "code", "says"), [
    ({"input": "gone.jsonl"}, 2, "gone.jsonl"),
    ({"endpoint": "https://openrouter.ai/api/v1"}, 3, "job: stopped: no API key"),
    ({"router": {"only": ["nobody/*"], "route": "local"}}, 3, "job: stopped: "),
    ({"endpoint": "http://127.0.0.1:9/v1", "router": {"route": "local"}}, 75, "127.0.0.1"),
])  # fmt: skip
def test_quiet_says_why_when_somebody_should_look(job: JobHere, change: dict[str, Any], code: int, says: str) -> None:
    job.spec(**change)
    output = job("run", "-q")
    assert (output.code, output.out) == (code, "")
    assert says in output.err


def test_quiet_names_the_rows_that_failed(job: JobHere) -> None:
    job.rows(*ROWS[:2], {"id": "c", "prompt": None})
    output = job("run", "-q")
    assert (output.code, output.err.splitlines()[0]) == (1, "job: 1 of 3 rows failed for good: 1 render")
    assert output.err.splitlines()[1] == f"more: batchfree status {job.file}"


def test_verbose_prints_the_outcome_of_every_request(job: JobHere) -> None:
    output = job("run", "-v", "--progress", "none", "--set", "router.route=local")
    value = [line for line in output.err.splitlines() if re.match(r"\d\d:\d\d:\d\d ", line)]
    assert len(value) == 2
    assert re.search(r"row 2 \(b\): emulated/.*, \d+\.\d s: ok$", value[1])


@pytest.mark.parametrize(("outcomes", "says"), [
    ([(0, None, None)], "row 1: a:free, 1.2 s: ok"),
    ([(3, "bad_answer", "none of the labels")], "row 4: a:free, 1.2 s: bad_answer: none of the labels"),
    ([(3, None, None), (4, None, None), (7, "empty", "no")], "3 rows from row 4 on: a:free, 1.2 s: 2 ok, 1 empty"),
])  # fmt: skip
def test_a_request_is_described_in_one_line(outcomes: Sequence[tuple[int, str | None, str | None]], says: str) -> None:
    attempt = Attempt(
        at=datetime.now(UTC),
        route="local",
        models=("a:free",),
        model="a:free",
        latency_s=1.24,
        outcomes=tuple(
            Outcome(question="q", row=row, kind=None if kind is None else Kind(kind), error=error)
            for row, kind, error in outcomes
        ),
    )
    assert attempt_line(attempt)[9:] == says


def test_an_empty_input_ends_with_0_and_a_warning(job: JobHere) -> None:
    for text in ("", "\n\n"):
        (job.path / "rows.jsonl").write_text(text, encoding="utf-8")
        output = job("run")
        assert output.code == 0
        assert "warning: the input has no rows" in output.err


def test_a_reached_limit_ends_with_0(job: JobHere) -> None:
    output = job("run", "-n", 1, "--json")
    assert (output.code, output.json["counts"]) == (0, {"ok": 2, "failed": 0, "pending": 1})
    assert "next:" not in output.err


@pytest.mark.parametrize(("threshold", "code"), [("0%", 1), ("33%", 1), ("34%", 0), ("100%", 0)])
def test_as_many_rows_may_fail_as_the_threshold_allows(job: JobHere, threshold: str, code: int) -> None:
    job.rows(*ROWS[:2], {"id": "c", "prompt": None})
    assert job("run", "--fail-threshold", threshold, "-q").code == code


def test_a_deadline_is_the_reason_why_the_run_stopped(job: JobHere) -> None:
    output = job("run", "--until", "0s", "--json", "-q")
    assert output.code == 75
    assert (output.json["stopped"]["reason"], output.json["counts"]["pending"]) == ("deadline", 3)
    assert output.err == ""


def test_the_command_to_type_next_leaves_fresh_out(job: JobHere) -> None:
    output = job("run", "--fresh", "--until", "0s")
    assert f"next: batchfree run {job.file} --until 0s" in output.err


def test_paths_start_at_the_job_file_and_the_output_option_at_the_working_directory(
    job: JobHere, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert command("run", "../job.yaml", "-q").code == 0
    assert (job.path / "out.parquet").exists()
    assert (job.path / "job.run").is_dir()
    assert command("run", "../job.yaml", "-q", "-o", "here.csv").code == 0
    assert {path.name for path in elsewhere.iterdir()} == {"here.csv"}  # the run folder stays where it was


@pytest.mark.usefixtures("no_network")
def test_a_run_with_nothing_left_to_ask_needs_neither_network_nor_key(job: JobHere) -> None:
    job.rows({"id": "a", "prompt": None})
    job.spec(endpoint="https://openrouter.ai/api/v1")
    output = job("run", "--json")
    assert (output.code, output.json["requests"]) == (1, 0)


REAL = "pool: {replace: true, models: [{id: 'acme/large-7b:free'}]}"


def test_a_real_run_asks_every_row_of_a_rehearsal_again(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "job", 4)
    assert (folder.run(None).returncode, folder.answered()) == (0, {0, 1, 2, 3})
    assert json.loads(folder.command("status", "--json").stdout)["counts"]["pending"] == 4
    assert json.loads(folder.command("status", "--endpoint", "embedded", "--json").stdout)["counts"]["ok"] == 4
    with emulator(tmp_path / "service", more=REAL) as service:
        assert folder.run(service, "-q").returncode == 0
        assert len(service.posts()) == 4
        assert set(folder.table()["model"]) == {"acme/large-7b:free"}
        assert set(folder.table()["attempts"]) == {1}
        assert folder.run(service).returncode == 0
        assert len(service.posts()) == 4, "real answers count"
    again = folder.run(None)
    assert (again.returncode, "nothing to do" in again.stderr) == (0, True), "in a rehearsal real answers count too"


def test_a_rehearsal_over_a_socket_continues_on_its_endpoint_and_counts_nowhere_else(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "job", 4)
    with emulator(tmp_path / "one") as one, emulator(tmp_path / "two") as two:
        assert folder.run(one, "-n", "3").returncode == 0
        assert folder.run(one).returncode == 0
        assert len(one.posts()) == 4
        assert folder.run(two).returncode == 0
        assert len(two.posts()) == 4


def test_rehearsals_are_not_slowed_down_by_each_other(job: JobHere) -> None:
    job.rows(*({"id": str(n), "prompt": f"What is 1 + {n}?"} for n in range(30)))
    job.spec(limits={})
    began = time.monotonic()
    for _ in range(2):
        assert job("run", "-q", "--fresh").code == 0
    assert time.monotonic() - began < 30  # with the limits of an account it would take two minutes
    assert not (job.path / "state").exists()


def test_plain_progress_counts_rows_of_earlier_runs(job: JobHere) -> None:
    job("run", "-q", "-n", 1)
    output = job("run", "--progress", "plain")
    told = re.search(r"job \d+%: (\d) ok, 0 failed, (\d) left", output.err)
    assert told is not None
    assert int(told[1]) >= 1
    assert int(told[1]) + int(told[2]) == 3


UNTIL = [
    ("22:30", datetime(2026, 10, 6, 22, 30)),
    ("6:05", datetime(2026, 10, 7, 6, 5)),
    ("12:00", datetime(2026, 10, 7, 12, 0)),
    ("90s", datetime(2026, 10, 6, 12, 1, 30)),
    ("15m", datetime(2026, 10, 6, 12, 15)),
    ("1h30m", datetime(2026, 10, 6, 13, 30)),
]


@pytest.mark.parametrize(("text", "moment"), UNTIL)
def test_until_is_a_local_time_today_or_tomorrow_or_a_duration(text: str, moment: datetime) -> None:
    assert deadline(text, datetime(2026, 10, 6, 12, 0)) == moment.timestamp()


@pytest.mark.parametrize("text", ["", "24:00", "12:60", "90", "1d", "-5m", "h", "1m1h"])
def test_any_other_deadline_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="--until: expected HH:MM"):
        deadline(text, datetime(2026, 10, 6, 12, 0))
