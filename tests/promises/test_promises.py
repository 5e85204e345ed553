"""Promises about a whole run, whatever happens in it. The tests of a room hold the promises of that room alone."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from itertools import repeat
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support.rehearsal import UNLIMITED, Rehearsal, scenario

import batchfree
from batchfree.journal.attempts import Status

ROOT = Path(__file__).parents[2]
CALM = "limits: {per_minute: null, per_day: null}\nrouter: {draws_classifier: false}\n"
BAD = (
    CALM
    + """
faults:
  - {fault: upstream_429, chance: 0.1}
  - {fault: overloaded_200, chance: 0.1}
  - {fault: cut, chance: 0.1}
  - {fault: content_policy_400, content: "7"}
  - {fault: context_400, content: "11"}
"""
)


def some_rows(seed: int, number: int = 40) -> list[dict[str, Any]]:
    """Rows with nulls, blanks and odd characters. Many differ only in a column that the prompt does not use."""
    rng = random.Random(seed)
    asked = [None, "", " ", "a\x00b", "\u2028", "Größe 漢字 🎉", *(f"What is {n} + {n}?" for n in range(12))]
    return [{"row": n, "prompt": rng.choice(asked), "nested": {"list": [n, None]}} for n in range(number)]


@pytest.mark.parametrize("pack", [1, 5])
@pytest.mark.parametrize("seed", range(3))
def test_there_is_exactly_one_output_row_per_input_row_whatever_happened_to_it(
    tmp_path: Path, seed: int, pack: int
) -> None:
    rows = some_rows(seed)
    spec = {"limits": UNLIMITED, "retry": {"max_attempts": 2}, "router": {"seed": seed}, "pack": pack}
    job = Rehearsal(tmp_path, rows, spec | {"answer": {"labels": ["odd", "even"]}}, scenario(BAD))
    for _ in range(2):
        summary = job.run(limit=9)
        table = job.table()
        assert table.select("row", "prompt", "nested").to_dicts() == rows
        assert sum(summary.counts.values()) == len(rows)
        assert {status: (table["status"] == status).sum() for status in Status} == dict(summary.counts)
    assert len(set(summary.counts.values()) - {0}) > 1  # it was a bad day


def test_the_columns_of_a_row_fit_its_status(tmp_path: Path) -> None:
    spec = {"limits": UNLIMITED, "retry": {"max_attempts": 2}}
    job = Rehearsal(tmp_path, some_rows(1), spec, scenario(BAD))
    job.run()
    for row in job.table().to_dicts():
        if row["status"] == "ok":
            assert row["answer"]
            assert row["model"]
            assert row["answered_at"]
            assert row["models_tried"][-1] == row["model"]
            assert row["error_kind"] is row["error"] is None
            assert row["attempts"] == len(row["models_tried"]) >= 1
        elif row["status"] == "failed":
            assert row["answer"] is row["answered_at"] is None
            assert row["error_kind"]
            assert row["error"]
        assert row["cost"] in (None, 0.0)


def test_rows_with_equal_questions_show_the_same_result(tmp_path: Path) -> None:
    job = Rehearsal(tmp_path, some_rows(2), {"limits": UNLIMITED, "retry": {"max_attempts": 2}}, scenario(BAD))
    job.run()
    shown: dict[str | None, set[str]] = {}
    for row in job.table().drop("row", "nested").to_dicts():
        shown.setdefault(row["prompt"], set()).add(json.dumps(row, default=str))
    assert all(len(each) == 1 for each in shown.values())
    assert len(shown) < 40


def test_on_a_calm_day_there_is_one_request_per_question_and_no_other(tmp_path: Path) -> None:
    rows = [{"prompt": f"What is {n % 10} + 1?"} for n in range(30)]
    job = Rehearsal(tmp_path, rows, {"limits": UNLIMITED}, scenario(CALM))
    for _ in range(2):
        assert job.run().counts == {"ok": 30, "failed": 0, "pending": 0}
    asked = [post.body["messages"][-1]["content"] for post in job.posts]
    assert sorted(asked) == sorted({row["prompt"] for row in rows})


def test_an_input_column_with_a_name_of_the_table_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    rows = [{"prompt": "What is 1 + 1?", "model": "mine", "bf_status": 1}]
    job = Rehearsal(tmp_path, rows, {"limits": UNLIMITED}, scenario(CALM))
    for output in ("out.parquet", {"path": "out.parquet", "prefix": "bf_"}):
        job.write_spec({"limits": UNLIMITED, "output": output})
        with pytest.raises(batchfree.SpecError, match=r"output\.prefix"):
            job.run()
    assert job.posts == []
    job.write_spec({"limits": UNLIMITED, "output": {"path": "out.parquet", "prefix": "asked_"}})
    job.run()
    table = job.table()
    assert table["model"].to_list() == ["mine"]
    assert table.columns[3:5] == ["asked_status", "asked_answer"]


TYPES = {
    "status": pl.Enum(["ok", "failed", "pending"]),
    "answer": pl.String(),
    **dict.fromkeys(("response", "model", "provider", "route"), pl.String()),
    "attempts": pl.UInt16(),
    "models_tried": pl.List(pl.String()),
    **dict.fromkeys(("error_kind", "error", "finish_reason"), pl.String()),
    **dict.fromkeys(("prompt_tokens", "completion_tokens"), pl.UInt32()),
    **dict.fromkeys(("cost", "latency_s"), pl.Float64()),
    "request_id": pl.String(),
    "answered_at": pl.Datetime("ms", "UTC"),
    "pack_size": pl.UInt16(),
    "repaired": pl.Boolean(),
}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(("answer", "dtype"), [
    ({}, pl.String()),
    ({"labels": ["good", "bad"]}, pl.String()),
    ({"schema": CITY}, pl.Struct({"city": pl.String(), "days": pl.Int64()})),
])  # fmt: skip
def test_the_columns_have_their_types_in_every_table(
    tmp_path: Path, answer: dict[str, Any], dtype: pl.DataType
) -> None:
    rows = [{"prompt": "Three good days in Berlin."}]
    job = Rehearsal(tmp_path, rows, {"limits": UNLIMITED, "answer": answer}, scenario(CALM))
    expected = {"prompt": pl.String(), **TYPES, "answer": dtype}
    assert dict(batchfree.table(job.job()).collect_schema()) == expected
    job.run()
    assert dict(job.table().schema) == expected
    assert job.table()["status"].to_list() == ["ok"]


MEASURE = """
import resource, sys
from pathlib import Path
import batchfree

