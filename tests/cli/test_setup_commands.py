"""`init` and `schema`."""

from __future__ import annotations

import jsonschema
import polars as pl
import yaml
from support.command_line import ROOT, JobHere, command


def test_the_starter_job_runs_as_init_says(job: JobHere) -> None:
    folder = job.path / "starter"
    output = command("init", folder)
    assert (output.code, output.out) == (0, "")
    assert "--endpoint embedded" in output.err
    assert command("validate", folder / "job.yaml").code == 0
    assert command("run", folder / "job.yaml", "--endpoint", "embedded", "-q").code == 0
    table = pl.read_parquet(folder / "out" / "answers.parquet")
    assert set(table["status"]) == {"ok"}
    again = command("init", folder)
    assert again.code == 2
    assert "job.yaml" in again.err


def test_every_shipped_job_satisfies_the_schema() -> None:
    schema = command("schema").json
    jsonschema.Draft202012Validator.check_schema(schema)
    for each in [*(ROOT / "jobs").glob("*.yaml"), ROOT / "batchfree" / "cli" / "starter" / "job.yaml"]:
        jsonschema.validate(yaml.safe_load(each.read_text(encoding="utf-8")), schema)
