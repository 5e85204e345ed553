"""OpenAI's files and batches, end to end with the official SDK, through restarts, mistakes and cancellations."""

from __future__ import annotations

import io
import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
import requests
import yaml
from openai import OpenAI
from support.emulated import emulation
from support.gateway import gateway_on_socket
from support.processes import batchfree, emulator

from batchfree.emulator import Emulator
from batchfree.gateway.batches.batch_lines import LineChecker

FREE = "openrouter/free"
CALM = "router: {draws_classifier: false}\npool: {accuracy: 1.0, follows: 1.0, latency: {constant: 0}}\n"
FAST = {"requests_per_minute": 100_000, "requests_per_day": 100_000}
URL: Any = "/v1/chat/completions"
PATIENCE = 60.0
"""Real seconds to wait for a batch; far more than a slow machine needs."""


@contextmanager
def client_over(app: Emulator, folder: Path, **options: Any) -> Iterator[OpenAI]:
    """The official SDK on a gateway over an emulation."""
    with gateway_on_socket(app, folder, **options) as (url, _), OpenAI(base_url=f"{url}/v1", api_key="any") as client:
        yield client


def line(number: int, model: str = FREE, **members: Any) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": f"What is thing number {number}?"}]}
    return {"custom_id": f"row-{number}", "method": "POST", "url": URL, "body": body} | members


def file_of(lines: Sequence[dict[str, Any]]) -> io.BytesIO:
    return io.BytesIO("".join(json.dumps(each) + "\n" for each in lines).encode())


def upload(client: OpenAI, lines: Sequence[dict[str, Any]]) -> str:
    return client.files.create(file=("requests.jsonl", file_of(lines)), purpose="batch").id


def started(client: OpenAI, lines: Sequence[dict[str, Any]]) -> Any:
    return client.batches.create(input_file_id=upload(client, lines), endpoint=URL, completion_window="24h")


