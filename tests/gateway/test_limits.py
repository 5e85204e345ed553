"""The queue, the limits of the account, and clients that leave."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from support.gateway import asking_for, in_virtual_time, spec_of

CHAT = "/chat/completions"
QUICK = "pool: {latency: {constant: 1}}\n"


def at_once(number, **members):
    """Posts a number of calls at once; returns the replies in the order of the calls."""

    async def act(served):
        replies = [None] * number

        async def ask(place):
            replies[place] = await served.http.post(CHAT, json=asking_for(f"Question {place}", **members))

        async with anyio.create_task_group() as tasks:
            for place in range(number):
                tasks.start_soon(ask, place)
                await anyio.lowlevel.checkpoint()
        return replies, list(served.posts), served.starts()

    return act


def test_calls_wait_for_their_starts_and_the_first_come_first(tmp_path):
    replies, posts, starts = in_virtual_time(at_once(40), tmp_path, QUICK + "limits: {per_minute: 20, per_day: 1000}")
    assert [reply.status_code for reply in replies] == [200] * 40
    assert starts == len(posts) == 40
    asked = [post.body["messages"][0]["content"] for post in posts]
    assert asked == sorted(asked, key=lambda text: int(text.split()[-1]))
    ends = [post.at for post in posts]
    assert all(later - ends[place] > 59 for place, later in enumerate(ends[20:]))


def test_a_call_that_gets_no_start_in_time_is_told_when_to_come_back(tmp_path):
    act = at_once(30)
    replies, posts, starts = in_virtual_time(
        act, tmp_path, QUICK + "limits: {per_minute: 20, per_day: 1000}", max_wait=30.0
    )
    late = [reply for reply in replies if reply.status_code == 429]
    assert (len(late), len(posts), starts) == (10, 20, 20)
    for reply in late:
        error = reply.json()["error"]
        assert error["code"] == 429
        assert error["metadata"]["limit_source"] == "openrouter_free_tier_per_minute"
        assert error["metadata"]["headers"]["X-RateLimit-Limit"] == "20"
        assert reply.headers["x-should-retry"] == "false"
        assert 1 <= int(reply.headers["retry-after"]) <= 61
        assert int(reply.headers["x-ratelimit-reset"]) > 1_700_000_000_000


def test_a_spent_day_is_told_at_once(tmp_path):
    async def act(served):
        replies = [await served.http.post(CHAT, json=asking_for()) for _ in range(3)]
        return replies, len(served.posts), served.gateway.clock() - served.gateway.began

    replies, posts, seconds = in_virtual_time(act, tmp_path, QUICK + "limits: {per_minute: 20, per_day: 2}")
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert (posts, seconds < 10) == (2, True)
    error = replies[-1].json()["error"]
    assert error["metadata"]["limit_source"] == "openrouter_free_tier_daily"
    assert int(replies[-1].headers["retry-after"]) == pytest.approx(12 * 3600, abs=60)


def test_a_minute_429_of_the_service_is_waited_out(tmp_path):
    async def act(served):
        return await served.http.post(CHAT, json=asking_for()), len(served.posts)

    reply, posts = in_virtual_time(act, tmp_path, "faults: [{fault: minute_429, nth: 1}]")
    assert (reply.status_code, posts) == (200, 2)
    assert "," not in reply.headers["x-batchfree-attempts"]


def test_a_call_that_is_tried_again_comes_before_new_ones(tmp_path):
    scenario = QUICK + "limits: {per_minute: 20, per_day: 1000}\nfaults: [{fault: server_500, nth: 1}]"
    replies, posts, _ = in_virtual_time(at_once(25), tmp_path, scenario)
    asked = [post.body["messages"][0]["content"] for post in posts]
    assert [reply.status_code for reply in replies] == [200] * 25
    assert asked.index("Question 0", 1) <= 20


@pytest.mark.parametrize("stream", [False, True])
def test_clients_that_leave_give_back_their_places_and_unused_starts(stream, tmp_path):
    async def act(served):
        async def ask(place, seconds):
            with anyio.move_on_after(seconds):
                await served.http.post(CHAT, json=asking_for(f"Question {place}", stream=stream))

        async with anyio.create_task_group() as tasks:
            for place in range(60):
                tasks.start_soon(ask, place, 30.0 if place % 2 else 1000.0)
                await anyio.lowlevel.checkpoint()
        queue = served.gateway.queue
        left = served.gateway.counts.calls["left"]
        return list(served.posts), served.starts(), queue.waiting, queue.in_flight, left

    posts, starts, waiting, in_flight, left = in_virtual_time(
        act, tmp_path, QUICK + "limits: {per_minute: 20, per_day: 1000}", max_wait=500.0
    )
    answered = {post.body["messages"][0]["content"] for post in posts}
    assert {f"Question {place}" for place in range(0, 60, 2)} <= answered
    assert starts == len(posts) == 40
    assert (waiting, in_flight, left) == (0, 0, 20)


def test_a_request_in_flight_is_cancelled_with_its_client(tmp_path):
    async def act(served):
        with anyio.move_on_after(5):
            await served.http.post(CHAT, json=asking_for())
        await anyio.sleep(1)
        return served.posts[0], served.gateway.queue.in_flight

    post, in_flight = in_virtual_time(act, tmp_path, "pool: {latency: {constant: 60}}")
    assert (post.delivered, in_flight) == (False, 0)
    assert post.done_at - post.at == pytest.approx(5, abs=0.5)


def test_no_more_requests_are_in_flight_than_the_job_allows(tmp_path):
    limits = {"requests_per_minute": 1000, "requests_per_day": 1000}
    spec = spec_of(concurrency=3, limits=limits)
    replies, posts, _ = in_virtual_time(at_once(12), tmp_path, "pool: {latency: {constant: 10}}", spec=spec)
    assert {reply.status_code for reply in replies} == {200}
    begins = sorted(post.at for post in posts)
    assert all(later - begins[place] >= 10 for place, later in enumerate(begins[3:]))


def test_the_requests_of_clients_are_the_job_serve_in_the_quota(tmp_path):
    async def act(served):
        await served.http.post(CHAT, json=asking_for())
        return (await served.gateway.usage()).jobs, (await served.http.get("/key")).json()["data"]

    jobs, key = in_virtual_time(act, tmp_path, "limits: {per_minute: 20, per_day: 50}")
    assert jobs == {"serve": 1}
    assert key["free_model_daily_requests"] == {"limit": 50, "used": 1, "remaining": 49}
