"""The input: every format, traps of each, and the messages about broken files."""

from __future__ import annotations

import gzip
import json
import os
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from batchfree.core.errors import DatasetError
from batchfree.data.input import Dataset, jsonl, open_dataset
from batchfree.jobspec import InputSpec


def dataset_of(*paths: Path | str, **options: Any) -> Dataset:
    return open_dataset(InputSpec(path=tuple(map(str, paths)), **options))


def write_file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def rows(dataset: Dataset, size: int = 1000) -> list[dict]:
    return [row for batch in dataset.batches(size) for row in batch.iter_rows(named=True)]


def messages_of(dataset: Dataset) -> list[str]:
    return [str(mistake) for mistake in dataset.check()]


SAMPLE = pl.DataFrame({"n": [1, 2, 3], "text": ["a", 'b "q"\nnew line', "ä😀"], "xs": [["u"], [], None]})


@pytest.mark.parametrize("name", ["x.jsonl", "x.ndjson", "x.jsonl.gz", "x.jsonl.zst", "x.parquet", "x.arrow", "x.ipc"])
def test_every_typed_format_keeps_a_table_as_it_is(tmp_path, name):
    path = tmp_path / name
    plain, compression = name.split(".")[1], {"gz": "gzip", "zst": "zstd"}.get(name.rpartition(".")[2])
    sink: Any = {"jsonl": SAMPLE.lazy().sink_ndjson, "ndjson": SAMPLE.lazy().sink_ndjson}.get(plain)
    if sink:
        sink(path, compression=compression or "uncompressed")
    else:
        (SAMPLE.write_parquet if plain == "parquet" else SAMPLE.write_ipc)(path)
    dataset = dataset_of(path)
    assert dataset.check() == []
    assert dataset.frame.collect().equals(SAMPLE)
    assert rows(dataset, 2) == SAMPLE.to_dicts()
    assert dataset.count() == 3


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.csv.zst"])
def test_csv_cells_stay_text_and_empty_ones_are_null(tmp_path, name):
    path = tmp_path / name
    if name.endswith(".zst"):
        frame = pl.DataFrame({"a": ["007", None, "x, y"], "b": ["1.50", "true", 'say "hi"\nthere']})
        frame.lazy().sink_csv(path, compression="zstd")
    else:
        write_file(tmp_path, name, b'\xef\xbb\xbfa,b\r\n007,1.50\r\n\r\n"",true\r\n"x, y","say ""hi""\nthere"\r\n')
    dataset = dataset_of(path)
    assert dataset.check() == []
    assert rows(dataset) == [
        {"a": "007", "b": "1.50"},
        {"a": None, "b": "true"},
        {"a": "x, y", "b": 'say "hi"\nthere'},
    ]


JSONL_TRAPS = [
    ("byte order mark, CRLF, blank lines", b'\xef\xbb\xbf{"a":1}\r\n\r\n  \n{"a":2}', [{"a": 1}, {"a": 2}]),
    (
        "keys in other orders, missing keys",
        b'{"a":1,"b":"x"}\n{"b":"y"}\n',
        [{"a": 1, "b": "x"}, {"a": None, "b": "y"}],
    ),
    ("only nulls", b'{"a":null}\n{"a":null}\n', [{"a": None}, {"a": None}]),
    ("empty lists", b'{"a":[]}\n{"a":[]}\n', [{"a": []}, {"a": []}]),
    ("whole numbers, then a fraction", b'{"a":1}\n{"a":2.5}\n', [{"a": 1.0}, {"a": 2.5}]),
    ("the same in one list", b'{"a":[1,2.5]}\n{"a":[3]}\n', [{"a": [1.0, 2.5]}, {"a": [3.0]}]),
    ("and inside objects", b'{"a":{"x":1}}\n{"a":{"x":0.5}}\n{}', [{"a": {"x": 1.0}}, {"a": {"x": 0.5}}, {"a": None}]),
    ("beyond 2^53", b'{"a":9007199254740993}\n', [{"a": 9007199254740993}]),
    ("beyond 2^63", b'{"a":9223372036854775809}\n', [{"a": 9223372036854775809}]),
    ("beyond 2^64", b'{"a":123456789012345678901234567890}\n', [{"a": "123456789012345678901234567890"}]),
    ("big ones inside", b'{"a":[{"x":9007199254740993}]}\n', [{"a": [{"x": 9007199254740993}]}]),
    ("structs unlike", b'{"a":{"x":1}}\n{"a":{"y":"z"}}', [{"a": {"x": 1, "y": None}}, {"a": {"x": None, "y": "z"}}]),
    ("kinds that differ inside", b'{"a":["x",1]}\n{"a":null}\n', [{"a": '["x",1]'}, {"a": None}]),
    ("empty objects", b'{"a":{}}\n', [{"a": "{}"}]),
    ("NUL and emoji", '{"a":"x\\u0000y😀\\u2028"}\n'.encode(), [{"a": "x\0y😀\u2028"}]),
    ("half a character", b'{"a":"x\\ud800y"}\n', [{"a": "x\ufffdy"}]),
    ("a pair of halves", b'{"a":"\\ud83d\\ude00"}\n', [{"a": "😀"}]),
    ("a key twice", b'{"a":1,"a":2}\n', [{"a": 2}]),
    ("odd names", b'{"":1,"a b":2}\n', [{"": 1, "a b": 2}]),
    ("nothing at all", b"", []),
    ("only blank lines", b"\n\r\n\n", []),
]


