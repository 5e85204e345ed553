"""Whole runs and the account's limits: never above them, never far below them. A used-up day is a normal end."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import yaml
from support.processes import JobFolder, emulator, environment, finished
from support.rehearsal import BASE_URL, KEY, Rehearsal, scenario, stop_of
from support.virtual_time import NOON, VirtualTime

import batchfree
from batchfree.core.errors import BatchfreeError
from batchfree.core.stops import StopReason
from batchfree.emulator import Scenario, create_app
from batchfree.emulator.http.in_process import InProcessTransport
from batchfree.service.quota.account import fingerprint, ledger_path
from batchfree.service.quota.ledger import Ledger

DAY, HOUR = 86400.0, 3600.0
MIDNIGHT = NOON + DAY / 2
Hook = Callable[[httpx.Request], Awaitable[httpx.Response | None]]
"""Sees each request before the service does; a response from here is the answer."""


def service(limits: str = "per_minute: 20, per_day: 50", latency: str = "{constant: 1}", more: str = "") -> Scenario:
    """A service that answers every request correctly, within these limits."""
    pool = f"pool: {{accuracy: 1.0, follows: 1.0, latency: {latency}}}"
    return scenario(f"limits: {{{limits}}}\nrouter: {{draws_classifier: false}}\n{pool}\n{more}")


class Delivery(httpx.AsyncBaseTransport):
    """A transport on which a request travels for up to `delay` seconds; a hook may answer instead of the service."""

    def __init__(self, app: Any, hook: Hook | None, delay: float) -> None:
        self.inner, self.hook, self.delay, self.rng = InProcessTransport(app), hook, delay, random.Random(1)
        self.gets: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            self.gets[request.url.path.rpartition("/")[2]] += 1
        await anyio.sleep(self.rng.uniform(0, self.delay))
        answer = await self.hook(request) if self.hook else None
        return answer or await self.inner.handle_async_request(request)


class Quota(Rehearsal):
    """A rehearsal with a transport that delays requests and shows them to a hook."""

    def ask(
        self,
        *,
        hook: Hook | None = None,
        delay: float = 0.0,
        beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
        **options: Any,
    ) -> batchfree.Summary:
        """One run; `beside` runs at the same time."""
        self.delivery = Delivery(self.emulator, hook, delay)

        async def main() -> batchfree.Summary:
            async with anyio.create_task_group() as tasks:
                if beside is not None:
                    tasks.start_soon(beside)
                run_options = batchfree.RunOptions(**options)
                summary = await batchfree.arun(self.job(), run_options, clock=self.time.clock, transport=self.delivery)
            return summary  # noqa: RET504 (mypy: a task group may suppress an exception)

        summary: batchfree.Summary = self.time.run(main)
        return summary

    def rule(self, **limits: Any) -> None:
        """Changes the limits of the service."""
        quota = self.emulator.state.service.quota
        quota.limits = quota.limits.model_copy(update=limits)

    @property
    def book(self) -> Any:
        return self.emulator.state.log

    @property
    def refused(self) -> list[Any]:
        return [post for post in self.posts if post.status == 429]

    @property
    def makespan(self) -> float:
        return float(max(post.done_at for post in self.posts) - self.posts[0].at)

    @property
    def days(self) -> list[int]:
        """Requests of each UTC day."""
        return [self.book.per_day[day] for day in sorted(self.book.per_day)]

    @property
    def ledger(self) -> Path:
        return ledger_path(self.folder / "state", fingerprint(KEY, BASE_URL))

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "job.run" / "log.jsonl").read_text().splitlines()]


MakeQuota = Callable[..., Quota]


def rows(count: int) -> list[dict[str, str]]:
    return [{"prompt": f"What is {n}+1?"} for n in range(count)]


@pytest.fixture
def job(tmp_path: Path) -> MakeQuota:
    """Makes a job with a number of rows, at a service, with the `limits` of its spec."""

    def make(count: int, at: Scenario | None = None, **limits: Any) -> Quota:
        return Quota(tmp_path, rows(count), {"limits": limits}, at or service(), VirtualTime())

    return make


# The day


def test_a_hundred_and_twenty_rows_at_fifty_a_day_take_three_days(job: MakeQuota) -> None:
    quota = job(120)
    codes, left = [], []
    for _ in range(3):
        summary = quota.ask()
        codes.append(summary.exit_code)
        left.append(summary.counts.pending)
        quota.time.pass_by(DAY)
    assert (codes, left, quota.days) == ([75, 75, 0], [70, 20, 0], [50, 50, 20])
    assert len(quota.posts) == len(quota.book.answered) == 120
    assert quota.table()["status"].to_list() == ["ok"] * 120


def test_the_summary_says_what_is_used_and_when_there_is_more(job: MakeQuota) -> None:
    stopped = stop_of(job(60).ask())
    assert (stopped.reason, stopped.until) == (StopReason.QUOTA, MIDNIGHT)
    assert stopped.message == "the day's requests are used up: 50 of 50; more at 2026-10-07T00:00:00Z"


def test_a_cron_job_of_every_hour_does_exactly_what_the_account_allows(job: MakeQuota) -> None:
    quota = job(60)
    codes, sent = [], []
    for _ in range(26):
        before = len(quota.posts)
        codes.append(quota.ask().exit_code)
        sent.append(len(quota.posts) - before)
        assert sent[-1] or codes[-1] == 0 or set(quota.delivery.gets) <= {"key", "models"}
        quota.time.pass_by(HOUR - quota.time.elapsed % HOUR)
    assert sent == [50, *[0] * 11, 10, *[0] * 13]
    assert codes == [75] * 12 + [0] * 14


def test_a_waiting_job_takes_three_days_in_one_run_and_asks_for_the_quota_once_an_hour(job: MakeQuota) -> None:
    quota = job(120, on_quota="wait")
    summary = quota.ask()
    assert (summary.exit_code, summary.requests, quota.days) == (0, 120, [50, 50, 20])
    hours = quota.time.elapsed / HOUR
    assert hours <= quota.delivery.gets["key"] <= hours + 4
    assert quota.posts[-1].at < MIDNIGHT + DAY + 5
    waits = [event["reason"] for event in quota.events() if event["event"] == "waiting"]
    assert waits.count("day") == 2


def test_a_laptop_that_slept_over_midnight_continues_within_a_minute(job: MakeQuota) -> None:
    quota = job(60, on_quota="wait")

    async def sleeps() -> None:
        await anyio.sleep(HOUR)
        quota.time.set_clock(14 * HOUR)

    quota.ask(beside=sleeps)
    assert quota.days == [50, 10]
    assert NOON + 15 * HOUR <= quota.posts[50].at <= NOON + 15 * HOUR + 60


@pytest.mark.parametrize("jump", [-2 * HOUR, -2 * DAY, 2 * HOUR])
def test_a_clock_that_is_set_costs_no_refusal_and_no_row(job: MakeQuota, jump: float) -> None:
    quota = job(60, on_quota="wait")

    async def jumps() -> None:
        await anyio.sleep(30)
        quota.time.set_clock(jump)

    assert quota.ask(beside=jumps).counts.ok == 60
    assert not quota.refused


def test_a_reserve_is_left_for_others(job: MakeQuota) -> None:
    quota = job(60, reserve=10)
    summary = quota.ask()
    assert (summary.exit_code, summary.counts.ok, len(quota.posts)) == (75, 40, 40)
    assert "40 of 50, 10 are left for others" in stop_of(summary).message


@pytest.mark.parametrize(("number", "sent"), [(30, 30), (70, 50)])
def test_a_number_only_ever_lowers_what_the_service_allows(job: MakeQuota, number: int, sent: int) -> None:
    quota = job(60, requests_per_day=number)
    assert quota.ask().exit_code == 75
    assert (len(quota.posts), quota.refused) == (sent, [])


@pytest.mark.parametrize("lag", [0, 1200])
def test_requests_of_another_machine_count_and_a_late_counter_takes_nothing_back(job: MakeQuota, lag: int) -> None:
    quota = job(60, service(f"per_minute: 20, per_day: 50, used_today: 30, key_lag: {lag}"))
    assert quota.ask().counts.ok == 20
    quota.time.pass_by(60)
    assert quota.ask().requests == 0
    assert not quota.refused


def test_a_deleted_ledger_costs_no_refusal_since_the_service_knows_the_count(job: MakeQuota) -> None:
    quota = job(80)
    assert quota.ask(limit=30).requests == 30
    for path in quota.ledger.parent.iterdir():
        path.unlink()
    quota.time.pass_by(60)
    assert quota.ask().requests == 20
    assert not quota.refused


def test_a_tier_that_rises_in_the_middle_of_a_run_is_used_at_once(job: MakeQuota) -> None:
    quota = job(120)

    async def rises(request: httpx.Request) -> None:
        if len(quota.posts) == 30:
            quota.rule(per_day=1000)

    assert quota.ask(hook=rises).exit_code == 0
    assert quota.delivery.gets["key"] == 2


def test_a_tier_that_rises_after_a_429_of_the_day_opens_the_day_again(job: MakeQuota) -> None:
    quota = job(120, service("per_minute: 20, per_day: 30, told_per_day: 50"))
    stopped = stop_of(quota.ask())
    assert stopped.message.startswith("the service says that the day's requests are used up; more at")
    assert len(quota.refused) == 1
    quota.time.pass_by(HOUR)
    assert quota.ask().requests == 0
    quota.rule(per_day=1000, told_per_day=None)
    quota.time.pass_by(HOUR)
    assert quota.ask().exit_code == 0
    assert len(quota.refused) == 1


def test_a_429_of_the_day_is_waited_out_too(job: MakeQuota) -> None:
    quota = job(50, service("per_minute: 20, per_day: 30, told_per_day: 50"), on_quota="wait")
    summary = quota.ask()
    assert (summary.exit_code, quota.days, len(quota.refused)) == (0, [31, 20], 1)


def test_without_a_quota_from_the_service_fifty_a_day_are_assumed(job: MakeQuota) -> None:
    async def mute(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(503, text="no") if request.url.path.endswith("/key") else None

    quota = job(60, service("per_minute: 20, per_day: 1000"))
    assert quota.ask(hook=mute).counts.ok == 50
    assert quota.ask().counts.ok == 60


def test_a_thousand_a_day_are_used_completely_and_every_minute_to_98_percent(job: MakeQuota) -> None:
    quota = job(1100, service("per_minute: 20, per_day: 1000"))
    assert quota.ask().counts.ok == 1000
    assert (len(quota.posts), quota.refused) == (1000, [])
    busy = [post for post in quota.posts if post.at < NOON + 2400]
    assert len(busy) >= 0.98 * 40 * 20


# The minute


def test_at_the_true_limit_no_request_is_refused_although_the_service_counts_clock_minutes(job: MakeQuota) -> None:
    quota = job(400, service("per_minute: 20, per_day: 1000", "{median: 2, sigma: 0.8}"))
    quota.time.pass_by(17)
    assert quota.ask(delay=0.9).counts.ok == 400
    assert (len(quota.posts), quota.refused) == (400, [])
    assert quota.makespan <= 1.05 * 19 * 60


@pytest.mark.parametrize("told", ["", ", told_per_minute: 20", ", hint: seconds", ", hint: headers"])
def test_a_stricter_service_is_learned_with_three_refused_requests_at_most(job: MakeQuota, told: str) -> None:
    quota = job(90, service(f"per_minute: 10, per_day: 1000{told}"))
    assert quota.ask(delay=0.2).counts.ok == 90
    assert len(quota.refused) <= 3
    assert quota.makespan <= 10 * 60


@pytest.mark.parametrize("told", ["", ", told_per_minute: 1000000"])
@pytest.mark.parametrize("second", [0, 40])
def test_an_unknown_limit_is_learned_from_the_first_429(job: MakeQuota, told: str, second: int) -> None:
    quota = job(60, service(f"per_minute: 20, per_day: 1000{told}"), requests_per_minute=1_000_000)
    quota.time.pass_by(second)
    assert quota.ask(delay=0.2).counts.ok == 60
    assert len(quota.refused) <= 8
    assert quota.makespan <= 1.10 * 121


def test_after_a_429_of_the_minute_all_workers_wait_for_the_next_minute(job: MakeQuota) -> None:
    quota = job(40, service(more="faults: [{fault: minute_429, nth: 3}]"), requests_per_minute=1000)
    assert quota.ask().counts.ok == 40
    refused = quota.refused[0].at
    assert not [post for post in quota.posts if refused + 0.5 < post.at < NOON + 61]


def test_limits_of_the_account_count_neither_against_rows_nor_models(job: MakeQuota) -> None:
    faults = "faults: [{fault: minute_429, nth: [2, 5]}, {fault: day_429, nth: 30}]"
    model = "emulated/glm-5.2:free"
    quota = job(60, service("per_minute: 20, per_day: 1000", more=faults))
    quota.write_spec({"router": {"route": model}})
    summary = quota.ask()
    assert (summary.exit_code, stop_of(summary).until) == (75, MIDNIGHT + 1)
    quota.time.pass_by(DAY)
    assert quota.ask().exit_code == 0
    table = quota.table()
    assert table["attempts"].to_list() == [1] * 60
    assert table["error_kind"].null_count() == 60
    assert len(quota.refused) == 3


def test_an_upstream_429_concerns_its_model_alone(job: MakeQuota) -> None:
    tired = "emulated/glm-5.2:free"
    fault = f'faults: [{{fault: upstream_429, model: "{tired}", with: {{seconds: 600}}}}]'
    quota = job(20, service(more=fault))
    quota.write_spec({"router": {"route": "local", "fallbacks": 0}})
    summary = quota.ask()
    assert summary.counts.ok == 20
    assert tired not in summary.models
    assert not {request.fault for request in quota.posts} & {"minute_429", "day_429"}
    assert quota.makespan < 70


# Other ends


def test_until_stops_starting_in_time_for_the_deadline(job: MakeQuota) -> None:
    quota = job(100, service("per_minute: 20, per_day: 1000", "{constant: 9}"))
    summary = quota.ask(until=NOON + 90)
    assert (summary.exit_code, stop_of(summary).reason) == (75, StopReason.DEADLINE)
    assert quota.time.clock() <= NOON + 90
    assert summary.counts.ok == len(quota.posts) == 40


def test_a_wait_beyond_the_deadline_does_not_begin(job: MakeQuota) -> None:
    quota = job(60, on_quota="wait")
    assert stop_of(quota.ask(until=NOON + HOUR)).reason is StopReason.DEADLINE
    assert quota.time.elapsed < 200


def test_a_limit_answers_that_number_of_rows_and_ends_with_code_0(job: MakeQuota) -> None:
    quota = job(100)
    summary = quota.ask(limit=25)
    assert (summary.exit_code, summary.counts.ok, len(quota.posts)) == (0, 25, 25)


# Two jobs, two keys


def test_two_jobs_and_two_keys_of_one_account_share_its_quota(tmp_path: Path) -> None:
    spelled = BASE_URL.replace("http://emulated.invalid", "HTTP://Emulated.Invalid:80") + "/"
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    time = VirtualTime()
    first, second = (
        Quota(folder, rows(count), {"endpoint": {"base_url": url, "account": "ours"}}, service(), time)
        for folder, count, url in zip(folders, (30, 40), (BASE_URL, spelled), strict=True)
    )
    second.emulator = first.emulator
    second.environment |= {"BATCHFREE_STATE_DIR": first.environment["BATCHFREE_STATE_DIR"]}
    second.environment["OPENROUTER_API_KEY"] = "sk-or-v1-another-key-of-the-same-account"
    assert first.ask().requests == 30
    assert second.ask().requests == 20
    assert not first.refused
    assert len(list((tmp_path / "a" / "state").glob("*.sqlite3"))) == 1


# Many processes


@pytest.mark.parametrize(
    ("limits", "each"),
    [
        pytest.param("per_minute: 120, per_day: 1000", 40, marks=pytest.mark.slow),
        ("per_minute: 6000, per_day: 200", 40),
    ],
)
def test_six_processes_of_two_jobs_are_never_refused_and_lose_nothing(tmp_path: Path, limits: str, each: int) -> None:
    shared = environment(tmp_path)
    cap, per_day = yaml.safe_load(f"{{{limits}}}").values()
    spec = {"limits": {"requests_per_minute": cap, "concurrency": 4}, "run_dir": "job.run"}
    jobs = [JobFolder(tmp_path / f"{n}", each, name=f"{'ab'[n % 2]}", **spec) for n in range(6)]
    with emulator(tmp_path / "service", latency="{median: 0.1, sigma: 0.5}", limits=limits) as served:
        processes = [job.start(served, env=shared) for job in jobs]
        codes = [finished(process).returncode for process in processes]
        posts = served.posts()
    answered = sum(len(job.answered()) for job in jobs)
    ats = [post["at"] for post in posts]
    assert {post["status"] for post in posts} == {200}
    assert len(posts) == answered
    if len({post["at"] // DAY for post in posts}) == 1:  # at midnight UTC a second day begins, with a quota of its own
        assert answered == min(6 * each, per_day)
    assert set(codes) <= {0, 75}
    assert all(later - earlier >= 60 for earlier, later in zip(ats, ats[cap:], strict=False))
    assert len(list((tmp_path / "state").glob("*.sqlite3"))) == 1


# Files


def damage(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)


def make_newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version = 99")


def make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("harm", [damage, make_newer, make_a_folder])
def test_an_unusable_ledger_is_named_before_anything_is_sent(job: MakeQuota, harm: Callable[[Path], None]) -> None:
    quota = job(10)
    quota.ledger.parent.mkdir()
    Ledger(quota.ledger, quota.time.clock).close()
    harm(quota.ledger)
    summary = quota.ask()
    assert (summary.exit_code, stop_of(summary).reason) == (3, StopReason.DISK)
    assert stop_of(summary).message.startswith(f"{quota.ledger}: ")
    assert not quota.posts


def test_a_ledger_that_breaks_during_a_run_ends_it_with_all_answers_recorded(job: MakeQuota) -> None:
    quota = job(100)

    async def breaks(request: httpx.Request) -> None:
        if len(quota.posts) == 10:
            with closing(sqlite3.connect(quota.ledger)) as db, db:
                db.execute("DROP TABLE starts")

    summary = quota.ask(hook=breaks)
    assert (summary.exit_code, stop_of(summary).reason) == (3, StopReason.DISK)
    assert str(quota.ledger) in stop_of(summary).message
    assert summary.counts.ok == len(quota.posts)


# The key

SECRET = "f00dfeedf00dfeedf00dfeed"
ECHOES = [
    "{status: 400, body: {error: {code: 400, message: 'bad key KEY'}}}",
    "{status: 429, body: {error: {code: 429, message: 'KEY is temporarily rate-limited upstream.'}}}",
    "{status: 502, body: 'Authorization: Bearer KEY was sent'}",
    "{status: 401, body: {error: {code: 401, message: 'KEY', metadata: {provider_name: KEY, raw: KEY}}}}",
    "{status: 200, body: {error: {code: 500, message: 'KEY'}}}",
]


def files(folder: Path) -> Iterator[bytes]:
    """Path and content of every file in a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path).encode() + path.read_bytes()


