"""The body of a response: compression, charset, and the memory that reading it takes."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfree.core.chat import Completion, Failure, Kind
from batchfree.service.openrouter.body import (
    LONGEST_BODY,
    MOST_VALUES,
    BodyReader,
    UnreadableBodyError,
    body_text,
    count_values,
)
from batchfree.service.openrouter.judge import judge

MOST_MEMORY_MB = 150


def read(coding: str, *chunks: bytes) -> bytes:
    reader = BodyReader({"content-encoding": coding})
    for chunk in chunks:
        reader.feed(chunk)
    return reader.end()


def deflate(data: bytes, bits: int) -> bytes:
    packer = zlib.compressobj(wbits=bits)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("", b"Hello"),
        ("identity", b"Hello"),
        ("gzip", gzip.compress(b"Hello", mtime=0)),
        ("X-GZIP", gzip.compress(b"Hello", mtime=0)),
        ("identity, gzip", gzip.compress(b"Hello", mtime=0)),
        ("deflate", deflate(b"Hello", 15)),
        ("deflate", deflate(b"Hello", -15)),
    ],
)
def test_a_body_is_decompressed_in_any_pieces(coding: str, packed: bytes) -> None:
    assert read(coding, packed) == b"Hello"
    assert read(coding, packed[:3], packed[3:]) == b"Hello"


@pytest.mark.parametrize(
    ("coding", "chunks", "says"),
    [
        ("gzip, gzip", [], "compressed 2 times"),
        ("gzip,deflate, gzip ", [], "compressed 3 times"),
        ("br", [], "not asked for: br"),
        ("zstd", [], "not asked for: zstd"),
        ("gzip", [b"no gzip"], "can't be decompressed"),
        ("gzip", [gzip.compress(b"Hello" * 99, mtime=0)[:-9]], "ends in the middle"),
        ("gzip", [gzip.compress(bytes(LONGEST_BODY + 1), mtime=0)], "longer than 8 MB"),
        ("", [bytes(LONGEST_BODY), b"x"], "longer than 8 MB"),
    ],
)
def test_what_can_not_be_decompressed_is_refused_with_its_reason(coding: str, chunks: list[bytes], says: str) -> None:
    with pytest.raises(UnreadableBodyError, match=says):
        read(coding, *chunks)


def reply(content: str, charset: str) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}}]}, ensure_ascii=False).encode(charset)


@pytest.mark.parametrize(
    ("declared", "body"),
    [
        ("application/json", reply("Café Orléans", "utf-8")),
        ("application/json", reply("Café Orléans", "utf-8-sig")),
        ("application/json", reply("Café Orléans", "utf-16")),
        ("application/json", reply("Café Orléans", "utf-32")),
        ("application/json; charset=iso-8859-1", reply("Café Orléans", "latin-1")),
        ('application/json; charset="ISO-8859-1"; x=y', reply("Café Orléans", "latin-1")),
        ("application/json;charset=Windows-1252", reply("Café Orléans", "cp1252")),
        ("application/json; charset=utf-16le", reply("Café Orléans", "utf-16-le")),
        ("application/json; charset=iso-8859-1", reply("Café Orléans", "utf-8-sig")),
        ("application/json; charset=gb18030", reply("Café Orléans", "gb18030")),
        ("application/json; charset=unheard-of", reply("Café Orléans", "utf-8")),
        ("application/json; charset=rot13", reply("Café Orléans", "utf-8")),
        ("application/json; charset=unicode_escape", reply("Café Orléans", "utf-8")),
        ("application/json; charset=", reply("Café Orléans", "utf-8")),
    ],
)
def test_a_body_is_read_in_the_charset_that_it_declares(declared: str, body: bytes) -> None:
    result = judge(200, {"content-type": declared}, body)
    assert isinstance(result, Completion), result
    assert result.content == "Café Orléans"


@pytest.mark.parametrize(
    ("declared", "body"),
    [
        ("application/json", reply("Café", "latin-1")),
        ("application/json; charset=utf-8", reply("Café", "latin-1")),
        ("application/json; charset=us-ascii", reply("Café", "utf-8")),
        ("application/json; charset=utf-16", reply("Café", "utf-16")[:-1]),
        ("application/json; charset=shift_jis", b'{"choices":[{"message":{"content":"\x81"}}]}'),
        ("application/json; charset=unheard-of", reply("Café", "latin-1")),
        ("application/json", reply("half", "utf-8").replace(b"half", b"half \xed\xa0\xbd")),
        ("application/json", reply("half", "utf-8").replace(b"half", b"half \xf0\x9f\x98")),
    ],
)
def test_bytes_that_are_no_text_in_their_charset_are_a_bad_response(declared: str, body: bytes) -> None:
    failure = judge(200, {"content-type": declared}, body)
    assert isinstance(failure, Failure)
    assert failure.kind is Kind.BAD_RESPONSE
    assert "not valid" in failure.message
    assert "\N{REPLACEMENT CHARACTER}" not in repr(failure)


def test_an_error_in_another_charset_is_still_understood() -> None:
    body = b'{"error": {"code": 429, "message": "free-models-per-day \xe9"}}'
    failure = judge(429, {"content-type": "application/json"}, body)
    assert isinstance(failure, Failure)
    assert failure.kind is Kind.DAY_LIMIT
    assert "\N{REPLACEMENT CHARACTER}" not in failure.message


@given(
    st.binary(),
    st.sampled_from(["", "utf-16", "utf-7", "idna", "punycode", "big5", "iso2022_kr", "base64", "undefined"]),
)
def test_no_bytes_in_any_charset_make_the_reader_raise_another_error(body: bytes, charset: str) -> None:
    try:
        text = body_text({"content-type": f"text/plain; charset={charset}"}, body)
    except UnreadableBodyError:
        return
    assert "\N{REPLACEMENT CHARACTER}" not in text or charset


@given(st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_the_number_of_values_is_never_more_than_counted(value: Any) -> None:
    def number(value: Any) -> int:
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return 1 + sum(number(each) for each in inside)

    assert number(value) <= count_values(json.dumps(value))


def test_a_body_of_very_many_values_is_refused_before_it_is_parsed() -> None:
    body = b'{"choices": [{"message": {"content": [0' + b",0" * MOST_VALUES + b"]}}]}"
    failure = judge(200, {}, body)
    assert isinstance(failure, Failure)
    assert "more than 200,000 values" in failure.message


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_no_body_takes_more_than_150_mb() -> None:
    script = Path(__file__).with_name("peak_memory.py")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=120)
    taken: dict[str, float] = json.loads(done.stdout)
    assert {name: mb for name, mb in taken.items() if mb > MOST_MEMORY_MB} == {}