@pytest.mark.parametrize(("content", "expected"), [trap[1:] for trap in JSONL_TRAPS], ids=[t[0] for t in JSONL_TRAPS])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_json_lines_keep_their_values(tmp_path, content, expected, suffix):
    dataset = dataset_of(write_file(tmp_path, "x.jsonl" + suffix, content))
    assert dataset.check() == []
    assert rows(dataset) == expected
    assert dataset.frame.collect().to_dicts() == expected


BROKEN = [
    ("x.jsonl", b'{"a":1}\n\n{"a":}\n', "{file}:3: broken JSON"),
    ("x.jsonl", b'{"a":1}\n{"a":2', "{file}:2: broken JSON"),
    ("x.jsonl", b'{"a":1}\n{"a":NaN}\n', "{file}:2: broken JSON"),
    ("x.jsonl", b'{"a":1}\n[1,2]\n', "{file}:2: a line must hold a JSON object; this one holds a list"),
    ("x.jsonl", b"[\n  {}\n]", "the whole file is one JSON array"),
    ("x.jsonl", b'{"a":1}\nnull\n', "{file}:2: a line must hold a JSON object; this one holds null"),
    ("x.jsonl", b'{"a":"x"}\n{"a":"\xff\xfe"}\n', "{file}:2: not UTF-8 text (byte 0xff)"),
    ("x.jsonl", b'{"a":"\\ud800"\n', "{file}:1: broken JSON"),
    ("x.jsonl", b'{"a":' + b"[" * 200_000, "{file}:1: nested too deeply"),
    ("x.jsonl", b'{"a":1}\n{"a":1.5}\n{"a":"x"}\n', "{file}:3: a: a string here, but a number in {file}:1"),
    ("x.jsonl", b'{"a":null}\n{"a":[1]}\n{"a":{}}\n', "{file}:3: a: an object here, but a list in {file}:2"),
    ("x.jsonl", b'{"a":true}\n{"a":1}\n', "{file}:2: a: a number here, but a boolean in {file}:1"),
    ("x.csv", b"a,b\n1,2\n1,2,3\n", "{file}:3: has 3 cells, the header has 2"),
    ("x.csv", b'a,b\n"x\ny",2\n1\n', "{file}:4: has 1 cell, the header has 2"),
    ("x.csv", b"a,b,a\n1,2,3\n", "{file}:1: a: the header names this column twice"),
    ("x.csv", b'a,b\n1,"2\n3,4\n', "{file}:2: broken CSV: unexpected end of data"),
    ("x.csv", b'a,b\n1,"2"x\n', "{file}:2: broken CSV"),
    ("x.csv", b"a,b\n1,\xe4\n", "{file}:2: not UTF-8 text (byte 0xe4)"),
    ("x.parquet", b"no parquet at all", "{file}: can't be read as parquet"),
    ("x.arrow", b"ARROW1\0\0", "{file}: can't be read as arrow"),
]


