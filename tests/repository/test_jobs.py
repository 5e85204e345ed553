"""The jobs in `jobs/`: each loads, finds its input, asks of every row what it is meant to ask, and is answered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest
from support.rehearsal import KEY, scenario
from support.virtual_time import VirtualTime

import batchfree
from batchfree.cli.print_summary import result_lines
from batchfree.core.chat import ChatRequest
from batchfree.data.input import open_dataset
from batchfree.data.prompts import compile_prompts
from batchfree.emulator import Emulator, create_app
from batchfree.emulator.http.in_process import InProcessTransport
from batchfree.job.preview import bodies
from batchfree.jobspec import JobSpec, load_spec

ROOT = Path(__file__).parents[2]
CALM = """
limits: {per_minute: null, per_day: null}
router: {draws_classifier: false}
pool: {accuracy: 1.0, follows: 1.0}
"""
ROWS = {
    "quickstart": 12,
    "labels": 66,
    "extract": 10,
    "vision": 5,
    "tools": 12,
    "cron": 64,
    "openai-batch": 5,
    "evaluate": 64,
    "votes": 64,
}


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


@pytest.mark.parametrize("name", ["labels", "cron", "evaluate", "votes"])
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


class Trial:
    """One of the jobs with its output, run folder and state in another folder, on an emulation where nothing fails.

    The models follow every instruction and choose the best label that they find; all draws are seeded.
    """

    def __init__(self, name: str, folder: Path, *overrides: str, text: str = CALM) -> None:
        self.folder, self.time = folder, VirtualTime()
        self.emulator: Emulator = create_app(scenario(text), clock=self.time.clock)
        self.output = folder / loaded(name).output.path.name
        self.job = batchfree.load(
            ROOT / "jobs" / f"{name}.yaml",
            overrides=[
                f"run_dir={folder / 'run'}",
                "endpoint=http://emulated.invalid/api/v1",
                "router.seed=1",
                *overrides,
            ],
            environment={
                "OPENROUTER_API_KEY": KEY,
                **{f"BATCHFREE_{place}_DIR": str(folder / place) for place in ("STATE", "CACHE")},
            },
            output=self.output,
        )

    def run(self) -> batchfree.Summary:
        transport = InProcessTransport(self.emulator)
        summary: batchfree.Summary = self.time.run(
            lambda: batchfree.arun(self.job, clock=self.time.clock, transport=transport)
        )
        return summary

    def table(self) -> pl.DataFrame:
        return batchfree.table(self.job).collect()


def without_codes(body: dict[str, Any]) -> str:
    """A body as JSON, with the codes of a pack replaced by their places."""
    text = json.dumps(body)
    for place, code in enumerate(dict.fromkeys(re.findall(r'<row id=\\"(\w+)\\"', text))):
        text = re.sub(rf"\b{code}\b", f"row-{place}", text)
    return text


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_answered_and_names_its_model(name: str, tmp_path: Path) -> None:
    trial = Trial(name, tmp_path)
    summary = trial.run()
    assert (dict(summary.counts), summary.exit_code) == ({"ok": ROWS[name], "failed": 0, "pending": 0}, 0)
    table = trial.table()
    assert all(model.startswith("emulated/") for model in table["model"])
    assert sum(summary.models.values()) == table.height == ROWS[name]
    assert trial.output.exists()


@pytest.mark.parametrize("name", [name for name in ROWS if name != "votes"])  # votes need further requests
def test_what_preview_shows_is_what_is_sent(name: str, tmp_path: Path) -> None:
    route = "local" if loaded(name).router.route == ("local",) else "openrouter/free"  # else it is what a server lists
    trial = Trial(name, tmp_path, "limits.concurrency=1", f"router.route={route}")
    shown = bodies(trial.job, ROWS[name], lambda row, why: pytest.fail(why))
    trial.run()
    sent = [post.body for post in trial.emulator.state.log.requests]
    if trial.job.spec.pack == "auto":  # later packs go by what came of the first ones
        shown, sent = shown[:1], sent[:1]
    assert sorted(map(without_codes, shown)) == sorted(map(without_codes, sent))


@pytest.mark.parametrize(("name", "least"), [("labels", 0.5), ("cron", 0.75)])
def test_the_answers_are_labels_and_mostly_right(name: str, least: float, tmp_path: Path) -> None:
    """Nothing here depends on chance: the shares that are right, 0.68 and 0.91, follow from the rows alone."""
    trial = Trial(name, tmp_path)
    trial.run()
    table = trial.table()
    assert set(table["answer"]) <= set(trial.job.spec.answer.labels or ())
    assert table.select((pl.col("answer") == pl.col("label")).mean()).item() >= least
    assert len(trial.emulator.state.log.requests) <= {"labels": 7, "cron": 8}[name]  # ten rows a request or more


def test_the_small_questions_of_the_quickstart_are_answered_right(tmp_path: Path) -> None:
    trial = Trial("quickstart", tmp_path)
    trial.run()
    right = ["42", "144", "hctab", "10", "no", "apple, cherry, fig, pear", "9.9", "e", "632", "QUOTA", "yes", "ledom"]
    for answer, expected in zip(trial.table()["answer"], right, strict=True):
        assert answer in (expected, f"{expected}.", f"The answer is {expected}.")


def test_the_answers_on_pictures_are_labels(tmp_path: Path) -> None:
    """The emulation knows format and size of a picture, not what it shows."""
    trial = Trial("vision", tmp_path)
    trial.run()
    assert set(trial.table()["answer"]) <= set(trial.job.spec.answer.labels or ())


def test_the_orders_satisfy_their_schema(tmp_path: Path) -> None:
    trial = Trial("extract", tmp_path)
    trial.run()
    answers = trial.table()["answer"]
    assert isinstance(answers.dtype, pl.Struct)
    for answer, row in zip(answers, trial.table()["email"], strict=True):
        jsonschema.validate(answer, trial.job.spec.answer.schema_ or {})
        assert answer["product"] in row


def test_the_tools_are_called_with_arguments_that_fit(tmp_path: Path) -> None:
    trial = Trial("tools", tmp_path)
    trial.run()
    tools = {tool["function"]["name"]: tool["function"] for tool in trial.job.spec.request["tools"]}
    for answer in trial.table()["answer"]:
        for call in json.loads(answer):
            jsonschema.validate(call["arguments"], tools[call["name"]]["parameters"])


def test_the_result_lines_are_those_of_the_batch_api(tmp_path: Path) -> None:
    trial = Trial("openai-batch", tmp_path)
    trial.run()
    asked = [json.loads(line)["custom_id"] for line in Path(trial.job.spec.input.path[0]).read_text().splitlines()]
    results = [json.loads(line) for line in trial.output.read_text(encoding="utf-8").splitlines()]
    assert [result["custom_id"] for result in results] == asked
    for result in results:
        assert set(result) == {"id", "custom_id", "response", "error"}
        assert result["error"] is None
        assert set(result["response"]) == {"status_code", "request_id", "body"}
        body = result["response"]["body"]
        assert body["object"] == "chat.completion"
        assert body["model"].startswith("emulated/")
        assert body["choices"][0]["message"]["content"]
        assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]


PLAIN = "limits: {per_minute: null, per_day: null}"


@pytest.mark.parametrize("name", ["evaluate", "votes"])
def test_the_readme_shows_what_the_job_prints(name: str, tmp_path: Path) -> None:
    """Of two runs, the excerpt shows the figures; on another day other models would answer."""
    trial = Trial(name, tmp_path, text=PLAIN)
    summary = trial.run()
    assert summary.counts.ok == ROWS[name]
    assert summary.correct is not None
    shown = (ROOT / "README.md").read_text(encoding="utf-8").split(f"<!-- {name} -->")[1].split("```")[1]
    lines = [line for line in shown.splitlines() if line.strip()]
    printed = list(result_lines(summary))
    assert [line for line in lines if not any(line == each[: len(line)] for each in printed)] == []
    assert any("correct: " in line for line in lines)


def test_the_votes_come_from_the_pilot_first_and_then_from_the_models_it_kept(tmp_path: Path) -> None:
    trial = Trial("votes", tmp_path, text=PLAIN)
    summary = trial.run()
    assert summary.pilot is not None
    later = trial.table()[trial.job.spec.pilot.rows :] if trial.job.spec.pilot else trial.table()
    assert {vote["model"] for votes in later["votes"] for vote in votes} <= set(summary.pilot.kept)
