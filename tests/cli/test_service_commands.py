"""`quota` and `models`: the requests left, the models that may answer, and a service that gives no answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.command_line import ROOT, JobHere, command
from support.processes import JobFolder, emulator

from batchfree.cli import main

Ask = Callable[..., Any]
KEY = "sk-or-v1-f00dfeedf00dfeedf00dfeed"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    limits = "per_minute: 600, per_day: 30, used_today: 4"
    with emulator(tmp_path_factory.mktemp("service"), limits=limits) as service:
        yield service.url


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Runs a command, and gives its exit code, its stdout (with `--json` as a value) and its stderr."""
    for name, value in (("STATE", "state"), ("CACHE", "cache")):
        monkeypatch.setenv(f"BATCHFREE_{name}_DIR", str(tmp_path / value))
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)

    def asked(*arguments: str, command: Sequence[str] = ("quota",)) -> tuple[int, Any, str]:
        code = main([*command, *arguments])
        out, err = capsys.readouterr()
        assert KEY not in out + err
        return code, json.loads(out) if "--json" in arguments else out, err

    return asked


def midnight() -> str:
    return datetime.fromtimestamp((datetime.now(UTC).timestamp() // 86400 + 1) * 86400, UTC).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )


def test_quota_shows_what_is_left_when_it_resets_and_which_jobs_used_it(ask: Ask, url: str, tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "job", 10, name="reviews", limits={"requests_per_minute": 600}, endpoint=url)
    code, _, _ = ask(str(job.file), "--progress", "none", "-q", command=["run"])
    assert code == 0
    code, value, output = ask(str(job.file), "--json")
    assert (code, output) == (0, "")
    assert value["day"] == {"limit": 30, "used": 14, "left": 16, "resets_at": midnight()}
    assert value["minute"].keys() == {"limit", "used", "left", "resets_at"}
    assert (value["minute"]["limit"], value["minute"]["used"], value["minute"]["left"]) == (600, 10, 590)
    reset = datetime.fromisoformat(value["minute"]["resets_at"]).timestamp()
    assert 50 < reset - datetime.now(UTC).timestamp() < 62
    assert value["jobs"] == [{"job": "reviews", "today": 10}]
    code, text, _ = ask("--endpoint", f"{url}/")
    assert text.splitlines()[0] == f"this UTC day: 16 of 30 left, 14 used, resets at {midnight()}"
    assert text.splitlines()[-1] == "  reviews: 10 today"


def test_a_rehearsal_uses_nothing_of_any_quota(job: JobHere) -> None:
    job("run", "-q", "--set", "router.route=local")
    value = job("quota", "--json").json
    assert value["jobs"] == []
    for part in ("day", "minute"):
        assert {"limit", "used", "left", "resets_at"} <= value[part].keys()
    assert datetime.fromisoformat(value["day"]["resets_at"]).astimezone(UTC).hour == 0


def test_set_and_endpoint_change_the_job_for_quota(ask: Ask, url: str, tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "job", 1, endpoint="http://127.0.0.1:9/v1")
    _, value, _ = ask(str(job.file), "--set", f"endpoint={url}", "--set", "limits.requests_per_day=9", "--json")
    assert value["day"]["limit"] == 9
    _, value, _ = ask(str(job.file), "--endpoint", "embedded", "--json")
    assert value["day"]["used"] == 0
    code, _, output = ask("--set", f"endpoint={url}")
    assert (code, output) == (2, "error: --set: this changes a job: name the job, or leave --set out\n")


def test_the_embedded_endpoint_has_only_the_limits_of_a_job(ask: Ask, tmp_path: Path) -> None:
    code, value, _ = ask("--endpoint", "embedded", "--json")
    assert (code, value["day"]["left"], value["minute"]["left"], value["jobs"]) == (0, None, None, [])
    job = JobFolder(tmp_path / "job", 1, endpoint="embedded", limits={"requests_per_day": 9})
    _, value, _ = ask(str(job.file), "--json")
    assert (value["day"]["left"], value["minute"]["left"]) == (9, None)


def test_an_endpoint_of_your_own_has_no_limits_or_is_out_of_reach(ask: Ask, url: str, tmp_path: Path) -> None:
    job = JobFolder(
        tmp_path, 1, endpoint="http://127.0.0.1:9/v1", router={"route": "mistral-small"}, limits={"concurrency": 2}
    )
    code, value, output = ask(str(job.file), "--json")
    assert (code, output.startswith("warning: the service does not say what is left (127.0.0.1")) == (0, True)
    assert (value["day"]["limit"], value["day"]["left"], value["minute"]["limit"]) == (None, None, None)
    _, text, _ = ask(str(job.file))
    assert text.startswith("this UTC day: out of reach, 0 used")
    _, text, output = ask(str(job.file), "--endpoint", url)
    assert (text.startswith("this UTC day: no limit, 0 used"), output) == (True, "")


def test_a_service_out_of_reach_is_a_warning(ask: Ask) -> None:
    code, value, output = ask("--endpoint", "http://127.0.0.1:9/v1", "--json")
    assert code == 0
    assert output.startswith("warning: the service does not say what is left (127.0.0.1")
    assert value["day"]["used"] == 0


def test_a_key_that_is_missing_or_refused_needs_a_person(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "wrong")
    with emulator(tmp_path / "service", require_key=True) as service:
        code, _, output = ask("--endpoint", service.url)
    assert (code, output.startswith("error: ")) == (3, True)
    monkeypatch.delenv("OPENROUTER_API_KEY")
    code, _, output = ask()
    assert (code, output.count("\n")) == (3, 1)
    assert output.startswith(
        "error: no API key: OPENROUTER_API_KEY is not set. Get a key at https://openrouter.ai/sett"
    )
    assert "export OPENROUTER_API_KEY=" in output


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["OPENROUTER_KEY", "OPEN_ROUTER_API_KEY", "OPENROUTER_APIKEY", "openrouter_api_key"])
def test_a_variable_that_looks_like_a_misspelt_key_is_named(
    job: JobHere, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.spec(endpoint="https://openrouter.ai/api/v1")
    monkeypatch.setenv(name, KEY)
    for command_name in ("run", "quota"):
        output = job(command_name)
        assert output.code == 3
        assert f"The variable {name} is set: is its name misspelt?" in output.err
        assert KEY not in output.err


@pytest.mark.usefixtures("no_network")
def test_a_missing_key_needs_a_person_and_is_named(job: JobHere) -> None:
    job.spec(endpoint={"base_url": "https://openrouter.ai/api/v1", "api_key_env": "MY_KEY"})
    for name in ("run", "quota"):
        output = job(name)
        assert output.code == 3
        assert "MY_KEY" in output.err


def test_a_key_from_an_env_file_is_used(ask: Ask, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY")
    (tmp_path / ".env").write_text(f"OPENROUTER_API_KEY={KEY}\n")
    assert ask("--endpoint", url, "--env-file", str(tmp_path / ".env"))[0] == 0


def test_an_impossible_state_folder_is_named(
    ask: Ask, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("BATCHFREE_STATE_DIR", str(tmp_path / "taken"))
    code, _, output = ask("--endpoint", url)
    assert code == 3
    assert output.startswith(f"error: {tmp_path / 'taken'}/")
    assert "BATCHFREE_STATE_DIR" in output


MODEL_KEYS = {"id", "context_length", "max_completion_tokens", "abilities", "eligible", "reason", "health"}


def test_models_are_listed_with_their_abilities_and_why_they_may_not_answer(job: JobHere) -> None:
    listed = command("models", "--endpoint", "embedded", "--json").json
    keys = {"id", "context_length", "max_completion_tokens", "abilities", "eligible", "reason", "health"}
    assert all(keys <= model.keys() for model in listed)
    assert {model["eligible"] for model in listed} == {True, False}
    assert all(model["eligible"] == (model["reason"] is None) for model in listed)
    seeing = command("models", "--endpoint", "embedded", "--requires", "vision", "--json").json
    able = {model["id"] for model in listed if "vision" in model["abilities"] and model["eligible"]}
    assert {model["id"] for model in seeing if model["eligible"]} == able


def test_models_follow_the_endpoint_and_the_rules_of_the_job(ask: Ask, tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "job", 1, endpoint="http://127.0.0.1:9/v1")
    named = [str(job.file), "--endpoint", "embedded", "--set", "router.only=[emulated/glm*]", "--json"]
    code, value, _ = ask(*named, command=["models"])
    assert code == 0
    assert all(model.keys() >= MODEL_KEYS for model in value)
    assert {model["id"] for model in value if model["eligible"]} == {"emulated/glm-5.2:free"}
    assert all(model["reason"] for model in value if not model["eligible"])


def test_models_can_be_asked_for_by_ability(ask: Ask) -> None:
    _, value, _ = ask("--endpoint", "embedded", "--requires", "vision", "--json", command=["models"])
    able = {model["id"] for model in value if model["eligible"]}
    assert able == {model["id"] for model in value if "vision" in model["abilities"]} - safety(value)
    code, _, output = ask("--endpoint", "embedded", "--requires", "telepathy", command=["models"])
    assert (code, output.startswith("error: --requires: unknown ability 'telepathy'")) == (2, True)


def test_models_are_those_that_can_do_what_the_job_asks_and_fit_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    job = ROOT / "jobs" / "vision.yaml"
    listed = command("models", job, "--endpoint", "embedded", "--json").json
    assert all("vision" in model["abilities"] for model in listed if model["eligible"])
    assert {model["reason"] for model in listed if "vision" not in model["abilities"]} >= {"it takes no image input"}
    output = command("models", job, "--endpoint", "embedded")
    assert max(map(len, output.out.splitlines())) <= 80


def safety(models: Sequence[dict[str, Any]]) -> set[str]:
    return {model["id"] for model in models if "safety" in (model["reason"] or "")}