folder, rows = Path(sys.argv[1]), int(sys.argv[2])
job = batchfree.load(folder / "job.yaml", environment={"BATCHFREE_STATE_DIR": str(folder)})
assert batchfree.run(job).counts.failed == rows
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


def megabytes(folder: Path, rows: int) -> float:
    """The peak memory of a process that runs a job over `rows` rows of 1 kB, all of which fail without a request."""
    folder.mkdir()
    line = json.dumps({"title": None, "text": "x" * 1_000}) + "\n"
    with (folder / "rows.jsonl").open("w") as file:
        file.writelines(repeat(line, rows))
    (folder / "job.yaml").write_text("input: rows.jsonl\nprompt: '{{ title }}'\nendpoint: embedded\n")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder), str(rows)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
        env=os.environ | {"POLARS_MAX_THREADS": "2"},  # every thread has buffers
    )
    return int(done.stdout) / 1e6


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    """Once its buffers are full, a run needs less than 80 MB more memory for 110 MB more input; measured: 10 to 30."""
    assert megabytes(tmp_path / "large", 160_000) - megabytes(tmp_path / "small", 50_000) < 80


def test_the_files_of_a_job_are_for_their_owner_alone(tmp_path: Path) -> None:
    job = Rehearsal(tmp_path, [{"prompt": "Name a thing."}])
    job.run()
    files = [tmp_path / "out.parquet", *(tmp_path / "job.run").iterdir(), *(tmp_path / "state").glob("*.sqlite3")]
    assert len(files) >= 5
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert (tmp_path / "job.run").stat().st_mode & 0o777 == 0o700
    (tmp_path / "out.parquet").chmod(0o664)
    job.run()
    assert (tmp_path / "out.parquet").stat().st_mode & 0o777 == 0o664
