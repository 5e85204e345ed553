"""A second run of a job asks exactly the questions without an answer, whatever has changed between the runs."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from support.rehearsal import Rehearsal, scenario

import batchfree
from batchfree.core.errors import DatasetError, OutputError, StorageError
from batchfree.emulator.http.in_process import InProcessTransport

CALM = """
limits: {per_minute: null, per_day: null}
router: {draws_classifier: false}
pool: {accuracy: 1.0, follows: 1.0}
"""
LIMITS = {"requests_per_minute": 10_000, "requests_per_day": 10_000}
Rows = list[dict[str, Any]]
NO_SUCH_KEY = {"error": {"code": 401, "message": "User not found."}}


class Resumed(Rehearsal):
    """A rehearsal that shows the questions of each run."""

    def asked(self, **options: Any) -> list[str]:
        """Runs the job once and returns the prompts that it sent, sorted."""
        before = len(self.posts)
        self.summary = self.run(**options)
        return sorted(post.body["messages"][-1]["content"] for post in self.posts[before:])

    def change(self, **spec: Any) -> None:
        """Replaces keys of the spec."""
        self.spec = {**self.spec, **spec}
        self.write_spec(self.spec)


def things(*numbers: int, note: str = "x") -> Rows:
    return [{"id": f"r{n}", "prompt": f"Name thing {n}.", "note": note} for n in numbers]


def prompts(*numbers: int) -> list[str]:
    return sorted(f"Name thing {n}." for n in numbers)


def run_once(folder: Path, rows: Sequence[dict[str, Any]], service: str = CALM, **spec: Any) -> Resumed:
    """A job after its first run."""
    job = Resumed(folder, rows, {"limits": LIMITS, **spec}, scenario(service))
    job.summary = job.run()
    return job


@pytest.fixture
def job(tmp_path: Path) -> Resumed:
    """A job of five rows, all answered."""
    started = run_once(tmp_path, things(0, 1, 2, 3, 4), input={"path": "rows.jsonl", "id": "id"})
    assert (started.summary.exit_code, len(started.posts)) == (0, 5)
    return started


@pytest.mark.parametrize(
    ("rows", "asked"),
    [
        (things(0, 1, 2, 3, 4), []),
        (things(0, 1, 2, 3, 4, 5, 6), [5, 6]),
        (things(4, 2, 0, 3, 1), []),
        (things(3, 1), []),
        (things(7, 3, 1), [7]),
        (things(0, 1, 2, 3, 4, note="edited"), []),
        ([{**row, "more": 1} for row in things(0, 1, 2, 3, 4)], []),
        ([{"id": f"other{n}", "prompt": f"Name thing {n}."} for n in range(5)], []),
    ],
    ids=["unchanged", "appended", "re-ordered", "thinned out", "all of it", "unused edited", "column added", "new ids"],
)
def test_after_a_change_of_the_input_only_new_questions_are_asked(job: Resumed, rows: Rows, asked: list[int]) -> None:
    job.write_rows(rows)
    assert job.asked() == prompts(*asked)
    assert job.summary.exit_code == 0
    table = job.table()
    assert table["prompt"].to_list() == [row["prompt"] for row in rows]
    assert set(table["status"]) == {"ok"}
    assert table["attempts"].to_list() == [1] * len(rows)


def test_an_edited_row_is_asked_again_with_a_warning(job: Resumed) -> None:
    rows = things(0, 1, 2, 3, 4)
    rows[3]["prompt"] = "Name thing 33."
    job.write_rows([*rows, *things(9)])
    assert job.asked() == prompts(33, 9)
    assert list(job.summary.warnings) == ["1 row is asked again: their question has changed since they were answered"]
    rows[3]["prompt"] = "Name thing 3."
    job.write_rows(rows)
    assert job.asked() == [], "the first question still has its answer"
    assert list(job.summary.warnings) == []


@pytest.mark.parametrize(
    "change",
    [
        {"limits": {**LIMITS, "concurrency": 2, "reserve": 3}},
        {"router": {"route": "local", "exclude": ["emulated/g*"], "fallbacks": 0}},
        {"retry": {"max_attempts": 2, "timeout": 60}},
        {"output": "elsewhere.csv"},
        {"pack": 1, "input": {"path": "rows.jsonl", "id": "id"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_change_outside_the_question_costs_no_request(tmp_path: Path, change: dict[str, Any]) -> None:
    job = run_once(tmp_path, things(0, 1, 2))
    job.change(**change)
    assert job.asked() == []
    assert job.summary.counts.ok == 3


def test_a_change_of_the_endpoint_costs_no_request_for_real_answers(tmp_path: Path) -> None:
    real = "pool: {replace: true, models: [{id: 'acme/large-7b:free'}]}"
    job = Resumed(tmp_path, things(0, 1, 2), {"limits": LIMITS}, scenario(real))
    assert len(job.asked()) == 3
    job.change(endpoint="http://other.invalid/api/v1")
    assert job.asked() == []
    assert job.summary.counts.ok == 3


def test_a_change_of_packs_costs_no_request(tmp_path: Path) -> None:
    rows = things(*range(6))
    job = run_once(tmp_path, rows, answer={"labels": ["yes", "no"]}, pack=3)
    assert (job.summary.counts.ok, len(job.posts)) == (6, 2)
    job.change(pack=1)
    assert job.asked() == []
    job.write_rows([*rows, *things(7)])
    assert job.asked() == prompts(7)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "Please! {{ prompt }}"},
        {"system": "Be brief."},
        {"request": {"temperature": 0}},
        {"answer": {"labels": ["thing", "name"]}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_question_asks_all_rows_again_and_warns_before_the_first_request(
    job: Resumed, change: dict[str, Any]
) -> None:
    job.change(**change)
    seen: list[tuple[int, tuple[str, ...]]] = []

    async def main() -> batchfree.Summary:
        def watch(progress: Any) -> None:
            seen.append((len(job.posts), progress.warnings))

        transport = InProcessTransport(job.emulator)
        return await batchfree.arun(job.job(), batchfree.RunOptions(), watch, clock=job.time.clock, transport=transport)

    summary: batchfree.Summary = job.time.run(main)
    warning = "5 rows are asked again: their question has changed since they were answered"
    assert summary.warnings == (warning,)
    assert (5, (warning,)) in seen, "the warning comes before the first request"
    assert len(job.posts) == 10
    assert summary.counts.ok == 5


def test_without_ids_there_is_no_warning(tmp_path: Path) -> None:
    job = run_once(tmp_path, things(0, 1))
    job.change(prompt="Please! {{ prompt }}")
    assert len(job.asked()) == 2
    assert list(job.summary.warnings) == []


@pytest.mark.parametrize(
    ("id", "says"),
    [(None, "the id is null"), ("r1", "the id 'r1' was seen before, in line 2")],
    ids=["null", "twice"],
)
def test_an_id_that_is_null_or_not_unique_is_refused_with_its_line(tmp_path: Path, id: str | None, says: str) -> None:
    job = Resumed(
        tmp_path, [*things(0, 1, 2), {"id": id, "prompt": "?"}], {"input": {"path": "rows.jsonl", "id": "id"}}
    )
    with pytest.raises(DatasetError, match=says) as raised:
        job.run()
    assert [mistake.line for mistake in raised.value.mistakes] == [4]
    assert job.posts == []


def test_failed_rows_are_asked_again_only_with_retry_failed(tmp_path: Path) -> None:
    faults = CALM + "faults: [{fault: invalid_400, content: 'thing 1', nth: '1-6'}]\n"
    job = run_once(tmp_path, things(0, 1, 2), faults)
    assert (job.summary.exit_code, job.summary.counts.failed) == (1, 1)
    first = job.table().row(1, named=True)
    assert (first["status"], first["error_kind"], first["attempts"]) == ("failed", "invalid_request", 1)
    assert job.asked() == []
    assert job.summary.exit_code == 1
    while job.summary.counts.failed:
        assert set(job.asked(retry_failed=True)) == set(prompts(1))
    assert job.summary.exit_code == 0
    assert job.table()["attempts"].to_list()[1] > 1


def test_rows_that_no_template_fits_fail_without_a_request(tmp_path: Path) -> None:
    job = run_once(tmp_path, [{"prompt": None}, {"prompt": None}], prompt="{{ prompt }}")
    assert (job.summary.exit_code, job.summary.counts.failed, job.posts) == (1, 2, [])
    assert set(job.table()["error_kind"]) == {"render"}


def test_a_limit_asks_that_number_of_rows_and_the_next_run_asks_others(tmp_path: Path) -> None:
    job = Resumed(tmp_path, things(*range(5)), {"limits": LIMITS}, scenario(CALM))
    assert len(job.asked(limit=2)) == 2
    assert (job.summary.exit_code, job.summary.counts.ok, job.summary.counts.pending) == (0, 2, 3)
    assert len(job.asked(limit=2)) == 2
    assert len(job.asked()) == 1
    assert job.summary.counts.ok == 5


@pytest.mark.parametrize("trouble", ["missing", "refused"])
def test_a_fresh_start_without_a_good_key_changes_nothing(job: Resumed, trouble: str) -> None:
    before = {path: path.read_bytes() for path in (job.folder / "out.parquet", job.folder / "job.run/journal.jsonl")}
    job.change(endpoint="https://openrouter.ai/api/v1")
    if trouble == "missing":
        del job.environment["OPENROUTER_API_KEY"]
        summary = job.run(fresh=True)
    else:
        summary = job.run_over(httpx.MockTransport(lambda request: httpx.Response(401, json=NO_SUCH_KEY)), fresh=True)
    assert (summary.exit_code, summary.counts.pending) == (3, 5), "the answers of a rehearsal do not count there"
    assert {path: path.read_bytes() for path in before} == before


def test_a_fresh_start_keeps_the_old_journal_and_names_it(job: Resumed) -> None:
    kept_text = (job.folder / "job.run" / "journal.jsonl").read_bytes()
    for _ in range(2):
        assert job.asked(fresh=True) == prompts(0, 1, 2, 3, 4)
    kept = sorted((job.folder / "job.run").glob("journal.*.jsonl"))
    assert len(kept) == 2
    assert kept_text in [path.read_bytes() for path in kept]
    assert any(str(path) in job.summary.warnings[0] for path in kept)
    assert set(job.table()["attempts"]) == {1}


def test_equal_questions_are_asked_once_and_share_their_answer(tmp_path: Path) -> None:
    rows = things(1, 2, 1, 1, 2)
    slow = CALM.replace("follows: 1.0", "follows: 1.0, latency: {constant: 5}")
    job = run_once(tmp_path, rows, slow)
    assert sorted(post.body["messages"][-1]["content"] for post in job.posts) == prompts(1, 2)
    table = job.table()
    for column in ("answer", "model", "attempts", "request_id"):
        values = table[column].to_list()
        assert values[0] == values[2] == values[3], column
        assert values[1] == values[4], column
    job.write_rows([*rows, *things(2, 3, 1)])
    assert job.asked() == prompts(3)


def test_two_jobs_in_one_run_folder_are_refused(job: Resumed) -> None:
    other = job.folder / "other.yaml"
    other.write_text(
        job.job_file.read_text().replace("out.parquet", "other.parquet") + "name: other\nrun_dir: job.run\n"
    )
    for fresh in (False, True):
        with pytest.raises(OutputError, match="belongs to the job 'job'"):
            anyio.run(batchfree.arun, batchfree.load(other, environment={}), batchfree.RunOptions(fresh=fresh))
    assert not list((job.folder / "job.run").glob("journal.*.jsonl"))


def test_a_journal_of_another_format_is_refused_but_may_be_set_aside(job: Resumed) -> None:
    journal = job.folder / "job.run" / "journal.jsonl"
    _, *lines = journal.read_bytes().splitlines(keepends=True)
    header = {"batchfree": 7, "version": "3.1", "owner": {"job": "unheard of"}}
    journal.write_bytes(json.dumps(header).encode() + b"\n" + b"".join(lines))
    with pytest.raises(StorageError, match=r"format 7, written by batchfree 3\.1"):
        job.run()
    assert len(job.asked(fresh=True)) == 5


def test_a_damaged_line_of_the_journal_is_named_and_costs_that_line_alone(job: Resumed) -> None:
    journal = job.folder / "job.run" / "journal.jsonl"
    whole = journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    for number in range(1, 6):
        row = json.loads(lines[number])["outcomes"][0]["row"]
        broken = lines[number].replace(b'"route"', b'"rou\xffe"')
        journal.write_bytes(b"".join([*lines[:number], broken, *lines[number + 1 :]]))
        assert job.asked() == prompts(row)
        assert f"journal.jsonl:{number + 1}: this line is damaged" in job.summary.warnings[0]
        assert job.summary.exit_code == 0
    journal.write_bytes(whole)
    assert job.asked() == []


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_flipped_byte_in_the_journal_costs_its_line_alone(job: Resumed, seed: int) -> None:
    journal = job.folder / "job.run" / "journal.jsonl"
    whole, rng = journal.read_bytes(), random.Random(seed)
    starts = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    for _ in range(8 if seed == 1 else 500):
        broken, place = bytearray(whole), rng.randrange(starts[0], starts[-1])
        broken[place] ^= 1 << rng.randrange(8)
        journal.write_bytes(bytes(broken))
        number = next(number for number, start in enumerate(starts) if start > place)
        hit = {json.loads(whole[starts[number - 1] : starts[number]])["outcomes"][0]["row"]}
        if (
            place == starts[number] - 1 and number < 5
        ):  # without the line break two lines become one; the second is still found
            hit |= {json.loads(whole[starts[number] : starts[number + 1]])["outcomes"][0]["row"]}
        assert set(job.asked()) <= set(prompts(*hit)), place
        assert job.summary.exit_code == 0
        assert job.summary.counts.ok == 5


@pytest.mark.parametrize("places", [range(1, 6), pytest.param(range(1, 2000), marks=pytest.mark.slow)])
def test_a_torn_end_of_the_journal_costs_the_torn_line_alone(job: Resumed, places: range) -> None:
    journal = job.folder / "job.run" / "journal.jsonl"
    whole = journal.read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    last_two = len(whole) - ends[-3]
    for place in places if len(places) > 100 else [place * last_two // len(places) for place in places]:
        if place > last_two:
            break
        cut = len(whole) - place
        journal.write_bytes(whole[:cut])
        lost = [json.loads(whole[a:b])["outcomes"][0]["row"] for a, b in pairwise(ends) if b > cut]
        assert job.asked() == prompts(*lost)
        assert job.summary.exit_code == 0
        assert list(job.summary.warnings) == []
