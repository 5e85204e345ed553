"""A template sees the row as it stands in the file, whatever other rows hold and whatever types the table has."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import pytest
from support.described import row_by_row

from batchfree.core.chat import Failure
from batchfree.data.input import open_dataset
from batchfree.data.output import table, write
from batchfree.data.prompts import compile_prompts
from batchfree.jobspec import load_spec
from batchfree.journal.attempts import Status


def prompts(folder: Path, rows: Sequence[object], template: str, **keys: object) -> list[str]:
    """The prompt of every row; "!" and the reason where there is none."""
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    job = {"input": {"path": "rows.jsonl", **keys}, "prompt": template}
    (folder / "job.yaml").write_text(json.dumps(job), encoding="utf-8")
    spec = load_spec(folder / "job.yaml", environment={})
    dataset = open_dataset(spec.input)
    assert dataset.check() == []
    compiled = compile_prompts(spec, dataset.schema)
    requests = [compiled.render(row) for row in dataset.rows(compiled.columns)]
    return [f"!{each.message}" if isinstance(each, Failure) else each.messages[0]["content"] for each in requests]


TEA = {"id": 1, "items": [{"name": "tea", "qty": 2}, {"name": "milk", "qty": 1}]}
SALT = {"id": 3, "items": [{"name": "salt", "qty": "a pinch"}]}
LOOP = "{{ items | length }} items:{% for i in items %} {{ i.name }} x {{ i.qty }};{% endfor %}"

FIRST = [
    (TEA, "The first item is {{ items[0] }}, of {{ items | length }}."),
    (TEA, LOOP),
    ({"n": 1}, "{{ n }}"),
    ({"n": 2.0}, "{{ n }}"),
    ({"n": 9007199254740993}, "{{ n }}"),
    ({"n": 10**30}, "{{ n }} {{ n + 1 }}"),
    ({"n": [1, 2]}, "{{ n }} {{ n | tojson }}"),
    ({"n": {"x": 1}}, "{{ n }} {{ n.x }} {{ n.y or '-' }} {{ n.y is defined }}"),
    ({"n": {}}, "{{ n }}{{ n | length }}"),
    ({"n": 1, "t": "x"}, "{{ row | tojson }} {{ row.later or '-' }} {{ row['later'] is defined }}"),
    ({"n": 1, "t": "x"}, "{% for key in row %}{{ key }} {% endfor %}{{ row | length }}"),
]
OTHERS = [
    {"items": [1, "x", None], "n": 0.5},
    {"items": [{"name": 1, "qty": {"deep": []}}], "later": "y"},
    {"n": -(10**25)},
    {"later": None, "items": []},
]
NESTED = [{"n": {"x": "text", "y": 1}}, {"n": {"x": 0.5}}, {"n": {"z": [1, "a"]}}]
LISTS = [{"n": [0.5]}, {"n": ["x"]}, {"n": [[1]]}, {"n": []}]


@pytest.mark.parametrize(("row", "template"), FIRST)
def test_a_prompt_never_depends_on_other_rows(tmp_path, row, template):
    inner = row.get("n")
    others = NESTED if isinstance(inner, dict) else LISTS if isinstance(inner, list) else OTHERS
    template = template.replace("row.later", "(row.later)")
    declared = {"later": "here", **({"n": inner} if "n" in row else {})}
    (alone, _) = prompts(tmp_path, [row, declared], template)
    assert not alone.startswith("!")
    for place in range(len(others) + 1):
        rows = [*others[:place], row, *others[place:], {"later": "here"}]
        assert prompts(tmp_path, rows, template)[place] == alone


def test_one_odd_row_changes_no_other_prompt(tmp_path):
    bread = {"id": 2, "items": [{"name": "bread", "qty": 3}]}
    assert prompts(tmp_path, [TEA, bread, SALT], LOOP) == [
        "2 items: tea x 2; milk x 1;",
        "1 items: bread x 3;",
        "1 items: salt x a pinch;",
    ]
    first = prompts(tmp_path, [TEA, bread, SALT], "The first item is {{ items[0] }}, of {{ items | length }}.")
    assert first[0] == "The first item is {'name': 'tea', 'qty': 2}, of 2."


def test_where_sees_the_columns_and_the_template_the_row(tmp_path):
    rows = [{"n": 1, "x": {"a": 1}}, {"n": 2.5, "x": {"a": "t"}}, {"n": 3, "x": {"b": []}}]
    assert prompts(tmp_path, rows, "{{ n }} {{ x }}", where="n <> 2.5") == ["1 {'a': 1}", "3 {'b': []}"]
    assert prompts(tmp_path, rows, "{{ n }}", where="n > (1 + 1)") == ["2.5", "3"]


@pytest.mark.parametrize(
    ("values", "dtype", "stored"),
    [
        ([1, 0.5], pl.Float64, [1.0, 0.5]),
        ([2**53 + 1, 0.5], pl.String, ["9007199254740993", "0.5"]),
        ([2**53, 0.5], pl.Float64, [2.0**53, 0.5]),
        ([2**63, -1], pl.String, ["9223372036854775808", "-1"]),
    ],
)
def test_the_table_never_changes_a_number(tmp_path, values, dtype, stored):
    (tmp_path / "x.jsonl").write_text("".join(json.dumps({"n": value}) + "\n" for value in values), encoding="utf-8")
    dataset = open_dataset(load_spec_for(tmp_path, "x.jsonl").input)
    assert dataset.schema == {"n": dtype}
    assert dataset.frame.collect().get_column("n").to_list() == stored
    assert [row["n"] for row in dataset.rows({"n"})] == values


def load_spec_for(folder: Path, path: str, **keys: object):
    (folder / "job.yaml").write_text(json.dumps({"input": path, **keys}), encoding="utf-8")
    return load_spec(folder / "job.yaml", environment={})


def test_ids_without_fraction_have_none_in_batch_results(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"id":1,"prompt":"a"}\n{"id":2.5,"prompt":"b"}\n', encoding="utf-8")
    spec = load_spec_for(tmp_path, "x.jsonl", output="out.openai.jsonl", input={"path": "x.jsonl", "id": "id"})
    failed = {"status": Status.FAILED, "error_kind": "empty", "error": "x", "attempts": 1}
    write(table(open_dataset(spec.input), spec, row_by_row(lambda row: failed)), tmp_path / "out.openai.jsonl", spec)
    lines = (tmp_path / "out.openai.jsonl").read_text().splitlines()
    assert [json.loads(line)["custom_id"] for line in lines] == ["1", "2.5"]


def test_whole_numbers_beside_fractions_stay_whole_in_csv(tmp_path):
    (tmp_path / "x.jsonl").write_text(
        '{"n":1,"m":2.0}\n{"n":2.5,"m":2.5}\n{"n":null,"m":0}\n{"n":1e300,"m":1e-7}\n', encoding="utf-8"
    )
    spec = load_spec_for(tmp_path, "x.jsonl")
    dataset = open_dataset(spec.input)
    write(
        table(dataset, spec, row_by_row(lambda row: {"status": Status.PENDING})),
        tmp_path / "out.csv",
        spec,
        dataset.mixed,
    )
    found = pl.read_csv(tmp_path / "out.csv", infer_schema=False)
    assert found.get_column("n").to_list()[:3] == ["1", "2.5", None]
    assert [float(number) for number in found.get_column("m")] == [2.0, 2.5, 0.0, 1e-7]
    assert float(found.get_column("n")[3]) == 1e300


MIXED: Sequence[Mapping[str, object]] = [
    {"n": 1, "f": 1.0, "deep": {"a": [1, 0.5]}, "t": "1.0"},
    {"n": 2.5, "f": 2.5, "deep": {"a": [2]}, "t": 'a "2.0"'},
    {"n": None, "f": 0.1, "deep": None, "t": None},
]


def test_whole_numbers_beside_fractions_stay_whole_in_json_lines(tmp_path):
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in MIXED), encoding="utf-8")
    spec = load_spec_for(tmp_path, "x.jsonl", answer={"schema": {"type": "array", "items": {"type": "number"}}})
    dataset = open_dataset(spec.input)
    values = {"status": Status.OK, "answer": [3, 0.5], "cost": 0.0}
    for name in ("out.jsonl", "out.csv"):
        write(table(dataset, spec, row_by_row(lambda row: values)), tmp_path / name, spec, dataset.mixed)
    for line, row in zip((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines(), MIXED, strict=True):
        found = json.loads(line)
        assert repr({name: found[name] for name in row}) == repr(row)
        assert repr(found["answer"]) == "[3, 0.5]"
        assert repr(found["cost"]) == "0.0"
    text = pl.read_csv(tmp_path / "out.csv", infer_schema=False)
    assert text.get_column("deep").to_list() == ['{"a":[1,0.5]}', '{"a":[2]}', None]
    assert text.get_column("answer").to_list() == ["[3,0.5]"] * 3


def test_a_date_that_python_cannot_hold_is_text(tmp_path):
    frame = pl.DataFrame({"text": ["a", "b"], "day": [0, 10**7]}).with_columns(pl.col("day").cast(pl.Date))
    frame.write_parquet(tmp_path / "x.parquet")
    dataset = open_dataset(load_spec_for(tmp_path, "x.parquet").input)
    assert [str(row["day"]) for row in dataset.rows({"day"})] == ["1970-01-01", "+29349-01-26"]
