"""A program of a user runs as it is written; `.ci/run` has a strict type checker read it against the wheel."""

from __future__ import annotations

from pathlib import Path

from repository.user_program import main


def test_the_program_of_a_user_runs(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("prompt\nWhat is 1 + 1?\nWhat is 2 + 2?\nWhat is 3 + 3?\n", encoding="utf-8")
    job = tmp_path / "job.yaml"
    job.write_text("input: rows.csv\n", encoding="utf-8")
    places = {f"BATCHFREE_{place}_DIR": str(tmp_path / place) for place in ("STATE", "CACHE")}
    report = main(job, tmp_path / "table.parquet", places).splitlines()
    assert report[0] == "3 of 3 rows are answered"
    assert sum(int(line.rpartition(": ")[2]) for line in report[1:]) == 3


def test_the_program_of_a_user_is_told_every_mistake(tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    job.write_text("input: rows.csv\npak: 3\nlimits: {concurency: 2}\n", encoding="utf-8")
    report = main(job)
    assert f"{job}:2: pak: " in report
    assert f"{job}:3: limits.concurency: " in report
