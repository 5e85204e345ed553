"""The sample data agrees with its README."""

from __future__ import annotations

import re
import runpy
import struct
import zlib
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

DATA = Path(__file__).parents[2] / "sample_data"
README = (DATA / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["reviews", "support", "banking"])
def test_the_parquet_file_holds_the_same_rows(name: str) -> None:
    assert pl.read_parquet(DATA / f"{name}.parquet").equals(pl.read_ndjson(DATA / f"{name}.jsonl"))


def test_every_file_is_listed_with_its_rows_and_columns() -> None:
    listed = re.findall(r"^\| `(\w+\.jsonl)`.*?\| (\d+) \| (.*?) \|", README, re.MULTILINE)
    assert {name for name, _, _ in listed} == {path.name for path in DATA.glob("*.jsonl")}
    for name, rows, columns in listed:
        table = pl.read_ndjson(DATA / name)
        assert (table.height, table.columns) == (int(rows), re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", columns)))


@pytest.mark.parametrize(("name", "labels", "each"), [("support", 11, 6), ("banking", 8, 8)])
def test_the_labels_are_balanced(name: str, labels: int, each: int) -> None:
    counts = Counter(pl.read_parquet(DATA / f"{name}.parquet")["label"])
    assert len(counts) == labels
    assert set(counts.values()) == {each}


@pytest.mark.parametrize("name", ["prompts", "reviews", "orders", "images", "support", "banking"])
def test_every_row_has_its_own_id(name: str) -> None:
    assert pl.read_ndjson(DATA / f"{name}.jsonl")["id"].is_unique().all()


def pixels(png: bytes) -> bytes:
    """The unpacked image data, since zlib's packed data differs from version to version."""
    packed, at = b"", 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += 12 + length
    return zlib.decompress(packed)


def test_the_script_draws_the_pictures() -> None:
    script = runpy.run_path(str(DATA / "images" / "draw.py"))
    for name, (background, figures) in script["PICTURES"].items():
        drawn = script["png"](background, figures)
        assert pixels((DATA / "images" / f"{name}.png").read_bytes()) == pixels(drawn)
    assert {f"{name}.png" for name in script["PICTURES"]} == set(pl.read_ndjson(DATA / "images.jsonl")["file"])
