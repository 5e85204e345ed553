"""Whole runs on bad days: dead models, every fault of the emulator, pools that go down, catalogues that change."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.rehearsal import UNLIMITED, Rehearsal, scenario

from batchfree.core.stops import StopReason
from batchfree.emulator.faults import FAULTS
from batchfree.emulator.faults.answer_faults import VERDICTS
from batchfree.emulator.http.in_process import InProcessTransport
from batchfree.emulator.scenario.scenario_file import presets
from batchfree.journal.journal_lines import read_attempts

CALM = "limits: {per_minute: null, per_day: null}\nrouter: {draws_classifier: false}\n"
LABELS = {"answer": {"labels": ["good", "bad"]}}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SCHEMA = {"answer": {"schema": {**CITY, "additionalProperties": False}}}
OPENROUTER = {"endpoint": "https://openrouter.ai/api/v1"}


def rehearse(folder: Path, faults: str = "", rows: int = 3, text: str = CALM, **spec: Any) -> Rehearsal:
    """A job of `rows` rows at a service with these faults, written as in a scenario."""
    service = scenario(f"{text}\nfaults: [{faults}]" if faults else text)
    prompts = [{"prompt": f"Is trip {n} to Berlin good or bad?"} for n in range(rows)]
    router = {"seed": 1, **spec.pop("router", {})}
    return Rehearsal(folder, prompts, {"limits": UNLIMITED, "router": router, **spec}, service)


def models_by_row(job: Rehearsal) -> dict[str, list[str]]:
    """The models that received each prompt, according to the service."""
    seen: dict[str, list[str]] = defaultdict(list)
    for post in job.posts:
        seen[post.body["messages"][-1]["content"]] += post.tried
    return seen


def journal_of(job: Rehearsal) -> list[Any]:
    return [line.attempt for line in read_attempts(job.folder / "job.run" / "journal.jsonl")]


# Most of the pool is dead


@pytest.mark.parametrize(
    ("route", "fallbacks"), [("openrouter/free", 0), ("openrouter/free", 2), ("local", 0), ("local", 2)]
)
def test_a_thousand_rows_are_answered_with_six_of_ten_models_dead(tmp_path: Path, route: str, fallbacks: int) -> None:
    text = presets()["half-dead"]
    job = rehearse(tmp_path, rows=1000, text=text, router={"route": route, "fallbacks": fallbacks, "seed": 3})
    summary = job.run()
    assert (summary.counts.ok, summary.exit_code) == (1000, 0)
    assert len(job.posts) / 1000 < (1.05 if fallbacks else 1.15)
    assert all(len(set(models)) == len(models) for models in models_by_row(job).values())
    assert all(len(set(tried)) == len(tried) for tried in job.table()["models_tried"].to_list())
    assert not set(summary.models) & {f"emulated/{name}:free" for name in ("dots-3-note", "laguna-s-2.1")}


# Every fault


def pending(kind: str, posts: int | None = 5) -> dict[str, Any]:
    return {"status": "pending", "kind": kind, "code": 75, "posts": posts}


def failed(kind: str, posts: int | None = 5) -> dict[str, Any]:
    return {"status": "failed", "kind": kind, "code": 1, "posts": posts}


def stopped(reason: StopReason, code: int, status: str = "pending") -> dict[str, Any]:
    return {"status": status, "kind": None, "code": code, "posts": 1, "stopped": reason}


FINE = {"status": "ok", "kind": None, "code": 0, "posts": None}
ENDS: list[tuple[str, dict[str, Any]]] = [
    ("invalid_400 image_400 precondition_412 too_large_413 unprocessable_422", failed("invalid_request", 1)),
    ("context_400", failed("context_length", None)),
    ("content_policy_400 moderation_403 guardrail_403 content_filter", failed("content_policy")),
    ("refusal", failed("refused")),
    ("content_null content_blank", failed("empty")),
    ("all_reasoning cut_off truncate", failed("truncated")),
    ("half_json wrong_label unknown_codes", failed("bad_answer")),
    ("leaked_reasoning", failed("bad_answer or empty")),
    ("verdict", failed("not_chat")),
    ("response_format_400 schema_400 max_tokens_400 reasoning_400 provider_401", pending("model_unavailable")),
    ("terms_403 parameters_404 tools_404 image_404", pending("model_unavailable")),
    ("unknown_model_400 agent_403 attestation_403 region_403 gone_404", pending("model_unavailable", None)),
    ("unavailable_404 free_ended_404 provider_404 providers_404", pending("model_unavailable", None)),
    ("upstream_429 capacity_429 limit_rpm_429 in_flight_402", pending("upstream_rate_limit")),
    ("error_200 overloaded_200 error_in_choice server_500 upstream_502", pending("upstream_error")),
    ("overloaded_503 overloaded_529 html_page", pending("upstream_error")),
    ("timeout_408 upstream_504 cdn_524 silence endless", pending("timeout")),
    ("cut", pending("connection")),
    ("choices_empty not_json half_body only_blanks over_long redirect broken_utf8", pending("bad_response")),
    ("key_401", stopped(StopReason.KEY_REFUSED, 3)),
    ("credits_402 key_limit_402 budget_403", stopped(StopReason.CREDITS_OWED, 3)),
    ("privacy_404", stopped(StopReason.PRIVACY_SETTING, 3)),
    ("day_429", stopped(StopReason.QUOTA, 75)),
    ("charged", stopped(StopReason.CHARGED, 3, "ok")),
    ("paid_model content_parts without tool_arguments fenced trailing_comma prose thinking single_quotes", FINE),
    ("lose_rows permute renumber swap_codes duplicate_codes interleave wrong_rows", FINE),
    ("padding comments drip wrong_type minute_429", FINE),
]
EXPECTED = {name: end for names, end in ENDS for name in names.split()}
"""The end of a row if every request of it meets the fault; the same as in the README's table. `posts`: if fixed."""


