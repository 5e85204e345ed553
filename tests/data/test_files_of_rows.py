"""Rows choose no files outside the folders that the spec names, and a condition reads nothing but the rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batchfree.core.chat import ChatRequest, Failure, Kind
from batchfree.core.errors import DatasetError, Mistake, SpecError
from batchfree.data.input import open_dataset
from batchfree.job.open_job import open_job
from batchfree.jobspec import InputSpec, load_spec

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A job's folder beside another one, with a picture in each, and links from the one to the other."""
    for name in ("job", "other", "job/inner"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(PNG)
    (tmp_path / "job" / "link.png").symlink_to(tmp_path / "other" / "x.png")
    (tmp_path / "job" / "out").symlink_to(tmp_path / "other")
    return tmp_path / "job"


def render(folder: Path, image: str, file: str, **input: object) -> ChatRequest | Failure:
    (folder / "rows.jsonl").write_text(json.dumps({"file": file}) + "\n")
    messages = [{"role": "user", "content": [{"type": "image", "image": image}]}]
    (folder / "job.yaml").write_text(json.dumps({"input": {"path": "rows.jsonl", **input}, "messages": messages}))
    return next(open_job(load_spec(folder / "job.yaml", environment={})).requests(1))


@pytest.mark.parametrize(
    ("image", "file", "is_read"),
    [
        ("{{ file }}", "x.png", True),
        ("{{ file }}", "inner/../x.png", True),
        ("{{ file }}", "../other/x.png", False),
        ("{{ file }}", "OTHER/x.png", False),
        ("{{ file }}", "link.png", False),
        ("{{ file }}", "out/x.png", False),
        ("{{ file }}", "/etc/passwd", False),
        ("./{{ file }}", "../other/x.png", False),
        ("{% if true %}{{ file }}{% endif %}", "../other/x.png", False),
        ("../other/{{ file }}", "x.png", True),
        ("../other/{{ file }}", "../../../../../../etc/passwd", False),
        ("OTHER/{{ file }}", "x.png", True),
        ("OTHER/{{ file }}", "../nowhere/x.png", False),
        ("/{{ file }}", "etc/passwd", False),
        ("../other/x.png", "", True),
        ("link.png", "", True),
    ],
)
def test_a_row_names_only_files_in_folders_of_the_spec(folder: Path, image: str, file: str, is_read: bool) -> None:
    other = str(folder.parent / "other")
    result = render(folder, image.replace("OTHER", other), file.replace("OTHER", other))
    if is_read:
        assert isinstance(result, ChatRequest)
    else:
        assert isinstance(result, Failure)
        assert result.kind is Kind.RENDER
        assert "lies outside the job file's folder" in result.message


@pytest.mark.parametrize("files", ["../other", ["../nowhere", "../other"], None])
def test_input_files_allows_more_folders(folder: Path, files: object) -> None:
    for file in ("../other/x.png", "out/x.png"):
        result = render(folder, "{{ file }}", file, files=files)
        assert isinstance(result, ChatRequest if files else Failure)


def test_input_files_is_checked(folder: Path) -> None:
    with pytest.raises(SpecError, match=r"input\.files"):
        render(folder, "{{ file }}", "x.png", files=[5])


QUERIES = [
    "file in (select column_1 from read_csv('/etc/passwd'))",
    "file in (from read_csv('/etc/passwd'))",
    "exists (with x as (SELECT 1) select * from x)",
    "file = (/* */ select 1)",
    "file = any(select 1)",
    "file in (values ('a'))",
    "'it''s' = file or file in (select 1)",
]


@pytest.mark.parametrize("where", QUERIES)
def test_a_condition_reads_nothing_but_the_rows(folder: Path, where: str) -> None:
    spec = rows_where(folder, where)
    assert ["a query inside it is refused" in mistake.message for mistake in open_input(spec)] == [True]


@pytest.mark.parametrize("where", ["file = 'select'", "\"file\" <> '(select 1)'", "file is not null -- (select 1)"])
def test_the_words_of_a_query_may_stand_in_texts(folder: Path, where: str) -> None:
    assert open_input(rows_where(folder, where)) == []


@pytest.mark.parametrize(
    "where",
    [
        "length(lpad(file, 1000000000, 'x')) > 1",
        "length(RPAD (file, 1000000000, 'x')) > 1",
        "array_length(range(1, 1000000000)) > 1",
        "replace(replace(replace(replace(file, 'a', 'aa'), 'a', 'aa'), 'a', 'aa'), 'a', 'aa') = 'b'",
        "not (" * 50 + "file = 'a'" + ")" * 50,
        "file = 'a' or " * 20_000 + "file = 'b'",
        "file || " * 500 + "file = 'a'",
        "length(file)" + " & 1" * 900 + " = 1",
        "interval " * 1490 + "'1 day' is null",
        "file = '" + "a" * 1_000_000 + "'",
    ],
)
def test_a_condition_that_would_hang_or_crash_polars_never_reaches_it(folder: Path, where: str) -> None:
    (mistake,) = open_input(rows_where(folder, where))
    assert mistake.key == "input.where"


@pytest.mark.parametrize(
    "where",
    [
        "file in (" + "'x', " * 20_000 + "'y') or file is not null",
        "not (" * 15 + "file = 'a'" + ")" * 15 + " or file is not null",
        "file = 'lpad(' or " * 200 + "replace(file, ' ', '') <> 'b'",
    ],
)
def test_long_lists_and_usual_conditions_are_fine(folder: Path, where: str) -> None:
    assert open_input(rows_where(folder, where)) == []


def test_an_input_without_columns_has_no_rows_whatever_the_condition(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(b"\n")
    dataset = open_dataset(InputSpec(path=(str(tmp_path / "rows.csv"),), where="lang = 'en'"))
    assert (list(dataset.rows({"lang"})), dataset.count()) == ([], 0)


def rows_where(folder: Path, where: str) -> InputSpec:
    (folder / "rows.jsonl").write_text('{"file": "a"}\n')
    return InputSpec(path=(str(folder / "rows.jsonl"),), where=where)


def open_input(spec: InputSpec) -> list[Mistake]:

    dataset = open_dataset(spec)
    mistakes = dataset.check()
    if mistakes:
        with pytest.raises(DatasetError):
            dataset.count()
    return mistakes
