"""Every type of Parquet and Arrow files can be written to every output, or is refused with its column before a run."""

from __future__ import annotations

import base64
import datetime as dt
import json
import zlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support.described import row_by_row

from batchfree.core.errors import DatasetError
from batchfree.data.input import open_dataset
from batchfree.data.output import table, write
from batchfree.jobspec import JobSpec, load_spec
from batchfree.journal.attempts import Status

UNREADABLE = json.loads((Path(__file__).parent / "unreadable_types.json").read_text(encoding="utf-8"))
"""Small files that pyarrow 26 wrote, in base64 and compressed: Polars itself can't write such types."""
OUTPUTS = ("parquet", "arrow", "csv", "jsonl")


def job(folder: Path, name: str) -> JobSpec:
    (folder / "job.yaml").write_text(json.dumps({"input": name, "prompt": "{{ text }}"}), encoding="utf-8")
    return load_spec(folder / "job.yaml", environment={})


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_type_that_can_not_be_read_is_refused_with_file_and_column(tmp_path: Path, name: str, capfd: Any) -> None:
    (tmp_path / name).write_bytes(zlib.decompress(base64.b64decode(UNREADABLE[name]["file"])))
    dataset = open_dataset(job(tmp_path, name).input)
    (mistake,) = dataset.check()
    assert (mistake.file, mistake.key) == (str(tmp_path / name), "v")
    assert UNREADABLE[name]["problem"] in mistake.message
    with pytest.raises(DatasetError):
        list(dataset.rows(("text",)))
    assert capfd.readouterr().err == ""  # Polars panics, and says so at length


TYPES: dict[str, tuple[pl.DataType, list[Any]]] = {
    "decimal": (pl.Decimal(38, 10), [Decimal("1.5"), None]),
    "duration": (pl.Duration("ns"), [dt.timedelta(seconds=1), None]),
    "date": (pl.Date(), [dt.date(2024, 1, 2), None]),
    "time": (pl.Time(), [dt.time(1, 2), None]),
    "zone": (pl.Datetime("us", "Europe/Berlin"), [dt.datetime(2024, 1, 2, tzinfo=dt.UTC), None]),
    "bytes": (pl.Binary(), [b"\xff", None]),
    "list of bytes": (pl.List(pl.Binary()), [[b"\xff", None], None]),
    "fixed list": (pl.Array(pl.Int32(), 2), [[1, 2], None]),
    "fixed lists": (pl.Array(pl.Array(pl.Duration("ms"), 1), 2), [[[None], [dt.timedelta(1)]], None]),
    "null": (pl.Null(), [None, None]),
    "list of nulls": (pl.List(pl.Null()), [[None], None]),
    "categories": (pl.Categorical(), ["a", None]),
    "enum": (pl.Enum(["a"]), ["a", None]),
    "list of categories": (pl.List(pl.Categorical()), [["a"], None]),
    "struct": (pl.Struct({"x": pl.Struct({"y": pl.List(pl.Decimal(5, 2))})}), [{"x": {"y": [Decimal("1.5")]}}, None]),
    "empty struct": (pl.Struct([]), [{}, None]),
    "list of empty structs": (pl.List(pl.Struct([])), [[{}], None]),
    "map": (pl.Map(pl.String(), pl.Int64()), [{"a": 1}, None]),
    "map of numbers": (pl.Map(pl.Int64(), pl.String()), [{1: "a"}, None]),
    "boolean": (pl.Boolean(), [True, None]),
    "large": (pl.UInt64(), [2**64 - 1, None]),
    "int128": (pl.Int128(), [2**100, None]),
    "float32": (pl.Float32(), [1.5, float("nan")]),
}


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("form", ["parquet", "arrow", "stream"])
def test_every_type_is_read_and_written_in_every_format(tmp_path: Path, name: str, form: str) -> None:
    dtype, values = TYPES[name]
    frame = pl.DataFrame({"text": ["a", "b"], "v": pl.Series(values, dtype=dtype)})
    path = tmp_path / ("x.parquet" if form == "parquet" else "x.arrow")
    try:
        if form == "parquet":
            frame.write_parquet(path)
        elif form == "arrow":
            frame.write_ipc(path)
        else:
            frame.write_ipc_stream(path)
    except pl.exceptions.PolarsError:
        pytest.skip("Polars can't write this type in this format")
    spec = job(tmp_path, path.name)
    dataset = open_dataset(spec.input)
    assert dataset.check() == []
    assert [row["text"] for row in dataset.rows(dataset.schema)] == ["a", "b"]
    for suffix in OUTPUTS:
        out = tmp_path / f"out.{suffix}"
        write(table(dataset, spec, row_by_row(lambda row: {"status": Status.PENDING})), out, spec)
        assert out.stat().st_size > 0
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["a", "b"]
    assert pl.read_csv(tmp_path / "out.csv").height == pl.read_parquet(tmp_path / "out.parquet").height == 2