@pytest.mark.parametrize(("name", "content", "message"), BROKEN)
def test_broken_input_is_named_with_file_and_line(tmp_path, name, content, message):
    path = write_file(tmp_path, name, content)
    dataset = dataset_of(path)
    assert message.format(file=path) in messages_of(dataset)[0]
    with pytest.raises(DatasetError):
        list(dataset.batches())


def test_rows_without_any_value_are_a_mistake(tmp_path):
    assert messages_of(dataset_of(write_file(tmp_path, "x.jsonl", b"{}\n{}\n")))[0].endswith("no row has any value")


def test_damaged_compression_is_named_with_the_line_reached(tmp_path):
    rng = random.Random(1)
    whole = gzip.compress(b"".join(b'{"a":"%s"}\n' % rng.randbytes(30).hex().encode() for _ in range(500)))
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(whole[:-4000])
    assert "the compressed data is damaged" in messages_of(dataset_of(path))[0]


def test_the_first_mistakes_are_listed_and_the_others_counted(tmp_path):
    mistakes = messages_of(dataset_of(write_file(tmp_path, "x.jsonl", b"no\n" * 50)))
    assert len(mistakes) == 21
    assert mistakes[-1] == "… and 30 more mistakes"


def test_a_column_that_appears_late_is_in_every_row(tmp_path):
    lines = b'{"a":1}\n' * 20_000 + b'{"a":2,"late":{"x":[1]}}\n'
    found = rows(dataset_of(write_file(tmp_path, "x.jsonl", lines)))
    assert (found[0], found[-1]) == ({"a": 1, "late": None}, {"a": 2, "late": {"x": [1]}})


def test_an_object_with_ever_new_keys_is_kept_as_json_text(tmp_path):
    lines = b"".join(b'{"m":{"k%d":1}}\n' % n for n in range(2000))
    dataset = dataset_of(write_file(tmp_path, "x.jsonl", lines))
    assert dataset.schema == {"m": pl.String}
    assert json.loads(rows(dataset)[1999]["m"]) == {"k1999": 1}


def test_rows_may_have_some_megabytes(tmp_path):
    big = "ä" * 4_000_000
    lines = b"".join(json.dumps({"n": n, "t": big}).encode() + b"\n" for n in range(3))
    dataset = dataset_of(write_file(tmp_path, "x.jsonl", lines))
    assert [(row["n"], len(row["t"])) for row in rows(dataset)] == [(n, 4_000_000) for n in range(3)]


def test_globs_are_read_in_sorted_order_and_files_may_lack_columns(tmp_path):
    write_file(tmp_path, "b.jsonl", b'{"n":2,"y":true}\n')
    write_file(tmp_path, "a.jsonl", b'{"n":1,"x":"u"}\n')
    write_file(tmp_path, "c[1].jsonl", b'{"n":3}\n')
    expected = [{"n": 1, "x": "u", "y": None}, {"n": 2, "x": None, "y": True}, {"n": 3, "x": None, "y": None}]
    assert rows(dataset_of(tmp_path / "*.jsonl")) == expected
    assert rows(dataset_of(tmp_path / "c[1].jsonl", tmp_path / "b.jsonl"))[0]["n"] == 3


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv"])
def test_files_of_other_formats_are_united_too(tmp_path, suffix):
    for name, frame in {
        "1": pl.DataFrame({"a": ["x"], "b": ["y"]}),
        "2": pl.DataFrame({"c": ["z"], "a": ["w"]}),
    }.items():
        write: Any = {"parquet": frame.write_parquet, "arrow": frame.write_ipc, "csv": frame.write_csv}[suffix]
        write(tmp_path / f"{name}.{suffix}")
    dataset = dataset_of(tmp_path / f"*.{suffix}")
    assert rows(dataset) == [{"a": "x", "b": "y", "c": None}, {"a": "w", "b": None, "c": "z"}]
    assert dataset.count() == 2


