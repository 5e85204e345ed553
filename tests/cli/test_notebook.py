"""Runs in a notebook: the progress below the cell, and the summary as a table."""

from __future__ import annotations

import pytest
from support.command_line import JobHere

import batchfree
from batchfree.cli.notebook import shown_below
from batchfree.run.progress import Progress

CELLS = (
    "import batchfree; job = batchfree.load('job.yaml')",
    "summary = await batchfree.arun(job)",
    "summary",
    "batchfree.run(job)",
)


def test_the_last_drawing_is_that_of_the_end() -> None:
    drawn: list[str] = []
    with shown_below(drawn.append, "a <job>") as observe:
        observe(Progress(total=3))
        observe(Progress(total=3, ok=2, failed=1, requests=4))
    assert drawn[-1].startswith("<pre>a &lt;job&gt; 100%: 2 ok, 1 failed, 0 left\n4 requests")


def test_a_summary_is_a_small_table_in_which_all_is_escaped(job: JobHere) -> None:
    job.rows({"id": "a", "prompt": "Hello"}, {"id": "b", "prompt": None})
    job.spec(name="a <b>", answer={"labels": ["<i>", "no"]})
    shown = batchfree.run(batchfree.load(job.file))._repr_html_()
    assert "<i>" not in shown
    assert "<b>" not in shown
    assert "<caption>a &lt;b&gt;</caption>" in shown
    for line in ("1 ok, 1 failed, 0 pending", "1 in this run", "render 1", "out.parquet"):
        assert line in shown


def test_a_real_kernel_shows_progress_and_summary(job: JobHere, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ipykernel")
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.chdir(job.path)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in CELLS])
    nbclient.NotebookClient(notebook, kernel_name="python3", allow_errors=True).execute()
    loaded, ran, summary, refused = (cell["outputs"] for cell in notebook["cells"])
    assert loaded == []
    assert "job 100%: 3 ok, 0 failed, 0 left" in ran[-1]["data"]["text/html"]
    assert "3 ok, 0 failed, 0 pending" in summary[0]["data"]["text/html"]
    assert "await batchfree.arun(job)" in refused[0]["evalue"]