def test_every_fault_has_an_expected_end() -> None:
    assert EXPECTED.keys() == FAULTS.keys()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lasting_fault_leads_to_its_documented_end(tmp_path: Path, fault: str) -> None:
    expected = EXPECTED[fault]
    when = ", between: [0, 30]" if fault == "minute_429" else ""
    text = CALM + 'pool: {follows: 1.0, models: [{id: "emulated/inkling:free", nature: paid}]}'
    spec = LABELS if fault != "half_json" else SCHEMA
    router = {"route": "local", "fallbacks": 0}
    job = rehearse(tmp_path, f"{{fault: {fault}{when}}}", rows=1, text=text, router=router, **spec)
    summary = job.run()
    (row,) = job.table().to_dicts()
    assert row["status"] == expected["status"]
    assert str(row["error_kind"]) in str(expected["kind"]).split(" or ")
    assert summary.exit_code == expected["code"]
    assert (summary.stopped and summary.stopped.reason) in (expected.get("stopped"), StopReason.POOL_DOWN)
    assert len(job.posts) == (expected["posts"] or len(job.posts)) <= 11
    assert (row["answer"] is None) is (row["status"] != "ok")
    assert len(set(row["models_tried"])) == len(row["models_tried"]), "a retry goes to another model"


@pytest.mark.parametrize("spec", [{}, LABELS, SCHEMA, {**LABELS, "pack": 5}, {**SCHEMA, "pack": 5}])
def test_no_fault_turns_a_verdict_an_empty_text_or_half_json_into_an_answer(
    tmp_path: Path, spec: dict[str, Any]
) -> None:
    left_out = ("key_401", "credits_402", "key_limit_402", "budget_403", "privacy_404", "day_429", "charged")
    faults = ", ".join(f"{{fault: {name}, chance: 0.006}}" for name in FAULTS if name not in left_out)
    job = rehearse(tmp_path, faults, rows=300, retry={"timeout": 30}, **spec)
    while job.run().counts.pending:
        job.time.pass_by(86400)
    answers = [row["answer"] for row in job.table().filter(status="ok").to_dicts()]
    assert len(answers) > 280
    if "answer" not in spec:
        assert not {answer.strip() for answer in answers} & {"", *VERDICTS}
    elif spec["answer"] == LABELS["answer"]:
        assert set(answers) <= {"good", "bad"}
    else:
        assert all(isinstance(answer["city"], str) for answer in answers)
    kinds = {outcome.kind for attempt in journal_of(job) for outcome in attempt.outcomes if attempt.is_counted}
    expected = {"upstream_error", "timeout", "bad_response", "model_unavailable"}
    assert "pack" in spec or {str(kind) for kind in kinds} >= expected


