"""Files that are something else than their name says: how their first bytes tell it, and what the user can do.

Each signature comes from the specification of its format; file(1) knows the same ones.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

HEAD_BYTES = 4_096
"""The first bytes of a file, from which its kind is told."""
JSON_CHARACTERS = 1 << 20
"""Most characters that are read to find out how a JSON file is laid out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The first bytes of a kind of file. `fits` names the input formats that are read from such files."""

    start: bytes
    sentence: str
    offset: int = 0
    fits: tuple[str, ...] = ()


TEXT = ("jsonl", "csv", "openai-batch")
LFS = "this is a Git LFS pointer, not the file itself; fetch the file with `git lfs pull`"
GZIPPED = "the file is compressed with gzip; decompress it first"
ZSTANDARD = "the file is compressed with Zstandard; decompress it first"
UNPACK = "which batchfree does not read; decompress the file first"

SIGNATURES = (
    Signature(start=b"version https://git-lfs.github.com/spec/", sentence=LFS),
    Signature(start=b"version https://hawser.github.com/spec/", sentence=LFS),
    Signature(start=b"/annex/objects/", sentence="this is a git-annex pointer; fetch the file with `git annex get`"),
    Signature(start=b"SQLite format 3\0", sentence="this is an SQLite database; export the table as CSV or Parquet"),
    Signature(start=b"DUCK", offset=8, sentence="this is a DuckDB database; export the table as CSV or Parquet"),
    Signature(start=b"PAR1", fits=("parquet",), sentence="this is a Parquet file; set input.format: parquet"),
    Signature(start=b"PARE", sentence="this is an encrypted Parquet file; write it without encryption"),
    Signature(start=b"ARROW1", fits=("arrow",), sentence="this is an Arrow file; set input.format: arrow"),
    Signature(start=b"\xff\xff\xff\xff", fits=("arrow",), sentence="this is an Arrow stream; set input.format: arrow"),
    Signature(start=b"FEA1", sentence="this is a Feather file of version 1; write it anew as version 2 or as Parquet"),
    Signature(start=b"ORC", sentence="this is an ORC file; convert it to Parquet"),
    Signature(start=b"Obj\x01", sentence="this is an Avro file; convert it to Parquet or JSON Lines"),
    Signature(start=b"\x89HDF\r\n\x1a\n", sentence="this is an HDF5 file; convert it to Parquet"),
    Signature(start=b"\x93NUMPY", sentence="this is a NumPy array; convert it to Parquet"),
    Signature(start=b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", sentence="this is an old Excel file (.xls); save it as CSV"),
    Signature(start=b"\x80\x04", sentence="this is a Python pickle, which may hold code; convert it to Parquet"),
    Signature(start=b"\x80\x05", sentence="this is a Python pickle, which may hold code; convert it to Parquet"),
    Signature(start=b"%PDF-", sentence="this is a PDF, not a table"),
    Signature(start=b"\x1f\x8b", fits=TEXT, sentence=GZIPPED),
    Signature(start=b"\x28\xb5\x2f\xfd", fits=TEXT, sentence=ZSTANDARD),
    Signature(start=b"BZh", sentence=f"the file is compressed with bzip2, {UNPACK}"),
    Signature(start=b"\xfd7zXZ\0", sentence=f"the file is compressed with xz, {UNPACK}"),
    Signature(start=b"\x04\x22\x4d\x18", sentence=f"the file is compressed with LZ4, {UNPACK}"),
    Signature(start=b"\xff\x06\0\0sNaPpY", sentence=f"the file is compressed with Snappy, {UNPACK}"),
    Signature(start=b"7z\xbc\xaf\x27\x1c", sentence="this is a 7z archive; unpack it first"),
    Signature(start=b"Rar!\x1a\x07", sentence="this is a RAR archive; unpack it first"),
    Signature(start=b"ustar", offset=257, sentence="this is a tar archive; unpack it first"),
)

MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(!doctype\s+html|html|head|body|\?xml|!--)", re.IGNORECASE)
UTF16_WITHOUT_MARK = re.compile(rb"(?:[\t\r\n\x20-\x7e]\0){8}|(?:\0[\t\r\n\x20-\x7e]){8}")
CONTROLS = re.compile(rb"[^\t\r\n\x20-\xff]")
"""Bytes that a text file does not hold."""
JSON_START = re.compile(rb'(?:\xef\xbb\xbf)?\s*(\{\s*"|\[\s*\{)')


def is_empty_parquet(head: bytes, form: str) -> bool:
    """Whether a Parquet or Arrow file has no bytes at all; a text file without bytes is an input without rows."""
    return not head and form not in TEXT


def wrong_kind(head: bytes, form: str | None) -> str | None:
    """What the file is, if it is not of the input format `form`; None if nothing speaks against it.

    `head` are the first bytes of the file. `form` is None if the format is unknown.
    """
    if form is not None and is_empty_parquet(head, form):
        return "the file is empty"
    for signature in SIGNATURES:
        if head.startswith(signature.start, signature.offset):
            return None if form in signature.fits else signature.sentence
    if head.startswith(b"PK\x03\x04"):
        return _zip_kind(head)
    if MARKUP.match(head):
        what = "XML" if b"<?xml" in head[:64] and b"<html" not in head.lower() else "a web page (HTML)"
        return f"this is {what}, not the data; was a login or error page saved in its place?"
    if form in TEXT and UTF16_WITHOUT_MARK.match(head):
        return "this looks like UTF-16 without a byte order mark; save the file as UTF-8"
    if form not in (None, *TEXT) and b"\n" in head and not CONTROLS.search(head):
        return f"this is a text file, not {form}; set input.format: jsonl or csv"
    if form == "csv" and JSON_START.match(head):
        return "this is JSON, not CSV; for one JSON object per line set input.format: jsonl"
    return None


def _zip_kind(head: bytes) -> str:
    if b"[Content_Types].xml" in head or b"xl/" in head or b"_rels/" in head:
        return "this is an Excel workbook (or another Office file); save the sheet as CSV in UTF-8"
    if b"opendocument.spreadsheet" in head:
        return "this is an OpenDocument spreadsheet; save the sheet as CSV in UTF-8"
    return "this is a ZIP archive; unpack it first"


def json_layout(text: str) -> str | None:
    """What a JSON file is if it is not JSON Lines: one array, or values over several lines; else None.

    `text` is the file from its first line that is not blank, cut off after about a million characters.
    """
    text = text.removeprefix("\ufeff").lstrip()
    first = text.partition("\n")[0].strip()
    is_one_line = text.strip() == first
    if text.startswith("[") and (not first.endswith("]") or (is_one_line and text[1:].lstrip().startswith("{"))):
        advice = "`jq -c '.[]' FILE > rows.jsonl` writes one object per line"
        return f"the whole file is one JSON array, not JSON Lines; {advice}"
    if text.startswith("{") and _first_value_lines(text) > 1:
        advice = "`jq -c . FILE > rows.jsonl` writes one object per line"
        return f"the file holds JSON objects over several lines, not JSON Lines; {advice}"
    return None


def _first_value_lines(text: str) -> int:
    """The number of lines of the first JSON value; 0 if there is none, at least 2 if it goes on where the text ends."""
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return 2 if len(text) >= JSON_CHARACTERS and text.startswith("{\n") else 0
    return text.count("\n", 0, end) + 1
