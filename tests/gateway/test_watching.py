"""`/status`, `/metrics`, the page and the log: everything about the calls but what they hold."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from copy import deepcopy
from typing import Any

import pytest
from support.gateway import asking_for, in_virtual_time

from batchfree.gateway.metrics import metrics
from batchfree.gateway.status_page import policy, status_page

SECRET = "The-contents-of-a-call"
HOSTILE = '<script>alert("x")</script>\n"{}\\'
STATUS: dict[str, Any] = {
    "version": "0",
    "endpoint": HOSTILE,
    "now": "2026-11-28T00:00:00Z",
    "started_at": "2026-11-28T00:00:00Z",
    "quota": {
        "day": {"limit": 50, "used": 3, "left": 47, "resets_at": "2026-11-29T00:00:00Z"},
        "minute": {"limit": None, "used": 0, "left": None, "resets_at": "2026-11-28T00:00:00Z"},
        "jobs": [{"job": HOSTILE, "today": 3}],
    },
    "queue": {"waiting": 1, "in_flight": 2},
    "closed": HOSTILE,
    "calls": {"200": 2, "429": 1, "left": 1},
    "call_seconds": 1.5,
    "requests": [{"model": HOSTILE, "result": "ok", "count": 2}],
    "models": [{"id": HOSTILE, "state": "ready", "until": None, "failing": 0.1, "requests": 2, "answers": 2}],
    "batches": [
        {
            "id": HOSTILE,
            "status": "in_progress",
            "model": HOSTILE,
            "created_at": "2026-11-28T00:00:00Z",
            "total": 5,
            "completed": 2,
            "failed": 1,
            "waiting_for": "day",
            "until": "2026-11-29T00:00:00Z",
        }
    ],
}


def watched(tmp_path, scenario="", model="openrouter/free"):
    """What is seen after two calls, one of which was refused."""

    async def act(served):
        await served.http.post("/chat/completions", json=asking_for(SECRET, model=model))
        await served.http.post("/chat/completions", json=asking_for(SECRET, model="not/free"))
        base = "http://127.0.0.1"
        return [await served.http.get(base + path) for path in ("/status", "/metrics", "/")]

    return in_virtual_time(act, tmp_path, scenario)


def test_the_status_counts_calls_requests_models_and_quota(tmp_path):
    status = watched(tmp_path, "limits: {per_minute: 20, per_day: 50}")[0].json()
    assert status["calls"] == {"200": 1, "400": 1}
    assert status["quota"]["day"]["left"] == 49
    assert status["quota"]["jobs"] == [{"job": "serve", "today": 1}]
    assert status["queue"] == {"waiting": 0, "in_flight": 0}
    (asked,) = [model for model in status["models"] if model["requests"]]
    assert (asked["state"], asked["answers"]) == ("ready", 1)
    assert status["batches"] == []
    assert set(status) == set(STATUS)


def test_a_resting_model_is_shown_until_when(tmp_path):
    status = watched(tmp_path, "faults: [{fault: server_500, nth: 1}]", "local")[0].json()
    resting = [model for model in status["models"] if model["state"] == "resting"]
    assert resting
    assert all(model["until"] > status["now"] for model in resting)


def test_the_metrics_are_prometheus_text(tmp_path):
    reply = watched(tmp_path)[1]
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    names, families = set(), set()
    for line in reply.text.splitlines():
        if line.startswith("# TYPE "):
            families.add(line.split()[2])
        elif not line.startswith("#"):
            found = re.fullmatch(r'([a-z_]+)(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [-+.e0-9]+', line)
            assert found, line
            names.add(found[1])
    assert names == families
    assert 'batchfree_calls_total{status="200"} 1' in reply.text


def test_labels_of_metrics_are_escaped():
    text = metrics(STATUS)
    assert r'model="<script>alert(\"x\")</script>\n\"{}\\",result="ok"} 2' in text
    assert all(line.startswith(("# ", "batchfree_")) for line in text.splitlines())


def test_the_page_holds_no_script_and_escapes_everything(tmp_path):
    page = watched(tmp_path)[2]
    assert page.headers["content-security-policy"] == policy()
    assert "script" not in page.headers["content-security-policy"]
    for text in (page.text, status_page(STATUS)):
        assert not re.search(r"<script|<img|<link|<iframe|https?://(?!127\.0\.0\.1)| on\w+=", text)
    assert status_page(STATUS).count("&lt;script&gt;") == 6


def test_nothing_that_is_watched_holds_the_contents_of_a_call(tmp_path):
    replies = watched(tmp_path, "faults: [{fault: moderation_403, nth: 1}]")
    assert not any(SECRET in reply.text for reply in replies)
    (log,) = tmp_path.rglob("log.jsonl")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert SECRET not in log.read_text()
    assert [event["status"] for event in events if event["event"] == "chat"] == [200, 400]


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_its_window(width, browser, tmp_path):
    status = deepcopy(STATUS)
    name = "nvidia/nemotron-3-nano-omni-30b-a3b-reasoning-with-a-rather-long-name:free"
    status["models"] = [{**STATUS["models"][0], "id": name, "until": "2026-11-29T00:00:00Z", "state": "resting"}] * 3
    file = tmp_path / "page.html"
    file.write_text(status_page(status), encoding="utf-8")
    browser.set_window_size(width, 900)
    browser.get(file.as_uri())
    wide, window = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= window
    assert browser.find_elements("tag name", "h2")[0].text == "Quota and queue"


def test_a_ledger_that_can_not_be_read_is_told_as_it_is(tmp_path):
    async def act(served):
        (ledger,) = (tmp_path / "state").glob("*.sqlite3")
        with closing(sqlite3.connect(ledger)) as database:
            database.execute("DROP TABLE starts")
        return [await served.http.get(path) for path in ("/key", "http://127.0.0.1/status")]

    replies = in_virtual_time(act, tmp_path)
    assert [reply.status_code for reply in replies] == [503, 503]
    assert "ledger" in replies[0].json()["error"]["message"]