def test_rows_with_temporary_failures_are_pending_for_the_next_run(tmp_path: Path) -> None:
    job = rehearse(tmp_path, "{fault: upstream_502, between: [0, 100]}", rows=4)
    assert job.run().exit_code == 75
    assert job.table()["error_kind"].to_list() == ["upstream_error"] * 4
    job.time.pass_by(7200)
    assert job.run().exit_code == 0
    assert all(row["attempts"] == len(row["models_tried"]) >= 2 for row in job.table().to_dicts())


def test_wrong_answers_are_counted_over_all_runs(tmp_path: Path) -> None:
    job = rehearse(tmp_path, "{fault: content_null, nth: '1-'}", rows=1, retry={"max_attempts": 3})
    assert job.run().exit_code == 1
    assert job.table().to_dicts()[0]["attempts"] == 3
    assert job.run().requests == 0, "a failed row is not asked again"
    assert job.run(retry_failed=True).requests == 3, "--retry-failed counts from zero"


# The account, the key, the charge


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("key_401", StopReason.KEY_REFUSED),
        ("credits_402", StopReason.CREDITS_OWED),
        ("privacy_404", StopReason.PRIVACY_SETTING),
    ],
)
def test_a_problem_for_a_person_stops_the_run_after_the_requests_in_flight(
    tmp_path: Path, fault: str, reason: StopReason
) -> None:
    text = CALM + "pool: {latency: {constant: 2}}"
    job = rehearse(tmp_path, f"{{fault: {fault}, nth: '21-'}}", rows=200, text=text)
    summary = job.run()
    assert summary.stopped is not None
    assert (summary.stopped.reason, summary.exit_code) == (reason, 3)
    assert summary.counts.ok == 20
    assert 21 <= len(job.posts) <= 28
    assert set(job.table()["error_kind"].to_list()) == {None}
    assert job.table().filter(status="pending")["attempts"].sum() == 0


def test_an_answer_that_is_charged_is_kept_and_stops_the_run(tmp_path: Path) -> None:
    job = rehearse(tmp_path, "{fault: charged, nth: 5}", rows=50)
    summary = job.run()
    assert summary.stopped is not None
    assert (summary.stopped.reason, summary.exit_code) == (StopReason.CHARGED, 3)
    charged = [row for row in job.table().to_dicts() if row["cost"]]
    assert len(charged) == 1
    assert charged[0]["status"] == "ok"
    assert len(job.posts) <= 5 + 8


def test_limits_of_the_account_fail_no_row(tmp_path: Path) -> None:
    text = "limits: {per_minute: 5, per_day: 30}\nrouter: {draws_classifier: false}"
    job = rehearse(tmp_path, rows=40, text=text, limits={"requests_per_minute": 20, "requests_per_day": 1000})
    summary = job.run()
    assert summary.stopped is not None
    assert (summary.stopped.reason, summary.exit_code) == (StopReason.QUOTA, 75)
    assert set(job.table()["error_kind"].to_list()) == {None}
    assert {str(attempt.kind) for attempt in journal_of(job)} >= {"minute_limit"}
    assert all(row["attempts"] == (row["status"] == "ok") for row in job.table().to_dicts())


