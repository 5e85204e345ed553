"""Whatever stands in an input file, it is rows or a mistake with its place, and every row gets one row of the table.

By hand: FUZZ_CASES=10000 python -m pytest -n 0 -o faulthandler_timeout=0 tests/promises/test_fuzzed_inputs.py
"""

from __future__ import annotations

import gzip
import io
import json
import random
from pathlib import Path
from typing import Any

import polars as pl
from support.command_line import JobHere
from support.damage import cases, damaged, in_time

ROWS: list[dict[str, Any]] = [
    {"id": f"r{n}", "prompt": f"What is {n} + 1?", "lang": "en", "n": n, "tags": ["a", "b"] * (n % 3), "more": {"x": n}}
    for n in range(30)
]
BODY = {"model": "x", "messages": [{"role": "user", "content": "What is 1 + 1?"}], "max_tokens": 50}


def jsonl() -> bytes:
    return "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def openai_batch() -> bytes:
    lines = ({"custom_id": row["id"], "method": "POST", "url": "/v1/chat/completions", "body": BODY} for row in ROWS)
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def written(form: str) -> bytes:
    frame, file = pl.DataFrame(ROWS), io.BytesIO()
    if form == "csv":
        frame.drop("tags", "more").write_csv(file)
    elif form == "parquet":
        frame.write_parquet(file)
    else:
        frame.write_ipc(file)
    return file.getvalue()


INPUTS = {
    "rows.jsonl": jsonl(),
    "rows.csv": written("csv"),
    "rows.parquet": written("parquet"),
    "rows.arrow": written("arrow"),
    "batch.jsonl": openai_batch(),
    "rows.jsonl.gz": gzip.compress(jsonl(), mtime=0),
}
NAMES = ("rows.jsonl",) * 4 + ("rows.csv",) * 4 + ("batch.jsonl",) * 2 + ("rows.parquet", "rows.arrow", "rows.jsonl.gz")


def write(rng: random.Random, folder: Path) -> dict[str, Any]:
    """Writes a damaged input and returns the spec's `input`."""
    name = rng.choice(NAMES)
    data = damaged(rng, INPUTS[name])
    if name.endswith(".gz") and rng.random() < 0.5:
        data = gzip.compress(damaged(rng, jsonl()))
    (folder / name).write_bytes(data)
    spec: dict[str, Any] = {"path": name}
    if name == "batch.jsonl":
        return {**spec, "format": "openai-batch"}
    return (
        spec | ({"id": "id"} if rng.random() < 0.3 else {}) | ({"where": "lang = 'en'"} if rng.random() < 0.3 else {})
    )


def test_every_input_is_rows_or_a_mistake(job: JobHere) -> None:
    readable = 0
    for number, rng in cases(60):
        spec = write(rng, job.path)
        prompt = None if "format" in spec else "{{ prompt }} {{ n }}"
        job.spec(input=spec, prompt=prompt, output="out.jsonl", run_dir=f"run-{number}")
        with in_time(f"input {number}"):
            checked = job("validate", "--json")
        assert checked.code in (0, 2), (number, spec, checked.err)
        if checked.code:
            assert all(mistake["message"] for mistake in checked.json["mistakes"]), number
            continue
        readable += 1
        with in_time(f"table of input {number}"):
            exported = job("export", "-o", job.path / "table.csv", "--json")
            state = job("status", "--json")
        if 2 in (exported.code, state.code) and spec["path"] in ("rows.parquet", "rows.arrow"):
            assert "can't be read" in exported.err + state.err, number  # the data of a column is read when it is needed
            continue
        assert (exported.code, state.code) == (0, 0), (number, spec, exported.err, state.err)
        assert sum(state.json["counts"].values()) == exported.json["rows"], number
        if readable % 10 == 0:
            with in_time(f"run over input {number}"):
                ended = job("run", "-q", "--json", "--fresh", "--until", "3s")
            assert ended.code in (0, 1, 75), (number, spec, ended.err)
            table = (job.path / "out.jsonl").read_text(encoding="utf-8").splitlines()
            assert len(table) == exported.json["rows"] == sum(ended.json["counts"].values()), number
    assert readable, "some inputs are still read"
