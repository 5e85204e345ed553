"""One job in parts: each question is asked once, whatever the number of parts, and the parts make one table."""

from __future__ import annotations

import json
import socket
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support.processes import JobFolder, emulator, finished, until
from support.rehearsal import Rehearsal, scenario, stop_of

import batchfree
from batchfree.core.chat import ChatRequest
from batchfree.core.parts import MOST_PARTS, Part, parse_part, part_of_folder
from batchfree.core.stops import StopReason
from batchfree.job.hold_job import find_run, hold_job
from batchfree.job.open_job import open_job
from batchfree.job.plan import plan
from batchfree.job.status import status
from batchfree.journal.lock import was_left_elsewhere
from batchfree.journal.run_folder import RunFolder
from batchfree.report.write_report import write_report

ROWS = [{"n": number // 2, "note": f"note {number}"} for number in range(120)]
PROMPT = "What is the name of thing number {{ n }}?"
HONEST = scenario(
    "limits: {per_minute: null, per_day: null}\nrouter: {draws_classifier: false}\n"
    "pool: {accuracy: 1.0, follows: 1.0, latency: {constant: 1}}"
)


@pytest.fixture
def job(tmp_path: Path) -> Rehearsal:
    """A job of 60 questions, each of two rows."""
    limits = {"requests_per_minute": 100_000, "requests_per_day": 100_000}
    return Rehearsal(tmp_path, ROWS, {"prompt": PROMPT, "limits": limits}, service=HONEST)


def part_of(text: str) -> Part:
    found = parse_part(text)
    assert found is not None
    return found


def run(job: Rehearsal, part: str, **options: Any) -> batchfree.Summary:
    return job.run(part=part_of(part), **options)


def asked(job: Rehearsal) -> Counter[str]:
    """How often each question was sent."""
    return Counter(post.body["messages"][-1]["content"] for post in job.posts)


# Which part


@pytest.mark.parametrize("text", ["0/3", "4/3", "1/0", "1", "a/b", "-1/3", "1/3/5", f"1/{MOST_PARTS + 1}", "", "1,5/3"])
def test_what_names_no_part_is_refused(text: str) -> None:
    assert parse_part(text) is None
    assert part_of_folder(text.replace("/", "-of-")) is None


def test_every_question_is_in_exactly_one_part() -> None:
    parts = [Part(number=number, count=7) for number in range(1, 8)]
    digests = [f"{number * 7919:032x}" for number in range(500)]
    assert all(sum(part.has(digest) for part in parts) == 1 for digest in [*digests, None])
    assert sum(part.share(100) for part in parts) == 100
    assert part_of_folder(parts[2].folder) == parts[2] == parse_part("3/7")


def test_a_later_pass_over_the_input_renders_only_the_rows_of_the_part(job: Rehearsal) -> None:
    opened, rendered = open_job(job.job().spec, part_of("2/3")), list[int]()
    to_request = opened.prompts.to_request

    def render(row: Mapping[str, Any]) -> ChatRequest:
        rendered.append(row["n"])
        return to_request(row)

    spied = replace(opened, prompts=replace(opened.prompts, to_request=render))
    passes = [[row["n"] for row, _ in spied.rows_to_answer()] for _ in range(2)]
    assert passes[0] == passes[1]
    assert rendered == [row["n"] for row in ROWS] + passes[0]


# Runs


def test_parts_of_any_number_and_whole_runs_ask_each_question_once(job: Rehearsal) -> None:
    counts = [run(job, f"{number}/4").counts for number in range(1, 5)]
    assert sum(count.rows for count in counts) == sum(count.ok for count in counts) == len(ROWS)
    assert all(count.rows % 2 == 0 for count in counts)
    assert not (job.folder / "out.parquet").exists()
    assert max(asked(job).values()) == 1
    whole = job.run()
    assert (whole.counts.ok, whole.requests, job.table().height) == (len(ROWS), 0, len(ROWS))
    again = [run(job, f"{number}/3") for number in range(1, 4)]
    assert [(each.requests, each.counts.pending) for each in again] == [(0, 0)] * 3
    assert len(job.posts) == len(asked(job)) == len(ROWS) // 2


def test_each_part_has_a_journal_of_its_own(job: Rehearsal) -> None:
    run(job, "2/3")
    assert sorted(path.name for path in (job.folder / "job.run" / "parts" / "2-of-3").iterdir()) == [
        "journal.jsonl",
        "lock",
        "log.jsonl",
        "spec.yaml",
    ]
    assert not (job.folder / "job.run" / "journal.jsonl").exists()


def test_every_reading_command_sees_all_parts(job: Rehearsal) -> None:
    first, second = run(job, "1/2"), run(job, "2/2", limit=3)
    loaded = job.job()
    found = status(loaded, job.time.clock())
    assert found.counts.ok == first.counts.ok + second.counts.ok < len(ROWS)
    assert found.requests_today == first.requests + second.requests
    assert [each.requests for each in found.last_runs] == [second.requests, first.requests]
    assert batchfree.table(loaded).collect()["status"].value_counts().sort("status")["count"].to_list() == [
        found.counts.ok,
        found.counts.pending,
    ]
    planned = job.time.run(plan, loaded, job.time.clock)
    assert (planned.answered, planned.to_do) == (found.counts.ok, found.counts.pending)


def test_an_answer_of_another_part_that_came_later_counts_as_the_later_one(job: Rehearsal) -> None:
    """A question that was asked in two journals: its attempts are in the order of time, whatever file they are in."""
    job.write_spec({**job.spec, "votes": {"min": 1, "max": 3, "agree": 3}, "answer": {"labels": ["yes", "no"]}})
    run(job, "1/1", limit=1)
    job.time.pass_by(60)
    job.run(limit=1)
    job.time.pass_by(60)
    run(job, "1/2", limit=1)
    run(job, "2/2", limit=1)
    table = job.table()
    later = batchfree.table(job.job()).collect()
    assert table.height == later.height
    for row in later.filter(status="ok").iter_rows(named=True):
        tried = [attempt["models"] for attempt in attempts(job, row["n"])]
        assert len(row["models_tried"]) == len(tried)


def attempts(job: Rehearsal, n: int) -> list[dict[str, Any]]:
    """The lines about a row of all journals, in the order of time."""
    paths = [folder.journal for folder in RunFolder(job.folder / "job.run").all()]
    lines = [json.loads(line) for path in paths if path.exists() for line in path.read_text().splitlines()[1:]]
    about = [line for line in lines if any(ROWS[each["row"]]["n"] == n for each in line["outcomes"])]
    return sorted(about, key=lambda line: line["at"])


def test_votes_of_parts_stay_within_the_budget_of_the_job(job: Rehearsal) -> None:
    job.write_spec(
        {**job.spec, "votes": {"min": 2, "max": 4, "agree": 2, "budget": 2.5}, "answer": {"labels": ["a", "b"]}}
    )
    for number in (1, 2, 3):
        run(job, f"{number}/3")
    assert len(job.posts) <= 2.5 * len(ROWS)
    voted = batchfree.table(job.job()).collect()
    assert min(map(len, voted["votes"])) >= 2
    before = len(job.posts)
    run(job, "1/2")
    assert len(job.posts) <= before + 0.5 * len(ROWS)


def test_a_row_that_can_not_be_rendered_belongs_to_the_first_part(job: Rehearsal) -> None:
    job.write_rows([*ROWS, {"n": None}])
    codes = [run(job, f"{number}/3").exit_code for number in (1, 2, 3)]
    assert codes == [1, 0, 0]


def test_fresh_sets_the_journals_of_all_parts_aside(job: Rehearsal) -> None:
    run(job, "1/2")
    run(job, "2/2")
    summary = job.run(fresh=True)
    assert (summary.counts.ok, summary.requests) == (len(ROWS), len(ROWS) // 2)
    assert [path.name for path in (job.folder / "job.run").glob("parts*")] != ["parts"]
    assert len(list((job.folder / "job.run").glob("parts.*/*/journal.jsonl"))) == 2
    with pytest.raises(batchfree.SpecError, match="--fresh: a part"):
        run(job, "1/2", fresh=True)


def test_a_part_of_another_job_is_refused(job: Rehearsal, tmp_path: Path) -> None:
    run(job, "1/2")
    job.write_spec({**job.spec, "name": "other", "run_dir": str(tmp_path / "job.run")})
    with pytest.raises(batchfree.BatchfreeError, match="belongs to the job 'job'"):
        job.run()


# Output in parts


def in_folder(job: Rehearsal, **spec: Any) -> Path:
    """Gives the job a folder as output; returns the folder."""
    job.write_spec({**job.spec, "output": "out/answers/", **spec})
    return job.folder / "out" / "answers"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_part_writes_its_own_file_and_together_they_are_the_table(job: Rehearsal) -> None:
    folder = in_folder(job)
    summaries = [run(job, f"{number}/3") for number in (1, 2, 3)]
    assert [summary.output for summary in summaries] == [folder / f"part-{number}-of-3.parquet" for number in (1, 2, 3)]
    for summary in summaries:
        part = pl.read_parquet(summary.output or "")
        assert (part.height, part["row"].is_sorted()) == (summary.counts.rows, True)
    found = pl.scan_parquet(f"{folder}/").sort("row").collect()
    assert found["row"].dtype == pl.UInt64
    assert found["row"].to_list() == list(range(len(ROWS)))
    assert found.select("n", "note").to_dicts() == ROWS
    assert found["status"].unique().to_list() == ["ok"]


def test_parts_of_another_number_go_when_all_new_ones_stand(job: Rehearsal) -> None:
    folder = in_folder(job)
    for number in (1, 2):
        run(job, f"{number}/2")
    (folder / "part-1-of-9.parquet").write_bytes((folder / "part-1-of-2.parquet").read_bytes())
    (folder / "mine.txt").write_text("kept")
    run(job, "1/3")
    run(job, "3/3")
    kept = ["mine.txt", "part-1-of-2.parquet", "part-1-of-3.parquet", "part-1-of-9.parquet"]
    assert names(folder) == [*kept, "part-2-of-2.parquet", "part-3-of-3.parquet"]
    run(job, "2/3")
    assert names(folder) == ["mine.txt", *(f"part-{number}-of-3.parquet" for number in (1, 2, 3))]
    job.run()
    assert names(folder) == ["mine.txt", "part-1-of-1.parquet"]
    assert pl.read_parquet(folder / "part-1-of-1.parquet")["row"].to_list() == list(range(len(ROWS)))


def test_a_file_of_another_job_stays_in_the_folder(job: Rehearsal) -> None:
    folder = in_folder(job)
    folder.mkdir(parents=True)
    pl.DataFrame({"a": [1]}).write_parquet(folder / "part-1-of-2.parquet")
    job.run()
    assert names(folder) == ["part-1-of-1.parquet", "part-1-of-2.parquet"]
    with pytest.raises(batchfree.SpecError, match="a file that this job did not write"):
        run(job, "1/2")


def test_the_run_folder_and_the_report_stand_beside_the_folder(job: Rehearsal) -> None:
    in_folder(job)
    job.run()
    write_report(job.job(), None, job.time.clock())
    assert names(job.folder / "out") == ["answers", "answers.report.html", "job.run"]


def test_a_column_named_row_needs_a_prefix(job: Rehearsal) -> None:
    job.write_rows([{**row, "row": 1} for row in ROWS])
    in_folder(job)
    with pytest.raises(batchfree.SpecError, match="`row`"):
        job.run()
    in_folder(job, output={"path": "out/answers/", "prefix": "bf_"})
    assert job.run().counts.ok == len(ROWS)
    assert pl.read_parquet(job.folder / "out" / "answers" / "part-1-of-1.parquet")["bf_row"][-1] == len(ROWS) - 1


# At the same time


def test_a_whole_run_and_parts_exclude_each_other_and_parts_of_one_number_do_not(tmp_path: Path) -> None:
    with emulator(tmp_path, latency=600) as service:
        job = JobFolder(tmp_path / "job", 60)
        folder = RunFolder(job.run_dir)
        first = job.start(service, "--part", "1/3")
        assert until(lambda: find_run(folder), first)
        second = job.start(service, "--part", "2/3")
        assert until(lambda: folder.of_part(part_of("2/3")).log.exists(), second)
        whole, same, other = job.run(service), job.run(service, "--part", "1/3"), job.run(service, "--part", "1/2")
        for process in (first, second):
            process.kill()
            process.communicate()
        alone = job.start(service)
        assert until(lambda: find_run(folder), alone)
        late = job.run(service, "--part", "1/3")
        alone.kill()
        alone.communicate()
    assert [each.returncode for each in (whole, same, other, late)] == [75] * 4
    assert all("another run of this job is going" in each.stderr for each in (whole, same, other, late))
    assert "part 1/3, process" in same.stderr
    assert "part " in whole.stderr


def test_a_part_that_is_killed_continues_from_its_journal(tmp_path: Path) -> None:
    with emulator(tmp_path, latency=0.05) as service:
        job = JobFolder(tmp_path / "job", 100)
        killed = job.start(service, "--part", "1/2")
        journal = RunFolder(job.run_dir).of_part(part_of("1/2")).journal
        assert until(lambda: journal.exists() and journal.read_bytes().count(b"\n") > 10, killed)
        killed.kill()
        killed.communicate()
        ends = [job.run(service, "--part", f"{number}/2", "-q") for number in (1, 2)]
        end = job.run(service, "-q")
        service.settle()
        repeats = Counter(service.asked())
    assert [each.returncode for each in (*ends, end)] == [0, 0, 0]
    assert job.table()["status"].unique().to_list() == ["ok"]
    assert sum(count - 1 for count in repeats.values()) <= 4


LEFT = [
    ({"host": "other", "boot": "b0"}, True),
    ({"host": "other"}, True),
    ({"host": socket.gethostname()}, False),
    (None, False),
]
"""What a run left in the lock of its part, and whether it may still go on on another machine."""


@pytest.mark.parametrize(("left", "is_elsewhere"), LEFT)
def test_a_part_that_may_still_run_on_another_machine_gets_a_further_journal(
    job: Rehearsal, left: dict[str, str] | None, is_elsewhere: bool
) -> None:
    assert run(job, "1/2", limit=10).counts.ok >= 10
    folder = RunFolder(job.folder / "job.run").of_part(part_of("1/2"))
    with folder.journal.open("ab") as writing:
        writing.write(b'{"at": "the other machine is just writ')
    before = folder.journal.read_bytes()
    assert folder.lock.read_text() == "", "the run said that it ended"
    folder.lock.write_text("" if left is None else json.dumps({"pid": 1, **left}))
    assert (run(job, "1/2").exit_code, run(job, "2/2").exit_code) == (0, 0)
    assert [path.name for path in folder.journals] == ["journal.jsonl", *["journal.2.jsonl"] * is_elsewhere]
    assert (folder.path / "journal.jsonl").read_bytes().startswith(before) is is_elsewhere
    assert job.run().requests == 0
    assert job.table()["status"].unique().to_list() == ["ok"]
    assert len(job.posts) == len(asked(job)) == len(ROWS) // 2
    folder.lock.write_text(json.dumps({"pid": 1, "host": "third"}))
    assert run(job, "1/2").requests == 0
    assert len(folder.journals) == 2 + is_elsewhere


def test_a_job_may_have_more_parts_than_the_usual_limit_of_open_files_allows(tmp_path: Path) -> None:
    job = JobFolder(tmp_path, 3)
    for number in range(1, 151):
        folder = RunFolder(job.run_dir).of_part(Part(number=number, count=150))
        folder.path.mkdir(parents=True)
        folder.journal.touch()
    limited = ["sh", "-c", 'ulimit -S -n 256 && exec "$0" "$@"', sys.executable]
    end = finished(job.start(None, "-q", launcher=limited))
    assert (end.returncode, end.stderr) == (0, "")


def test_a_killed_run_of_this_machine_leaves_its_journal_to_the_next_one(tmp_path: Path) -> None:
    with emulator(tmp_path, latency=600) as service:
        job = JobFolder(tmp_path / "job", 60)
        folder = RunFolder(job.run_dir).of_part(part_of("1/2"))
        killed = job.start(service, "--part", "1/2")
        assert until(lambda: folder.lock.exists() and f'"pid": {killed.pid}' in folder.lock.read_text(), killed)
        killed.kill()
        killed.communicate()
    assert not was_left_elsewhere(folder.lock)


def test_a_locked_part_says_so(job: Rehearsal) -> None:
    with hold_job(RunFolder(job.folder / "job.run"), part_of("1/2")) as holder:
        assert holder is None
        summary = run(job, "1/2")
    assert (stop_of(summary).reason, summary.exit_code) == (StopReason.LOCKED, 75)
