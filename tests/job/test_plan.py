"""`plan`: what a run would take, without a request of the quota; and what the run then takes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.command_line import ROOT, JobHere, command
from support.processes import JobFolder, emulator
from support.rehearsal import Rehearsal, scenario

from batchfree.emulator.http.in_process import InProcessTransport
from batchfree.job.plan import Plan, plan

KEYS = {
    "job", "rows", "answered", "reasked", "to_do", "requests_needed", "quota", "finishes_at", "models",
}  # fmt: skip
JOBS = sorted(path.stem for path in (ROOT / "jobs").glob("*.yaml"))
LABELS = {"labels": ["a", "b"]}


def planned(job: Rehearsal) -> Plan:
    found: Plan = job.time.run(lambda: plan(job.job(), job.time.clock, InProcessTransport(job.emulator)))
    return found


def prompts(count: int) -> list[dict[str, Any]]:
    return [{"id": f"r{n}", "prompt": f"Name thing {n}."} for n in range(count)]


def test_a_plan_sends_no_request_and_leaves_no_files(tmp_path: Path) -> None:
    job = Rehearsal(tmp_path, prompts(120), {"input": {"path": "rows.jsonl", "id": "id"}})
    found = planned(job)
    assert job.posts == []
    assert not (tmp_path / "job.run").exists()
    assert (found.rows, found.answered, found.failed, found.reasked, found.to_do) == (120, 0, 0, 0, 120)
    assert 120 <= found.requests <= 140
    assert found.usage is not None
    assert (found.usage.left("day"), found.usage.day_limit) == (50, 50)
    assert found.finishes_at is not None
    assert found.finishes_at > job.time.clock() + 2 * 43_200, "120 requests at 50 a day end on the third day"


def test_a_plan_follows_the_progress_of_the_job(tmp_path: Path) -> None:
    job = Rehearsal(
        tmp_path, prompts(30), {"input": {"path": "rows.jsonl", "id": "id"}, "limits": {"requests_per_minute": 600}}
    )
    job.run(limit=20)
    spent = len(job.posts)
    rows = prompts(30)
    rows[0]["prompt"] = "Name another thing."
    rows[29]["prompt"] = None
    job.write_rows(rows)
    found = planned(job)
    assert (found.rows, found.reasked, found.unrenderable) == (30, 1, 1)
    assert (found.answered, found.to_do) == (19, 10)
    assert found.usage is not None
    assert found.usage.left("day") == 50 - spent
    assert "shown by" in found.assumptions[0]


def test_a_finished_job_needs_nothing(tmp_path: Path) -> None:
    job = Rehearsal(tmp_path, prompts(5))
    job.run()
    found = planned(job)
    assert (found.to_do, found.requests, found.faster) == (0, 0, ())


def test_packs_fewer_votes_and_the_other_tier_are_given_in_figures(tmp_path: Path) -> None:
    spec = {"answer": LABELS, "votes": 3, "endpoint": "https://openrouter.ai/api/v1"}
    found = planned(Rehearsal(tmp_path, prompts(200), spec))
    by_change = {each.change.split(" (")[0]: each for each in found.faster}
    assert set(by_change) == {"pack: 10", "votes: 1", "1,000 requests a day"}
    assert by_change["pack: 10"].requests < found.requests / 9
    assert by_change["votes: 1"].requests < found.requests / 2
    faster, now = by_change["1,000 requests a day"].finishes_at, found.finishes_at
    assert faster is not None
    assert now is not None
    assert faster < now - 10 * 86_400


def test_without_a_service_the_plan_uses_the_kept_catalogue_and_says_its_age(job: JobHere, tmp_path: Path) -> None:
    with emulator(tmp_path / "service") as service:
        job.spec(endpoint=service.url)
        here = job("plan", "--json").json
    output = job("plan")
    assert output.code == 0
    assert "warning: the service does not say what is left of the quota" in output.err
    assert "(catalogue of " in output.out
    again = job("plan", "--json").json
    assert again["models"] == here["models"] != []


def test_the_json_of_a_plan_has_the_promised_keys(job: JobHere) -> None:
    output = job("plan", "--json")
    assert (output.code, output.err) == (0, "")
    assert output.json.keys() >= KEYS
    assert output.json["quota"].keys() == {"day_limit", "day_left", "minute_limit", "resets_at"}
    assert output.json["reasked"] == 0
    assert job("plan", "--json", "--set", "input.id=null").json["reasked"] is None


def test_rehearsed_answers_are_to_be_asked_for_in_a_real_run(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path, 4)
    folder.run(None)
    value = json.loads(folder.command("plan", "--json").stdout)
    assert (value["answered"], value["to_do"], value["rehearsed"]) == (0, 4, 4)


@pytest.mark.parametrize("name", JOBS)
def test_a_sample_job_takes_the_requests_that_its_plan_foresees(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a tenth, or by one request where a tenth is less than one."""
    monkeypatch.setenv("BATCHFREE_STATE_DIR", str(tmp_path / "state"))
    for folder in ("jobs", "sample_data"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    job = tmp_path / "jobs" / f"{name}.yaml"
    foreseen = command("plan", job, "--endpoint", "embedded", "--json").json["requests_needed"]
    seed = ("--set", "router.seed=7")
    taken = command("run", job, "--endpoint", "embedded", "--json", "-q", *seed).json["requests"]
    assert abs(foreseen - taken) <= max(1, 0.1 * taken)


def test_the_plan_of_a_larger_job_holds_within_a_tenth(tmp_path: Path) -> None:
    limits = {"requests_per_minute": 100_000, "requests_per_day": 100_000}
    job = Rehearsal(tmp_path, prompts(600), {"limits": limits}, scenario("limits: {per_minute: null, per_day: null}"))
    first = planned(job).requests
    job.run(limit=300)
    half = len(job.posts)
    rest = planned(job).requests
    job.run()
    assert abs(first - len(job.posts)) <= 0.1 * len(job.posts)
    assert abs(rest - (len(job.posts) - half)) <= 0.1 * (len(job.posts) - half)


def test_only_the_job_limits_the_embedded_emulation(job: JobHere) -> None:
    for day in (70, 1_500, 2_000_000):
        quota = job("plan", "--json", "--set", f"limits.requests_per_day={day}", "--endpoint", "embedded").json["quota"]
        assert (quota["day_limit"], quota["day_left"]) == (day, day)