def ended(client: OpenAI, id: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while (batch := client.batches.retrieve(id)).status in ("validating", "in_progress", "finalizing", "cancelling"):
        assert time.monotonic() < deadline, batch
        time.sleep(0.02)
    return batch


def results(client: OpenAI, id: str | None) -> list[dict[str, Any]]:
    return [] if id is None else [json.loads(each) for each in client.files.content(id).text.splitlines()]


def test_a_batch_runs_end_to_end_with_the_official_sdk(tmp_path):
    app = emulation(CALM + "faults: [{fault: invalid_400, content: 'number 7'}]")
    with (
        gateway_on_socket(app, tmp_path, limits=FAST) as (url, _),
        OpenAI(base_url=f"{url}/v1", api_key="any") as client,
    ):
        file = client.files.create(file=("mine.jsonl", file_of([line(n) for n in range(10)])), purpose="batch")
        assert (file.object, file.filename, file.purpose, file.status) == ("file", "mine.jsonl", "batch", "processed")
        batch = client.batches.create(
            input_file_id=file.id, endpoint=URL, completion_window="24h", metadata={"about": "things"}
        )
        assert (batch.object, batch.status, batch.completion_window) == ("batch", "validating", "24h")
        batch = ended(client, batch.id)
        assert batch.status == "completed"
        assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (10, 9, 1)
        assert batch.created_at <= batch.in_progress_at <= batch.finalizing_at <= batch.completed_at
        assert batch.metadata == {"about": "things"}
        assert batch.expires_at is None
        answered, failed = results(client, batch.output_file_id), results(client, batch.error_file_id)
        assert {each["custom_id"] for each in answered} == {f"row-{n}" for n in range(10) if n != 7}
        assert all(each["response"]["status_code"] == 200 and each["error"] is None for each in answered)
        assert all(each["response"]["body"]["choices"][0]["message"]["content"] for each in answered)
        assert [each["custom_id"] for each in failed] == ["row-7"]
        assert failed[0]["error"]["code"] == "invalid_request"
        assert client.files.retrieve(batch.output_file_id).purpose == "batch_output"
        assert {each.id for each in client.files.list(purpose="batch")} == {file.id}
        assert client.files.delete(file.id).deleted
        assert [each.id for each in client.batches.list()] == [batch.id]
    assert len(app.state.log.requests) == 10


def test_lists_have_pages(tmp_path):
    with client_over(emulation(CALM), tmp_path, limits=FAST) as client:
        made = [started(client, [line(n)]).id for n in range(5)]
        for id in made:
            ended(client, id)
        page = client.batches.list(limit=2)
        assert (len(page.data), page.has_more) == (2, True)
        assert {batch.id for batch in client.batches.list(limit=2)} == set(made)
        with pytest.raises(openai.BadRequestError, match="`limit`"):
            client.batches.list(limit=1000)
        with pytest.raises(openai.BadRequestError, match="nothing with the id"):
            client.batches.list(after="batch_nobody")


@pytest.mark.parametrize(
    ("lines", "code", "at"),
    [
        ([], "empty_file", None),
        ([b"{"], "invalid_json_line", 1),
        ([b"[1]"], "invalid_json_line", 1),
        ([b"\xff"], "invalid_json_line", 1),
        ([line(1), {**line(2), "custom_id": None}], "missing_required_parameter", 2),
        ([line(1), line(1)], "duplicate_custom_id", 2),
        ([line(1, method="GET")], "invalid_method", 1),
        ([line(1, url="/v1/embeddings")], "invalid_url", 1),
        ([line(1, body=None)], "missing_required_parameter", 1),
        ([line(1, body={"messages": []})], "invalid_model", 1),
        ([line(1, model="openai/gpt-4o")], "invalid_request", 1),
        ([line(1), line(2, model="local")], "mismatched_model", 2),
        ([line(1, body={"model": FREE, "messages": []})], "invalid_request", 1),
        ([line(1, body={"model": FREE, "models": ["a/b"], "messages": []})], "invalid_model", 1),
        ([line(1, body={**line(1)["body"], "plugins": [{"id": "web"}]})], "invalid_request", 1),
    ],
)
def test_mistakes_in_a_file_are_told_with_their_line(lines, code, at):
    checker = LineChecker(allowed=None)
    for number, each in enumerate(lines, 1):
        checker.take(each if isinstance(each, bytes) else json.dumps(each).encode(), number)
    (mistake,) = checker.end()
    assert (mistake.code, mistake.line) == (code, at)


def test_what_a_chat_may_not_send_does_not_reach_the_job():
    body = {**line(1)["body"], "temperature": 0, "service_tier": "priority", "stream": True}
    taken = LineChecker(allowed=None).take(json.dumps(line(1, body=body)).encode(), 1)
    assert taken is not None
    assert json.loads(taken)["body"].keys() == {"model", "messages", "temperature"}


def test_a_wrong_file_fails_without_a_request(tmp_path):
    app = emulation(CALM)
    with (
        gateway_on_socket(app, tmp_path, limits=FAST) as (url, _),
        OpenAI(base_url=f"{url}/v1", api_key="any") as client,
    ):
        batch = ended(client, started(client, [line(1), line(1), line(2, model="openai/gpt-4o")]).id)
        assert (batch.status, batch.failed_at is not None) == ("failed", True)
        assert [(each.code, each.line) for each in batch.errors.data] == [
            ("duplicate_custom_id", 2),
            ("invalid_request", 3),
        ]
        assert batch.output_file_id is None
    assert app.state.log.requests == []


def test_wrong_wishes_are_refused(tmp_path):
    with client_over(emulation(CALM), tmp_path, limits=FAST) as client:
        id = upload(client, [line(1)])
        wish: dict[str, Any] = {"input_file_id": id, "endpoint": URL, "completion_window": "24h"}
        changes: list[tuple[dict[str, Any], str]] = [
            ({"input_file_id": "file-nobody"}, "No such File"),
            ({"endpoint": "/v1/embeddings"}, "not served"),
            ({"completion_window": ""}, "completion_window"),
            ({"metadata": {"a": "x" * 600}}, "metadata"),
        ]
        for change, says in changes:
            with pytest.raises(openai.BadRequestError, match=says):
                client.batches.create(**(wish | change))
        with pytest.raises(openai.NotFoundError, match="No batch found"):
            client.batches.retrieve("batch_nobody")
        with pytest.raises(openai.NotFoundError, match="No such File"):
            client.files.content("file-" + "0" * 24)
        with pytest.raises(openai.BadRequestError, match="must be batch"):
            client.files.create(file=("a.jsonl", b"{}"), purpose="assistants")
        url = str(client.base_url).removesuffix("/v1/")
        for path in ("../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "file-" + "0" * 23 + "/"):
            assert requests.get(f"{url}/v1/files/{path}/content", timeout=30).status_code in (404, 405)
        broken = {"Content-Type": "multipart/form-data; boundary=x"}
        for raw in (
            b"",
            b"--x",
            b"--x\r\n\r\n",
            b"--x\r\nContent-Disposition: form-data; name=file\r\n\r\nabc",
            b"\0" * 999,
        ):
            assert requests.post(f"{url}/v1/files", data=raw, headers=broken, timeout=30).status_code == 400
        assert requests.post(f"{url}/v1/files", json={}, timeout=30).status_code == 400
        assert requests.post(f"{url}/v1/batches", data=b"\xff", timeout=30).status_code == 400
    assert {path.name for path in tmp_path.rglob("files")} == {"files"}
    assert len(list(next(tmp_path.rglob("files")).iterdir())) == 1


def test_a_cancelled_batch_keeps_what_is_answered(tmp_path):
    app = emulation(CALM.replace("constant: 0", "constant: 0.05"))
    spec: Any = {"limits": {**FAST, "concurrency": 2}}
    with client_over(app, tmp_path, **spec) as client:
        batch = started(client, [line(n) for n in range(200)])
        while client.batches.retrieve(batch.id).request_counts.completed < 5:
            time.sleep(0.01)
        assert client.batches.cancel(batch.id).status == "cancelling"
        batch = ended(client, batch.id)
        assert batch.status == "cancelled"
        assert batch.cancelling_at <= batch.cancelled_at
        answered = results(client, batch.output_file_id)
        assert 5 <= len(answered) == batch.request_counts.completed < 200
        with pytest.raises(openai.ConflictError, match="Cannot cancel a batch with status 'cancelled'"):
            client.batches.cancel(batch.id)
    assert len(app.state.log.requests) == len(answered)


def test_a_batch_goes_on_when_serve_starts_again(tmp_path):
    app = emulation(CALM.replace("constant: 0", "constant: 0.02"))
    spec: Any = {"limits": {**FAST, "concurrency": 2}}
    with client_over(app, tmp_path, **spec) as client:
        id = started(client, [line(n) for n in range(60)]).id
        while client.batches.retrieve(id).request_counts.completed < 5:
            time.sleep(0.01)
    assert len(app.state.log.requests) < 60
    with client_over(app, tmp_path, **spec) as client:
        batch = ended(client, id)
        answered = Counter(each["custom_id"] for each in results(client, batch.output_file_id))
    assert answered == Counter(f"row-{n}" for n in range(60))
    assert len(app.state.log.requests) == 60


def test_a_batch_survives_kill_9_with_every_line_once(tmp_path):
    lines = [line(n) for n in range(40)]
    with emulator(tmp_path / "service", latency=0.1) as service:
        with serving(tmp_path, service.url) as (client, process):
            id = started(client, lines).id
            while client.batches.retrieve(id).request_counts.completed < 8:
                time.sleep(0.01)
            process.kill()
            process.wait()
        with serving(tmp_path, service.url) as (client, _):
            batch = ended(client, id)
            answered = Counter(each["custom_id"] for each in results(client, batch.output_file_id))
        posts = len(service.posts())
    assert batch.status == "completed"
    assert answered == Counter(each["custom_id"] for each in lines)
    assert 40 <= posts <= 40 + 4


@contextmanager
def serving(folder: Path, url: str) -> Iterator[tuple[OpenAI, Any]]:
    """The official SDK on `batchfree serve` in a process of its own, at most 4 requests in flight."""
    job = folder / "serve.yaml"
    job.write_text(yaml.safe_dump({"input": "rows.jsonl", "limits": {**FAST, "concurrency": 4}}))
    command = ["serve", str(job), "--port", "0", "--endpoint", url]
    with batchfree(folder, command, stderr=subprocess.PIPE, text=True) as process:
        try:
            base = process.stderr.readline().split()[-1]
            with OpenAI(base_url=base.replace("/api/v1", "/v1"), api_key="any") as client:
                yield client, process
        finally:
            process.terminate()


def test_files_of_a_killed_upload_are_removed(tmp_path):
    with gateway_on_socket(emulation(CALM), tmp_path, limits=FAST):
        pass
    (store,) = tmp_path.rglob("files")
    left = store / ("file-" + "0" * 24)
    left.mkdir()
    (left / "content").write_text("half")
    foreign = store / "notes"
    foreign.mkdir()
    with gateway_on_socket(emulation(CALM), tmp_path, limits=FAST):
        pass
    assert {path.name for path in Path(store).iterdir()} == {"notes"}


def test_batches_leave_a_part_of_each_minute_to_chat_calls(tmp_path):
    app = emulation(CALM)
    limits = {"requests_per_minute": 20, "requests_per_day": 1000}
    with client_over(app, tmp_path, limits=limits) as client:
        id = started(client, [line(n) for n in range(30)]).id
        while client.batches.retrieve(id).request_counts.completed < 16:
            time.sleep(0.02)
        reply = client.chat.completions.create(
            model=FREE, messages=[{"role": "user", "content": "Now, please."}], timeout=PATIENCE / 2
        )
        assert reply.choices[0].message.content
        client.batches.cancel(id)
        assert ended(client, id).request_counts.completed == 16
    assert len(app.state.log.requests) == 17


def test_a_charged_answer_ends_the_batch_and_all_requests_of_the_server(tmp_path):
    app = emulation(CALM + "faults: [{fault: charged, nth: 3}]")
    with client_over(app, tmp_path, limits=FAST, concurrency=1) as client:
        batch = ended(client, started(client, [line(n) for n in range(20)]).id)
        assert (batch.status, batch.errors.data[0].code) == ("failed", "charged")
        assert len(results(client, batch.output_file_id)) == len(app.state.log.requests) == 3
        with pytest.raises(openai.APIStatusError, match="charged") as refused:
            client.chat.completions.create(model=FREE, messages=[{"role": "user", "content": "Hello"}])
        assert refused.value.status_code == 402
    assert len(app.state.log.requests) == 3


def test_a_batch_waits_while_the_key_is_refused(tmp_path):
    app = emulation(CALM + "faults: [{fault: key_401, nth: 1}]")
    with client_over(app, tmp_path, limits=FAST, concurrency=1) as client:
        id = started(client, [line(1)]).id
        while not app.state.log.requests:
            time.sleep(0.01)
        assert client.batches.retrieve(id).status == "in_progress"
        client.batches.cancel(id)
        assert ended(client, id).status == "cancelled"
    assert len(app.state.log.requests) == 1