@pytest.mark.parametrize("key", [f"sk-or-v1-{SECRET}", f"my-own.{SECRET}"])
def test_the_key_is_in_no_file_and_no_message_even_if_the_service_quotes_it(
    tmp_path: Path, key: str, capfd: pytest.CaptureFixture[str]
) -> None:
    rules = "".join(f"  - {{respond: {echo.replace('KEY', key)}, nth: {n + 2}}}\n" for n, echo in enumerate(ECHOES))
    quota = Quota(tmp_path, rows(12), {"retry": {"max_attempts": 2}}, service(more=f"faults:\n{rules}"))
    quota.emulator = create_app(quota.service, clock=quota.time.clock, require_key=False)
    quota.environment["OPENROUTER_API_KEY"] = key
    summary = quota.ask()
    assert len(quota.posts) > len(ECHOES)
    said = [repr(summary), json.dumps(summary.to_json()), repr(quota.job()), *capfd.readouterr()]
    assert not [text for text in said if SECRET in text]
    assert not [content for content in files(tmp_path) if SECRET.encode() in content]


def test_an_impossible_key_is_an_error_that_does_not_show_it(job: MakeQuota) -> None:
    quota = job(3)
    quota.environment["OPENROUTER_API_KEY"] = f"sk-or-v1-{SECRET}\nX-Evil: 1"
    with pytest.raises(BatchfreeError) as told:
        quota.run()
    assert SECRET not in str(told.value)