def test_files_that_differ_in_types_are_refused(tmp_path):
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "1.parquet")
    pl.DataFrame({"a": ["x"]}).write_parquet(tmp_path / "2.parquet")
    one, two = tmp_path / "1.parquet", tmp_path / "2.parquet"
    assert messages_of(dataset_of(one, two)) == [f"{two}: a: String here, but Int64 in {one}"]
    write_file(tmp_path, "1.jsonl", b'{"a":1}\n')
    write_file(tmp_path, "2.jsonl", b'{"a":"x"}\n')
    (mistake,) = messages_of(dataset_of(tmp_path / "*.jsonl"))
    assert mistake == f"{tmp_path}/2.jsonl:1: a: a string here, but a number in {tmp_path}/1.jsonl:1"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("gone.jsonl", "there is no such file"),
        ("none-*.jsonl", "no file matches this pattern"),
        (".", "is a folder"),
        ("x.txt", "its suffix names no format"),
        ("x.parquet.gz", "compressed inside"),
        ("broken-link.jsonl", "can't be read"),
        ("fifo.jsonl", "is not a regular file"),
    ],
)
def test_unusable_paths_are_refused_when_the_input_is_opened(tmp_path, path, message):
    write_file(tmp_path, "x.txt", b"")
    write_file(tmp_path, "x.parquet.gz", b"")
    (tmp_path / "broken-link.jsonl").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "fifo.jsonl")
    with pytest.raises(DatasetError, match=message):
        dataset_of(tmp_path / path)


def test_files_of_several_formats_are_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"different formats: jsonl .* and csv"):
        dataset_of(write_file(tmp_path, "a.jsonl", b""), write_file(tmp_path, "b.csv", b""))


PEOPLE = b'{"id":"a","lang":"en","n":1}\n{"id":"b","lang":"de","n":2}\n\n{"id":"c","lang":"en","n":null}\n'


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("lang = 'en'", "ac"),
        ("n > 1 OR lang = 'en'", "abc"),
        ("n IS NULL", "c"),
        ("lang IN ('xx')", ""),
        ("n > 0", "ab"),
    ],
)
def test_where_leaves_rows_out(tmp_path, where, ids):
    dataset = dataset_of(write_file(tmp_path, "x.jsonl", PEOPLE), where=where)
    assert dataset.check() == []
    assert "".join(row["id"] for row in rows(dataset)) == ids
    assert dataset.count() == len(ids)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("lagn = 'en'", "no row has a column `lagn`; did you mean `lang`?"),
        ("lang >", "not a condition over the columns: unable to parse"),
        ("n", "not a condition over the columns: filter predicate must be of type `Boolean`"),
        ("n = 'x'", "not a condition over the columns: cannot compare string with numeric type"),
        ("nope(n)", "unsupported function 'nope'"),
    ],
)
def test_a_wrong_where_names_its_key(tmp_path, where, message):
    (mistake,) = dataset_of(write_file(tmp_path, "x.jsonl", PEOPLE), where=where).check()
    assert mistake.key == "input.where"
    assert message in mistake.message


def test_ids_must_be_unique_and_not_null(tmp_path):
    lines = b'{"id":"a"}\n\n{"id":null}\n{"id":"b"}\n{"id":"a"}\n{"x":1}\n'
    path = write_file(tmp_path, "x.jsonl", lines)
    assert messages_of(dataset_of(path, id="id")) == [
        f"{path}:3: id: the id is null",
        f"{path}:6: id: the id is null",
        f"{path}:5: id: the id 'a' was seen before, in line 1 of {path}",
    ]
    assert "did you mean `id`?" in messages_of(dataset_of(path, id="ids"))[0]


def test_ids_of_rows_that_where_leaves_out_do_not_matter(tmp_path):
    path = write_file(tmp_path, "x.jsonl", b'{"id":1,"k":1}\n{"id":1,"k":2}\n{"id":2,"k":1}\n')
    assert dataset_of(path, id="id", where="k = 1").check() == []
    assert len(dataset_of(path, id="id").check()) == 1


def test_ids_of_parquet_are_named_by_file_and_row(tmp_path):
    for name in ("1.parquet", "2.parquet"):
        pl.DataFrame({"id": [1, 2] if name[0] == "1" else [3, 2]}).write_parquet(tmp_path / name)
    (mistake,) = messages_of(dataset_of(tmp_path / "*.parquet", id="id"))
    assert mistake == f"{tmp_path}/2.parquet: id: row 2: the id 2 was seen before, in row 2 of {tmp_path}/1.parquet"


