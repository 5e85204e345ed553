"""Damaged input files, hundreds of them: each is read, or named as a mistake; none ends a command as a bug."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from support.command_line import command

SNIPPETS = (b'"', b"{", b"}", b"\n", b"\0", b",", b"1e999", b"-", b"\xef\xbb\xbf", b"\\ud800")
TEMPLATES = ("{{ text }}", "{{ row | tojson }}", "{{ x[0].a }}")
FILES = int(os.environ.get("BATCHFREE_DAMAGED_FILES", "300"))
"""The number of damaged files; more are tried by hand."""
PARTS = 6
ROWS = [{"text": f"row {n} ä😀", "n": n / 2 if n % 3 else n, "x": [{"a": n}], "id": n} for n in range(30)]
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
BODY = {"messages": [{"role": "user", "content": "x"}]}
REQUESTS = b"".join(
    json.dumps({"custom_id": str(n), "url": "/v1/chat/completions", "body": BODY}).encode() + b"\n" for n in range(10)
)  # fmt: skip
TABLE = pl.DataFrame({"text": ["a", "b", None] * 9, "n": range(27), "x": [[1.5], [], None] * 9}).with_columns(
    d=pl.lit("2024-01-01").str.to_date(), c=pl.col("text").cast(pl.Categorical)
)


def stored(write: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


ORIGINALS: dict[str, bytes] = {
    "x.jsonl": LINES,
    "x.csv": b'text,n,"x"\na,1,"b\nc"\n"d, e",2,\n',
    "x.tsv": b"text\tn\na\t1\nb\t2\n",
    "y.jsonl": LINES.decode().encode("utf-16"),
    "x.jsonl.gz": gzip.compress(LINES) + gzip.compress(LINES),
    "b.jsonl": REQUESTS,
    "x.parquet": stored(lambda file: TABLE.write_parquet(file)),
    "u.parquet": stored(lambda file: TABLE.write_parquet(file, compression="uncompressed")),
    "x.arrow": stored(lambda file: TABLE.write_ipc(file)),
    "s.arrow": stored(lambda file: TABLE.write_ipc_stream(file)),
    "a.jsonl": b"[\n" + LINES.replace(b"\n", b",\n") + b"{}]",
    "h.jsonl": b"<!doctype html><html></html>",
}


def damage(content: bytes, chance: random.Random) -> bytes:
    """The content with one to five damages."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(7):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[at : at + chance.randint(1, 40)]
            case 2:
                data[at:at] = chance.randbytes(chance.randint(1, 20))
            case 3:
                del data[at:]
            case 4:
                data[at:at] = data[chance.randrange(len(data) + 1) :][: chance.randint(1, 200)]
            case 5:
                data[at:at] = chance.choice(SNIPPETS)
            case _:
                for place in range(at, min(at + 8, len(data))):
                    data[place] ^= 1 << chance.randrange(8)
    return bytes(data)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_damaged_file_is_read_or_named(tmp_path: Path, part: int) -> None:
    job = tmp_path / "job.yaml"
    for number in range(part, FILES, PARTS):
        chance = random.Random(number)
        original = chance.choice(list(ORIGINALS))
        name = chance.choice(list(ORIGINALS)) if chance.random() < 0.15 else original
        (tmp_path / name).write_bytes(damage(ORIGINALS[original], chance))
        is_batch = name.startswith("b")
        keys: dict[str, object] = {"path": name, "id": chance.choice([None, None, "id"])}
        keys |= {"where": chance.choice([None, None, "n > 2"])} | ({"format": "openai-batch"} if is_batch else {})
        output = f"out.{chance.choice(['parquet', 'csv', 'jsonl', 'arrow'])}"
        spec = {"input": keys, "output": output, "endpoint": "embedded"}
        spec |= {} if is_batch else {"prompt": chance.choice(TEMPLATES)}
        job.write_text(json.dumps(spec), encoding="utf-8")
        for words in (["validate"], ["preview"], ["run", "-q", "--fresh"] if number % 4 == 0 else ["export"]):
            found = command(*words, job)
            assert found.code in {0, 1, 2, 3, 75}, (number, original, name, words, found.err[-2000:])
