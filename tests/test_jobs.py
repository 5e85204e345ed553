"""The jobs in `jobs/`: each loads, finds its input, and asks of every row what it is meant to ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchfree.chat import ChatRequest
from batchfree.dataset import open_dataset
from batchfree.prompts import compile_prompts
from batchfree.spec import JobSpec, load_spec

ROOT = Path(__file__).parents[1]
ROWS = {"quickstart": 12, "labels": 66, "extract": 10, "vision": 5, "tools": 12, "cron": 64, "openai-batch": 5}


def loaded(name: str) -> JobSpec:
    return load_spec(ROOT / "jobs" / f"{name}.yaml", environment={})


def rows(spec: JobSpec) -> Iterator[tuple[dict[str, Any], ChatRequest]]:
    """Every row of a job with what it asks."""
    dataset = open_dataset(spec.input)
    assert dataset.check() == []
    prompts = compile_prompts(spec, dataset.schema)
    for batch in dataset.batches():
        for row in batch.iter_rows(named=True):
            request = prompts.render(row)
            assert isinstance(request, ChatRequest), request
            yield row, request


def test_every_job_is_tried() -> None:
    assert {path.stem for path in (ROOT / "jobs").glob("*.yaml")} == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_every_row_of_the_job_becomes_a_request(name: str) -> None:
    spec = loaded(name)
    assert len(list(rows(spec))) == ROWS[name]


@pytest.mark.parametrize("name", ROWS)
def test_the_job_writes_where_git_does_not_look(name: str) -> None:
    spec = loaded(name)
    assert (spec.name, spec.output.path.parent) == (name, ROOT / "out")
    assert spec.run_dir == ROOT / "out" / f"{name}.run"


@pytest.mark.parametrize("name", ROWS)
def test_the_job_runs_on_the_embedded_endpoint_too(name: str) -> None:
    spec = load_spec(ROOT / "jobs" / f"{name}.yaml", overrides=["endpoint=embedded"], environment={})
    assert spec.endpoint.embedded
    assert loaded(name).endpoint.is_openrouter


@pytest.mark.parametrize("name", ["labels", "cron"])
def test_the_labels_are_those_of_the_data(name: str) -> None:
    spec = loaded(name)
    assert {row["label"] for row, _ in rows(spec)} == set(spec.answer.labels or ())


def test_the_shapes_are_those_of_the_pictures_and_travel_inside_the_request() -> None:
    spec = loaded("vision")
    asked = list(rows(spec))
    assert {row["shape"] for row, _ in asked} == set(spec.answer.labels or ())
    for _, request in asked:
        assert "data:image/png;base64," in str(request.messages[-1]["content"])


def test_tools_travel_with_the_rows_that_are_part_of_the_job() -> None:
    for row, request in rows(loaded("tools")):
        assert row["label"] in ("home", "utility")
        assert len(request.parameters["tools"]) == 3


def test_the_model_of_an_openai_batch_line_is_not_asked_for() -> None:
    spec = loaded("openai-batch")
    lines = [json.loads(line)["body"] for line in Path(spec.input.path[0]).read_text(encoding="utf-8").splitlines()]
    for (_, request), body in zip(rows(spec), lines, strict=True):
        assert list(request.messages) == body["messages"]
        assert dict(request.parameters) == {
            key: value for key, value in body.items() if key not in ("model", "messages")
        }
