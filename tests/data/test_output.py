"""The output table: its columns and types, its formats, and how its file is replaced."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from support.described import row_by_row

from batchfree.answers.answer_type import answer_type_of
from batchfree.core.chat import Kind
from batchfree.core.errors import SpecError, StorageError
from batchfree.data import output
from batchfree.data.input import open_dataset
from batchfree.data.output.answer_types import dtype_of, fit_value
from batchfree.data.output.write import LEAST_ROWS
from batchfree.jobspec import JobSpec, load_spec
from batchfree.journal.attempts import Status

WHEN = datetime(2026, 11, 22, 17, 0, 0, 123_000, tzinfo=UTC)
OK = {
    "status": Status.OK,
    "answer": "positive",
    "response": "Positive.",
    "model": "m/a:free",
    "provider": "P",
    "route": "openrouter/free",
    "attempts": 2,
    "models_tried": ["m/b:free", "m/a:free"],
    "finish_reason": "stop",
    "prompt_tokens": 10,
    "completion_tokens": 3,
    "cost": 0.0,
    "latency_s": 1.5,
    "request_id": "gen-1",
    "answered_at": WHEN,
    "pack_size": 1,
    "repaired": False,
}
FAILED = {"status": Status.FAILED, "attempts": 0, "models_tried": [], "error_kind": Kind.RENDER, "error": "is null"}
ROWS = [{"id": "a", "n": 1, "xs": ["u"]}, {"id": "b", "n": 2, "xs": []}, {"id": "c", "n": 3, "xs": None}]
FACTS: dict[str, Mapping[str, Any]] = {"a": OK, "b": FAILED, "c": {"status": Status.PENDING}}


def job(folder: Path, rows: list[dict] = ROWS, **keys: object) -> JobSpec:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
    (folder / "job.yaml").write_text(json.dumps({"input": "rows.jsonl", **keys}), encoding="utf-8")
    return load_spec(folder / "job.yaml", environment={})


def table_of(spec: JobSpec, facts: dict = FACTS) -> pl.LazyFrame:
    return output.table(open_dataset(spec.input), spec, row_by_row(lambda row: facts[row["id"]]))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_table_has_the_input_then_batchfrees_columns_with_their_types(tmp_path):
    frame = table_of(job(tmp_path)).collect()
    assert list(frame.schema.items())[:3] == [("id", pl.String), ("n", pl.Int64), ("xs", pl.List(pl.String))]
    assert dict(list(frame.schema.items())[3:]) == {
        "status": pl.Enum(["ok", "failed", "pending"]),
        "answer": pl.String,
        "response": pl.String,
        "model": pl.String,
        "provider": pl.String,
        "route": pl.String,
        "attempts": pl.UInt16,
        "models_tried": pl.List(pl.String),
        "error_kind": pl.String,
        "error": pl.String,
        "finish_reason": pl.String,
        "prompt_tokens": pl.UInt32,
        "completion_tokens": pl.UInt32,
        "cost": pl.Float64,
        "latency_s": pl.Float64,
        "request_id": pl.String,
        "answered_at": pl.Datetime("ms", "UTC"),
        "pack_size": pl.UInt16,
        "repaired": pl.Boolean,
    }


def test_every_row_is_there_once_and_in_order_whatever_happened_to_it(tmp_path):
    frame = table_of(job(tmp_path)).collect()
    assert frame.select(ROWS[0].keys()).to_dicts() == ROWS
    assert frame.get_column("status").to_list() == ["ok", "failed", "pending"]
    first, second, third = frame.to_dicts()
    assert {key: first[key] for key in OK} == {**OK, "status": "ok"}
    assert (second["error_kind"], second["error"], second["model"]) == ("render", "is null", None)
    assert (third["attempts"], third["models_tried"], third["answer"]) == (0, [], None)


def test_only_the_columns_asked_for_are_computed(tmp_path):
    spec, described = job(tmp_path), []

    def describe(row: Mapping[str, Any]) -> Mapping[str, Any]:
        described.append(row["id"])
        return FACTS[row["id"]]

    table = output.table(open_dataset(spec.input), spec, row_by_row(describe))
    assert table.select("n").collect().height == 3
    assert described == []
    assert table.filter(pl.col("status") == "ok").select("id", "answer").collect().rows() == [("a", "positive")]
    assert table.head(1).collect().height == 1
    assert table.select(pl.len()).collect().item() == 3


@pytest.mark.parametrize("uses", [frozenset(), {"id"}, {"n", "id"}])
def test_a_row_is_described_from_the_columns_that_are_used(tmp_path, uses):
    spec, shown = job(tmp_path), []

    def describe(row: Mapping[str, Any]) -> Mapping[str, Any]:
        shown.append(set(row))
        return OK

    frame = output.table(open_dataset(spec.input), spec, row_by_row(describe), uses).collect()
    assert shown == [set(uses)] * 3
    assert frame.select(ROWS[0].keys()).to_dicts() == ROWS


def test_rows_with_long_answers_are_described_in_small_batches(tmp_path):
    spec, sizes = job(tmp_path, [{"id": str(number)} for number in range(1_000)]), []

    def describe(rows: Sequence[Mapping[str, Any]], first: int) -> output.DescribedRows:
        sizes.append(len(rows))
        return output.DescribedRows(columns={"answer": [row["id"] for row in rows]})

    frame = output.table(open_dataset(spec.input), spec, describe, row_bytes=1e6).collect()
    assert frame["answer"].to_list() == frame["id"].to_list()
    assert (max(sizes), sum(sizes)) == (LEAST_ROWS, 1_000)


def test_a_prefix_keeps_names_apart_and_a_collision_names_it(tmp_path):
    rows = [{**row, "model": "mine", "answer": "old"} for row in ROWS]
    with pytest.raises(SpecError, match="`answer`, `model`") as caught:
        table_of(job(tmp_path, rows))
    assert caught.value.mistakes[0].key == "output.prefix"
    frame = table_of(job(tmp_path, rows, output={"path": "o.parquet", "prefix": "bf_"})).collect()
    assert (frame["model"][0], frame["bf_model"][0]) == ("mine", "m/a:free")


@pytest.mark.parametrize("path", ["o.parquet", "o.arrow", "new/folder/o.parquet"])
def test_typed_files_hold_the_whole_table(tmp_path, path):
    spec = job(tmp_path)
    output.write(table_of(spec), tmp_path / path, spec)
    read = pl.read_ipc if path.endswith("arrow") else pl.read_parquet
    assert read(tmp_path / path).equals(table_of(spec).collect())
    assert not [name for name in names_in((tmp_path / path).parent) if name.endswith(".tmp")]


def test_json_lines_hold_the_whole_table(tmp_path):
    spec = job(tmp_path)
    output.write(table_of(spec), tmp_path / "o.jsonl", spec)
    first, _, third = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (first["xs"], first["models_tried"], first["attempts"]) == (["u"], ["m/b:free", "m/a:free"], 2)
    assert datetime.fromisoformat(first["answered_at"]) == WHEN
    assert (third["xs"], third["answer"]) == (None, None)


def test_csv_holds_nested_values_as_json(tmp_path):
    spec = job(tmp_path)
    output.write(table_of(spec), tmp_path / "o.csv", spec)
    first, second, _ = pl.read_csv(tmp_path / "o.csv", infer_schema=False).to_dicts()
    assert (first["xs"], first["models_tried"]) == ('["u"]', '["m/b:free","m/a:free"]')
    assert (second["xs"], second["error"], second["answer"]) == ("[]", "is null", None)


@pytest.mark.parametrize("name", ["o.parquet", "o.arrow", "o.csv", "o.jsonl"])
def test_every_format_takes_columns_of_any_type(tmp_path, name):
    frame = pl.DataFrame(
        {
            "id": ["a"],
            "bytes": [b"\xff"],
            "time": [WHEN],
            "deep": [[{"b": b"x", "d": WHEN.date()}]],
            "for": [WHEN - WHEN],
            "array": pl.Series([[1, 2]], dtype=pl.Array(pl.Int8, 2)),
            "decimal": pl.Series(["1.50"]).cast(pl.Decimal(10, 2)),
            "kind": pl.Series(["x"], dtype=pl.Categorical),
            "nothing": pl.Series([None]),
        }
    )
    frame.write_parquet(tmp_path / "in.parquet")
    spec = job(tmp_path, input="in.parquet")
    output.write(table_of(spec), tmp_path / name, spec)
    text = (tmp_path / name).read_bytes()
    assert b"/w==" in text if name in ("o.csv", "o.jsonl") else len(text) > 100


def lines_of(folder: Path, spec: JobSpec, facts: dict = FACTS) -> list[dict]:
    path = folder / "o.openai.jsonl"
    output.write(table_of(spec, facts), path, spec)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_answered_and_failed_rows_have_an_openai_line(tmp_path):
    answered, failed = lines_of(tmp_path, job(tmp_path, input={"path": "rows.jsonl", "id": "id"}))
    assert answered == {
        "id": "batch_req_000000000000",
        "custom_id": "a",
        "response": {
            "status_code": 200,
            "request_id": "gen-1",
            "body": {
                "id": "gen-1",
                "object": "chat.completion",
                "created": int(WHEN.timestamp()),
                "model": "m/a:free",
                "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": "Positive."}, "finish_reason": "stop"}
                ],
                "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13},
            },
        },
        "error": None,
    }
    assert (failed["custom_id"], failed["response"]) == ("b", None)
    assert failed["error"] == {"code": "render", "message": "is null"}


def test_openai_lines_number_rows_from_zero_where_there_is_no_id(tmp_path):
    facts = {"a": {"status": Status.PENDING}, "b": OK, "c": FAILED}
    assert [line["custom_id"] for line in lines_of(tmp_path, job(tmp_path), facts)] == ["1", "2"]


def test_openai_lines_hold_a_rows_own_answer_from_a_pack_and_its_tool_calls(tmp_path):
    packed = {**OK, "pack_size": 3, "response": '{"k3x9": "positive", "t7qd": "negative"}'}
    called = {**OK, "response": "", "finish_reason": "tool_calls", "answer": '[{"name":"f","arguments":"{}"}]'}
    first, second = lines_of(tmp_path, job(tmp_path), {"a": packed, "b": called, "c": {}})
    assert first["response"]["body"]["choices"][0]["message"]["content"] == "positive"
    (call,) = second["response"]["body"]["choices"][0]["message"]["tool_calls"]
    assert call == {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_results_of_an_openai_batch_have_its_custom_ids(tmp_path):
    body = {"messages": [{"role": "user", "content": "x"}]}
    rows = [{"custom_id": f"r{n}", "method": "POST", "url": "/v1/chat/completions", "body": body} for n in range(2)]
    spec = job(tmp_path, rows, input={"path": "rows.jsonl", "format": "openai-batch"})
    table = output.table(open_dataset(spec.input), spec, row_by_row(lambda row: OK))
    output.write(table, tmp_path / "o.openai.jsonl", spec)
    lines = (tmp_path / "o.openai.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["custom_id"] for line in lines] == ["r0", "r1"]


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": ["integer", "null"]},
        "score": {"type": "number"},
        "tags": {"type": "array", "items": {"enum": ["x", "y"]}},
        "home": {"$ref": "#/$defs/place"},
        "any": {"type": "object"},
        "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        "maybe": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
    },
    "required": ["name"],
    "$defs": {"place": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


def test_answers_with_a_schema_are_structs(tmp_path):
    spec = job(tmp_path, answer={"schema": PERSON})
    dtype = pl.Struct(
        {
            "name": pl.String,
            "age": pl.Int64,
            "score": pl.Float64,
            "tags": pl.List(pl.String),
            "home": pl.Struct({"city": pl.String}),
            "any": pl.String,
            "either": pl.String,
            "maybe": pl.Boolean,
        }
    )
    assert table_of(spec, {}).collect_schema()["answer"] == dtype
    answer = {
        "name": "A",
        "age": 2**70,
        "score": 1,
        "tags": ["x"],
        "home": {"city": "Ulm", "zip": 1},
        "any": {"k": [1]},
    }
    facts = {"a": {**OK, "answer": answer}, "b": {**OK, "answer": {"name": "B", "either": 5, "maybe": True}}, "c": {}}
    first, second, third = table_of(spec, facts).collect().get_column("answer").to_list()
    assert first["home"] == {"city": "Ulm"}
    assert (first["age"], first["score"], first["any"], first["maybe"]) == (None, 1.0, '{"k":[1]}', None)
    assert (second["either"], second["maybe"], second["tags"]) == ("5", True, None)
    assert third is None
    output.write(table_of(spec, facts), tmp_path / "o.parquet", spec)
    assert pl.read_parquet(tmp_path / "o.parquet").schema["answer"] == dtype


SCHEMAS = [
    ({"type": "integer"}, pl.Int64, [(3, 3), (3.0, 3), (2**70, None), (True, None), ("x", None)]),
    ({"type": "number"}, pl.Float64, [(3, 3.0), (2**70, float(2**70)), (10**400, None), (None, None)]),
    ({"enum": ["a", "b", None]}, pl.String, [("a", "a"), (None, None)]),
    ({"enum": [1, 2]}, pl.Int64, [(1, 1)]),
    ({"enum": [1, "a"]}, pl.String, [(1, "1"), ("a", '"a"')]),
    ({"const": True}, pl.Boolean, [(True, True), (1, None)]),
    ({"type": ["integer", "number"]}, pl.Float64, [(1, 1.0)]),
    ({"type": "array", "items": {"type": "integer"}}, pl.List(pl.Int64), [([1, 2**70], [1, None]), ("x", None)]),
    ({"type": "array"}, pl.String, [([1, "ä"], '[1,"ä"]')]),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, pl.String, [({"k": 1}, '{"k":1}')]),
    ({"type": "object", "properties": {"a": {}}, "additionalProperties": True}, pl.String, [({"a": 1}, '{"a":1}')]),
    ({"properties": {"a": {"type": "string"}}}, pl.Struct({"a": pl.String}), [({"b": 1}, {"a": None}), ([], None)]),
    ({"allOf": [{"type": "string"}]}, pl.String, [("x", "x")]),
    ({"oneOf": [{"type": "null"}, {"type": "integer"}]}, pl.Int64, [(1, 1)]),
    ({}, pl.String, [({"a": None}, '{"a":null}'), ("x", '"x"')]),
    ({"$ref": "#/$defs/gone"}, pl.String, [(1, "1")]),
]


@pytest.mark.parametrize(("schema", "dtype", "values"), SCHEMAS)
def test_schemas_become_types_and_values_fit_them(schema, dtype, values):
    form = answer_type_of(schema)
    assert dtype_of(form) == dtype
    assert [fit_value(value, form) for value, _ in values] == [expected for _, expected in values]
    pl.Series([fit_value(value, form) for value, _ in values], dtype=dtype_of(form))


def test_a_schema_within_itself_ends_in_json_text():
    tree = {"$ref": "#/$defs/t"}
    node = {"type": "object", "properties": {"v": {"type": "integer"}, "kids": {"type": "array", "items": tree}}}
    form = answer_type_of({**tree, "$defs": {"t": node}})
    assert dtype_of(form) == pl.Struct({"v": pl.Int64, "kids": pl.List(pl.String)})
    assert fit_value({"v": 1, "kids": [{"v": 2}]}, form) == {"v": 1, "kids": ['{"v":2}']}


def test_numbers_too_large_for_their_column_do_not_break_the_table(tmp_path):
    facts = {"a": {**OK, "attempts": 70_000, "prompt_tokens": 2**40}, "b": {**OK, "answer": "x\ud800"}, "c": {}}
    first, second, _ = table_of(job(tmp_path), facts).collect().to_dicts()
    assert (first["attempts"], first["prompt_tokens"], second["answer"]) == (65_535, 2**32 - 1, "x\ufffd")


def test_with_tools_the_answer_is_text_even_beside_a_schema(tmp_path):
    tools = [{"type": "function", "function": {"name": "f"}}]
    spec = job(tmp_path, answer={"schema": PERSON}, request={"tools": tools})
    calls = '[{"name":"f","arguments":"{}"}]'
    facts = {"a": {**OK, "answer": calls}, "b": {**OK, "answer": {"name": "B"}}, "c": {}}
    assert table_of(spec, facts).collect().get_column("answer").to_list() == [calls, '{"name": "B"}', None]


def test_wide_rows_are_written_in_small_groups(tmp_path):
    rows = [{"id": str(number), "n": number, "x": 0.5, "xs": ["u"]} for number in range(2_000)]
    spec = job(tmp_path, rows, output="o.arrow")
    for row_bytes, groups in ((300, 1), (1 << 16, 8)):
        table = output.table(open_dataset(spec.input), spec, row_by_row(lambda row: OK))
        output.write(table, tmp_path / "o.arrow", spec, row_bytes=row_bytes)
        assert pl.read_ipc(tmp_path / "o.arrow").n_chunks() == groups


def test_a_table_that_fails_to_be_written_leaves_the_old_one(tmp_path):
    spec, path = job(tmp_path), tmp_path / "o.parquet"
    path.write_text("old", encoding="utf-8")

    def describe(row: Mapping[str, Any]) -> Mapping[str, Any]:
        if row["id"] == "c":
            raise OSError(28, "No space left on device")
        return OK

    with pytest.raises(StorageError, match=r"o.parquet: the table can't be written: No space left on device"):
        output.write(output.table(open_dataset(spec.input), spec, row_by_row(describe)), path, spec)
    assert path.read_text(encoding="utf-8") == "old"
    assert names_in(tmp_path) == ["job.yaml", "o.parquet", "rows.jsonl"]


@pytest.mark.parametrize("name", ["o.parquet", "o.arrow", "o.csv", "o.jsonl", "o.openai.jsonl"])
def test_a_full_disk_is_named_in_the_error(tmp_path, name):
    rng = random.Random(1)
    rows = [{"id": "a", "text": rng.randbytes(500).hex()} for _ in range(200)]
    spec = job(tmp_path, rows)
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(StorageError, match="File too large"):
            output.write(table_of(spec, {"a": {**OK, "response": "x" * 100}}), tmp_path / name, spec)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert names_in(tmp_path) == ["job.yaml", "rows.jsonl"]


def test_a_link_stays_a_link_and_permissions_stay(tmp_path):
    spec = job(tmp_path)
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "o.csv", tmp_path / "o.csv"
    real.write_text("old", encoding="utf-8")
    real.chmod(0o640)
    link.symlink_to(real)
    output.write(table_of(spec), link, spec)
    assert (link.is_symlink(), real.stat().st_mode & 0o777, real.read_text("utf-8")[:2]) == (True, 0o640, "id")


def test_old_unfinished_files_of_killed_processes_are_removed(tmp_path):
    spec = job(tmp_path)
    old, young = tmp_path / ".o.csv.1.tmp", tmp_path / ".o.csv.2.tmp"
    for path in (old, young):
        path.write_text("", encoding="utf-8")
    os.utime(old, (1, 1))
    output.write(table_of(spec), tmp_path / "o.csv", spec)
    assert (old.exists(), young.exists()) == (False, True)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("folder.parquet", "is a folder"),
        ("file/x.parquet", "is not a folder"),
        ("file/deep/er/x.parquet", "is not a folder"),
        ("x" * 250 + ".csv", "too long"),
        ("/proc/sys/nowhere/x.csv", "can't be written there"),
    ],
)
def test_places_where_no_table_can_be_written_are_found_before_a_run(tmp_path, path, message):
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SpecError, match=message) as caught:
        output.check_place(job(tmp_path, output=str(tmp_path / path)))
    assert caught.value.mistakes[0].key == "output.path"


def test_a_folder_that_does_not_exist_yet_is_fine_and_is_not_made(tmp_path):
    output.check_place(job(tmp_path, output="a/b/o.parquet"))
    assert names_in(tmp_path) == ["job.yaml", "rows.jsonl"]


@pytest.mark.parametrize(("target", "message"), [("rows.jsonl", "input"), ("o.run/journal.jsonl", "own records")])
def test_no_link_leads_a_table_over_the_input_or_the_records_of_the_job(tmp_path, target, message):
    spec = job(tmp_path, run_dir="o.run", output="link.jsonl")
    (tmp_path / "o.run").mkdir()
    (tmp_path / "o.run" / "journal.jsonl").write_text("", encoding="utf-8")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / target)
    with pytest.raises(SpecError, match=f"would be written over the .*{message}"):
        output.check_place(spec, open_dataset(spec.input))