# The pool as a whole


def test_forty_requests_without_an_answer_stop_the_run(tmp_path: Path) -> None:
    job = rehearse(tmp_path, "{fault: cut_off}", rows=200)
    summary = job.run()
    assert summary.stopped is not None
    assert (summary.stopped.reason, summary.exit_code) == (StopReason.POOL_DOWN, 75)
    assert 40 <= len(job.posts) <= 48


def test_a_pool_that_rests_for_more_than_five_minutes_stops_the_run(tmp_path: Path) -> None:
    job = rehearse(tmp_path, "{fault: gone_404}", rows=200)
    summary = job.run()
    assert summary.stopped is not None
    assert (summary.stopped.reason, summary.exit_code) == (StopReason.POOL_DOWN, 75)
    assert len(job.posts) <= 40


def test_a_later_run_answers_the_rows_of_a_pool_that_was_down(tmp_path: Path) -> None:
    job = rehearse(tmp_path, "{fault: upstream_429, between: [0, 600]}", rows=60)
    assert job.run().exit_code == 75
    assert job.table().filter(status="failed").is_empty()
    assert len(job.posts) <= 48
    job.time.pass_by(3600)
    assert job.run().counts.ok == 60


class Unreachable(httpx.AsyncBaseTransport):
    """A network in which the service is out of reach."""

    def __init__(self) -> None:
        self.asked = Counter[str]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked[request.url.path.rpartition("/")[2]] += 1
        raise httpx.ConnectError("connection refused")


@pytest.mark.parametrize(("route", "reason"), [("openrouter/free", "service_down"), ("local", "service_down")])
def test_a_service_that_is_down_at_the_start_ends_the_run_soon(tmp_path: Path, route: str, reason: str) -> None:
    job, network = rehearse(tmp_path, rows=300, router={"route": route}), Unreachable()
    summary = job.run_over(network)
    assert summary.stopped is not None
    assert (summary.stopped.reason, summary.exit_code) == (reason, 75)
    assert network.asked["completions"] <= 48
    assert job.time.elapsed < 3600
    assert job.run().exit_code == 0


def test_models_come_and_go_during_a_run(tmp_path: Path) -> None:
    text = """
        limits: {per_minute: null, per_day: null}
        router: {draws_classifier: false}
        pool:
          replace: true
          models:
            - {id: "emulated/old-a:free", vanishes_at: 1200}
            - {id: "emulated/old-b:free", vanishes_at: 1200}
            - {id: "emulated/new-a:free", appears_at: 1200}
            - {id: "emulated/new-b:free", appears_at: 1200}
    """
    job = rehearse(
        tmp_path,
        rows=900,
        text=text,
        router={"route": "local"},
        limits={"requests_per_minute": 20, "requests_per_day": 2000},
    )
    summary = job.run()
    assert summary.counts.ok == 900
    assert len(summary.models) == 4
    assert len(job.posts) < 900 + 10


def test_an_old_catalogue_is_used_while_a_new_one_is_out_of_reach(tmp_path: Path) -> None:
    job = rehearse(tmp_path, rows=3, router={"route": "local"})
    job.run()
    job.write_rows([{"prompt": f"And {n}, is it good or bad?"} for n in range(5)])
    job.time.pass_by(7 * 3600)
    summary = job.run_over(Partial(job, "/models"))
    assert summary.counts.ok == 5


class Partial(httpx.AsyncBaseTransport):
    """The emulated service with one path that is out of reach."""

    def __init__(self, job: Rehearsal, path: str) -> None:
        self._inner, self._path = InProcessTransport(job.emulator), path

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(self._path):
            raise httpx.ConnectError("connection refused")
        return await self._inner.handle_async_request(request)