def test_nested_columns_cannot_name_rows(tmp_path):
    (mistake,) = dataset_of(write_file(tmp_path, "x.jsonl", b'{"id":[1]}\n'), id="id").check()
    assert (mistake.key, "can't name rows" in mistake.message) == ("input.id", True)


REQUEST = {"custom_id": "r1", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [{"role": "user"}]}}


def test_openai_batch_lines_keep_their_bodies_as_text(tmp_path):
    other = {**REQUEST, "custom_id": "r2", "body": {"messages": [{"role": "user", "content": [1]}], "tools": {}}}
    text = "".join(json.dumps(line) + "\n" for line in (REQUEST, other))
    dataset = dataset_of(write_file(tmp_path, "x.jsonl", text.encode()), format="openai-batch")
    assert (dataset.check(), dataset.id, dataset.format) == ([], "custom_id", "openai-batch")
    assert json.loads(rows(dataset)[1]["body"]) == other["body"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "/v1/embeddings"}, "the url must end in /chat/completions, not '/v1/embeddings'"),
        ({"method": "GET"}, "the method must be POST"),
        ({"body": "x"}, "`body` must be an object"),
        ({"body": {"messages": "hi"}}, "`body.messages` must be a list"),
        ({"custom_id": None}, "the id is null"),
    ],
)
def test_openai_batch_lines_that_are_no_chat_request_are_named(tmp_path, change, message):
    text = json.dumps({**REQUEST, **change}) + "\n"
    (mistake,) = dataset_of(write_file(tmp_path, "x.jsonl", text.encode()), format="openai-batch").check()
    assert message in mistake.message
    assert mistake.line == 1


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv", "x.parquet"])
def test_only_the_columns_asked_for_are_read(tmp_path, name):
    frame = pl.DataFrame({"a": ["1", "2"], "b": ["x", "y"], "": ["u", "v"]})
    write: Any = {"x.jsonl": frame.write_ndjson, "x.csv": frame.write_csv, "x.parquet": frame.write_parquet}[name]
    write(tmp_path / name)
    dataset = dataset_of(tmp_path / name, where="b = 'y'")
    assert [batch.to_dicts() for batch in dataset.batches(columns=["", "a"])] == [[{"a": "2", "": "v"}]]
    assert [batch.height for batch in dataset.batches(columns=[])] == [1]


def test_the_digest_follows_the_content_not_the_folder(tmp_path):
    (tmp_path / "other").mkdir()
    one = dataset_of(write_file(tmp_path, "x.jsonl", PEOPLE)).input_digest()
    assert one == dataset_of(write_file(tmp_path / "other", "x.jsonl", PEOPLE)).input_digest()
    assert one != dataset_of(write_file(tmp_path, "x.jsonl", PEOPLE[:-3] + b"9}\n")).input_digest()


def test_a_reader_may_stop_early_and_others_read_meanwhile(tmp_path):
    dataset = dataset_of(write_file(tmp_path, "x.jsonl", b'{"a":1}\n' * 30_000))
    first = dataset.batches(10)
    assert next(first).height == 10
    assert dataset.frame.select(pl.col("a").sum()).collect().item() == 30_000
    assert dataset.frame.head(3).collect().height == 3


@pytest.mark.parametrize(
    "line",
    [
        '{"a": "x", "b": {"a": [1, 2.5, null]}, "c": 1}',
        '{"b": null, "a": 1, "a": 2}',
        '{"\\u0061": 123456789012345678901234567890, "ä 😀": true, "c": "\\ud800"}',
        '{"a": "\\ud800 \\ud83d\\ude00", "b": -0.0, "c": 1e999}',
        '{"c": [[], {}]}',
        "{}",
    ],
)
def test_a_row_read_for_some_columns_is_the_whole_row_without_the_others(line: str) -> None:
    columns = frozenset({"a", "ä 😀", "b"})
    try:
        whole = jsonl.read_row(line.encode())
    except jsonl.BrokenLineError:
        with pytest.raises(jsonl.BrokenLineError):
            jsonl.row_reader(frozenset({"c"}))(line.encode())
        return
    wanted = [(name, value) for name, value in whole.items() if name in columns]
    assert list(jsonl.row_reader(columns)(line.encode()).items()) == wanted
