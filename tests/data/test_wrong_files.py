"""Files that are something else than their name says: each is read, or named for what it is before anything is sent."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

from batchfree.core.errors import DatasetError
from batchfree.data.input import arrow_stream, open_dataset
from batchfree.jobspec import InputSpec

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1234\n"
HTML = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n"
LINES = '{"text":"ä"}\n{"text":"😀"}\n'
ROWS = [{"text": "ä"}, {"text": "😀"}]
TABLE = pl.DataFrame({"text": ["ä", "😀"]})


def written(frame: pl.DataFrame, form: str) -> bytes:
    file = io.BytesIO()
    if form == "parquet":
        frame.write_parquet(file)
    elif form == "arrow":
        frame.write_ipc(file)
    else:
        frame.write_ipc_stream(file)
    return file.getvalue()


def workbook() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return file.getvalue()


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as each:
        each.writestr("rows.jsonl", LINES)
    return file.getvalue()


def database(folder: Path) -> bytes:
    with sqlite3.connect(folder / "x.db") as connection:
        connection.execute("create table t (a)")
    connection.close()
    return (folder / "x.db").read_bytes()


def skippable(payload: bytes, nibble: int = 0) -> bytes:
    return struct.pack("<II", 0x184D2A50 + nibble, len(payload)) + payload


def zstd(folder: Path, text: str) -> bytes:
    pl.LazyFrame({"line": [text]}).sink_csv(
        folder / "z", include_header=False, quote_style="never", line_terminator="", compression="zstd"
    )
    return (folder / "z").read_bytes()


def problem_of(folder: Path, name: str, content: bytes, **options: Any) -> str:
    """The first mistake in the file, found when it is opened or when it is checked; "" if there is none."""
    (folder / name).write_bytes(content)
    try:
        mistakes = open_dataset(InputSpec(path=(str(folder / name),), **options)).check()
    except DatasetError as error:
        mistakes = list(error.mistakes)
    assert len(mistakes) <= 1, mistakes
    return mistakes[0].message if mistakes else ""


def rows_of(folder: Path, name: str, content: bytes, **options: Any) -> list[dict]:
    (folder / name).write_bytes(content)
    dataset = open_dataset(InputSpec(path=(str(folder / name),), **options))
    assert dataset.check() == []
    assert (
        dataset.frame.collect().to_dicts() == list(dataset.rows(dataset.schema)) == dataset.frame.collect().to_dicts()
    )
    return dataset.frame.collect().to_dicts()


ALL_FORMATS = ("x.jsonl", "x.csv", "x.parquet", "x.arrow", "x.txt")
NAMED = [
    *((name, LFS, "Git LFS pointer") for name in ALL_FORMATS),
    *((name, HTML, "a web page (HTML)") for name in ALL_FORMATS),
    *((name, b"\n <html><body>\n", "a web page (HTML)") for name in ALL_FORMATS),
    *((name, b'<?xml version="1.0"?><Error/>', "this is XML") for name in ALL_FORMATS),
    *((name, workbook(), "an Excel workbook") for name in (*ALL_FORMATS, "x.xlsx")),
    *((name, archive(), "a ZIP archive") for name in (*ALL_FORMATS, "x.zip")),
    *((name, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "an old Excel file") for name in (*ALL_FORMATS, "x.xls")),
    *((name, b"SQLite format 3\0rest", "an SQLite database") for name in (*ALL_FORMATS, "x.sqlite", "x.db")),
    *((name, b"BZh91AY&SY", "bzip2") for name in (*ALL_FORMATS, "x.jsonl.bz2")),
    *((name, b"\xfd7zXZ\0", "xz") for name in ALL_FORMATS),
    *((name, b"%PDF-1.7", "a PDF") for name in ALL_FORMATS),
    *((name, bytes(257) + b"ustar", "a tar archive") for name in ALL_FORMATS),
    *(
        (name, written(TABLE, "parquet"), "set input.format: parquet")
        for name in ("x.jsonl", "x.csv", "x.arrow", "x.bin")
    ),
    *((name, written(TABLE, "arrow"), "set input.format: arrow") for name in ("x.jsonl", "x.csv", "x.parquet")),
    *((name, written(TABLE, "stream"), "set input.format: arrow") for name in ("x.jsonl", "x.csv", "x.parquet")),
    *((name, gzip.compress(b"x", mtime=0), "compressed with gzip") for name in ("x.parquet", "x.arrow")),
    *((name, b"", "the file is empty") for name in ("x.parquet", "x.arrow")),
    ("x.arrow", b"FEA1rest", "Feather file of version 1"),
    ("x.csv", b'{"a": 1}\n{"a": 2}\n', "this is JSON, not CSV"),
    ("x.csv", b'[{"a": 1}]', "this is JSON, not CSV"),
    ("x.jsonl", b'[\n  {"a": 1},\n  {"a": 2}\n]\n', "the whole file is one JSON array"),
    ("x.jsonl", b'\xef\xbb\xbf\n[{"a": 1}, {"a": 2}]\n', "the whole file is one JSON array"),
    ("x.jsonl", b'[{"a": 1},\n{"a": 2}]', "the whole file is one JSON array"),
    ("x.jsonl.gz", gzip.compress(b'[\n{"a": 1}\n]', mtime=0), "the whole file is one JSON array"),
    ("x.jsonl", b'{\n  "a": 1\n}\n{\n  "a": 2\n}\n', "JSON objects over several lines"),
    ("x.jsonl", b'{"data": [\n{"a": 1},\n{"a": 2}]}\n', "JSON objects over several lines"),
    ("x.jsonl", b'{\n"data": "' + b"x" * 2_000_000, "JSON objects over several lines"),
    ("x.jsonl", LINES.encode("utf-16-le"), "UTF-16 without a byte order mark"),
    ("x.csv", "text,other\nhello,you\n".encode("utf-16-be"), "UTF-16 without a byte order mark"),
    ("x.jsonl", LINES.encode("utf-16")[:-1], "broken UTF-16 text"),
    ("x.csv", b"sep=;\nid;text\n1;a\n", 'it tells Excel that semicolons separate the cells; set input.separator: ";"'),
    ("x.csv", b"id;text\n1;a, b\n", 'separated by semicolons: set input.separator: ";"'),
    ("x.csv", b"id\ttext\n1\ta, b\n", 'separated by tabs: set input.separator: "\\t"'),
    ("x.csv", b"id|text\n", 'separated by vertical bars: set input.separator: "|"'),
    ("x.tsv", b"id,text\n1,a\n", 'separated by commas: set input.separator: ","'),
    ("x.csv", b"text,b,text,text\n1,2,3,4\n", "the header names this column 3 times"),
    ("x.csv", b"a,,\n1,2,3\n", "2 columns have no name"),
]


@pytest.mark.parametrize(("name", "content", "sentence"), NAMED)
def test_a_file_that_is_something_else_is_named_once(tmp_path, name, content, sentence):
    assert sentence in problem_of(tmp_path, name, content)


def test_a_real_database_is_named(tmp_path):
    assert "an SQLite database" in problem_of(tmp_path, "x.jsonl", database(tmp_path))


READ = [
    *((f"x.{form}", LINES.encode(code)) for form in ("jsonl", "ndjson") for code in ("utf-16", "utf-32", "utf-8-sig")),
    ("x.jsonl", b"\xfe\xff" + LINES.encode("utf-16-be")),
    ("x.jsonl", LINES.replace("\n", "\r\n").encode("utf-16")),
    ("x.jsonl.gz", gzip.compress(LINES.encode("utf-16"), mtime=0)),
    ("x.jsonl.gz", b"".join(gzip.compress(line.encode() + b"\n", mtime=0) for line in LINES.splitlines())),
    ("x.jsonl.gz", LINES.encode()),
    ("x.jsonl", gzip.compress(LINES.encode(), mtime=0)),
    ("x.csv", "text\nä\n😀\n".encode("utf-16")),
    ("x.csv", "sep=,\r\ntext\r\nä\r\n😀\r\n".encode()),
    ("x.arrow", written(TABLE, "stream")),
    ("x.arrow", written(TABLE, "arrow")),
    ("x.parquet", written(TABLE, "parquet")),
]


@pytest.mark.parametrize(("name", "content"), READ)
def test_a_file_in_another_form_is_read(tmp_path, name, content):
    assert rows_of(tmp_path, name, content) == ROWS


@pytest.mark.parametrize("count", [1, 2])
def test_zstandard_after_skippable_frames_is_read(tmp_path, count):
    frames = b"".join(skippable(b"abcd", nibble) for nibble in range(0, 16, 16 // count))
    content = frames + zstd(tmp_path, '{"text":"ä"}\n') + skippable(b"") + zstd(tmp_path, '{"text":"😀"}\n')
    assert rows_of(tmp_path, "x.jsonl.zst", content) == ROWS


@pytest.mark.parametrize(
    ("name", "content", "separator"),
    [
        ("x.csv", "text;n\nä;1\n😀;2\n", ";"),
        ("x.csv", "sep=;\ntext;n\nä;1\n😀;2\n", ";"),
        ("x.csv", "text\tn\nä\t1\n😀\t2\n", "\t"),
        ("x.tsv", "text\tn\nä\t1\n😀\t2\n", None),
        ("x.tsv", "text,n\nä,1\n😀,2\n", ","),
        ("x.csv", "text,n\nä,1\n😀,2\n", None),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_cells_are_separated_as_the_job_or_the_suffix_says(tmp_path, name, content, separator, suffix):
    stored = gzip.compress(content.encode(), mtime=0) if suffix else content.encode()
    rows = rows_of(tmp_path, name + suffix, stored, separator=separator)
    assert rows == [{"text": "ä", "n": "1"}, {"text": "😀", "n": "2"}]


def test_a_quoted_name_with_a_semicolon_is_one_column(tmp_path):
    assert rows_of(tmp_path, "x.csv", b'"a;b"\n1\n') == [{"a;b": "1"}]


def test_only_csv_has_a_separator(tmp_path):
    assert problem_of(tmp_path, "x.jsonl", LINES.encode(), separator=";").startswith("only CSV has a separator")


def stream_of(batches: int, rows: int) -> bytes:
    """A stream of several batches; Polars itself writes one."""
    frames = [pl.DataFrame({"n": range(number * rows, number * rows + rows)}) for number in range(batches)]
    streams = [written(frame, "stream") for frame in frames]
    schema = streams[0].index(b"\xff\xff\xff\xff", 8)  # the second message is the first batch
    return streams[0][:schema] + b"".join(stream[schema:-8] for stream in streams) + streams[0][-8:]


def test_an_arrow_stream_of_many_batches_is_read_batch_by_batch(tmp_path):
    (tmp_path / "x.arrow").write_bytes(stream_of(5, 1000))
    dataset = open_dataset(InputSpec(path=(str(tmp_path / "x.arrow"),), where="n >= 10"))
    assert dataset.check() == []
    assert len(list(arrow_stream.batches(str(tmp_path / "x.arrow")))) == 5
    assert dataset.count() == 4990
    assert [row["n"] for row in dataset.rows({"n"})] == list(range(10, 5000))


@pytest.mark.parametrize("cut", [4, 7, 100, 200, -20, -9])
def test_a_stream_that_breaks_off_is_named(tmp_path, cut):
    assert "can't be read as arrow" in problem_of(tmp_path, "x.arrow", stream_of(2, 100)[:cut])


BATCH_LINE = {"custom_id": "a", "method": "POST", "body": {"messages": [{"role": "user", "content": "hi"}]}}


@pytest.mark.parametrize(
    "url",
    [
        "/v1/chat/completions",
        "/chat/completions",
        "/v1/chat/completions/",
        "https://api.mistral.ai/v1/chat/completions",
        "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
        None,
    ],
)
def test_chat_requests_of_every_vendor_are_read(tmp_path, url):
    line = json.dumps({**BATCH_LINE, "url": url}).encode()
    assert problem_of(tmp_path, "x.jsonl", line, format="openai-batch") == ""


@pytest.mark.parametrize("url", ["/v1/embeddings", "/v1/responses", "/v1/completions", "/v1/moderations", 7, "x"])
def test_other_endpoints_are_refused_by_name(tmp_path, url):
    line = json.dumps({**BATCH_LINE, "url": url}).encode()
    assert f"the url must end in /chat/completions, not {url!r}" in problem_of(
        tmp_path, "x.jsonl", line, format="openai-batch"
    )


def test_lines_of_another_vendors_batches_are_named(tmp_path):
    line = json.dumps({"custom_id": "a", "params": {"messages": []}}).encode()
    assert "Anthropic's Message Batches" in problem_of(tmp_path, "x.jsonl", line, format="openai-batch")


@pytest.mark.parametrize("write", [pl.DataFrame.write_ipc, pl.DataFrame.write_ipc_stream])
@pytest.mark.parametrize("compression", ["zstd", "lz4", "uncompressed"])
def test_an_arrow_file_whose_lengths_are_damaged_ends_no_process(
    tmp_path: Path, write: Callable[..., None], compression: str
) -> None:
    path = tmp_path / "rows.arrow"
    write(pl.DataFrame({"prompt": ["a" * 40] * 1000}), path, compression=compression)
    data = path.read_bytes()
    assert open_dataset(InputSpec(path=(str(path),))).check() == []
    damaged = data.replace((16_000).to_bytes(8, "little"), (16_000 + (0x11 << 56)).to_bytes(8, "little"))
    assert damaged != data
    path.write_bytes(damaged)
    with pytest.raises(DatasetError, match=r"claim to hold|would stand outside the file"):
        list(open_dataset(InputSpec(path=(str(path),))).rows({"prompt"}))


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(20 << 30)  # a hole of 20 GB, which takes no room on the disk
    (mistake,) = open_dataset(InputSpec(path=(str(path),))).check()
    assert (mistake.line, mistake.message) == (1, "this line is longer than 256 MB")


def test_a_line_in_a_few_compressed_bytes_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    path, packer = tmp_path / "rows.jsonl.zst", zstandard.ZstdCompressor().compressobj()
    with path.open("wb") as file:
        file.writelines(packer.compress(b"a" * (8 << 20)) for _ in range(40))
        file.write(packer.flush())
    (mistake,) = open_dataset(InputSpec(path=(str(path),))).check()
    assert (mistake.line, mistake.message) == (1, "this line is longer than 256 MB")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda content: content[:-3], "the compressed data is damaged: it ends in the middle"),
        (lambda content: content + b"no frame", "the compressed data is damaged: "),
        (lambda content: content[:20] + bytes(8) + content[28:], "the compressed data is damaged: "),
    ],
    ids=["cut", "more behind it", "other bytes"],
)
def test_damaged_zstandard_is_a_mistake_with_its_line(
    tmp_path: Path, damage: Callable[[bytes], bytes], says: str
) -> None:
    text = "".join(f'{{"text":"row {n}"}}\n' for n in range(200))
    packed = zstandard.ZstdCompressor(write_checksum=True).compress(text.encode())
    assert problem_of(tmp_path, "x.jsonl.zst", damage(packed)).startswith(says)
