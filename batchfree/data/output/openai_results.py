"""Result lines of OpenAI's Batch API: one for each row that is answered or failed.

Source: https://platform.openai.com/docs/guides/batch
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from batchfree.core.chat import Json, JsonObject
from batchfree.data.openai_batch import CUSTOM_ID, row_name
from batchfree.data.output.whole_numbers import whole_numbers
from batchfree.journal.attempts import Status

OBJECT = "chat.completion"


def result_lines(table: pl.LazyFrame, *, id_column: str | None, prefix: str) -> Iterator[bytes]:
    """The lines with their ends, as UTF-8. `custom_id` is the row's id, else its number, counted from zero."""
    number = 0
    for batch in table.collect_batches():
        for row in batch.iter_rows(named=True):
            name = row_name(number if id_column is None else row[id_column])
            own = {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix)}
            if own["status"] != Status.PENDING:
                line = json.dumps(_result(own, number, name), ensure_ascii=False, separators=(",", ":"))
                yield line.encode() + b"\n"
            number += 1


def _result(own: Mapping[str, Any], number: int, name: str) -> JsonObject:
    is_ok = own["status"] == Status.OK
    response = {"status_code": 200, "request_id": own["request_id"], "body": _completion(own)} if is_ok else None
    error = None if is_ok else {"code": own["error_kind"], "message": own["error"]}
    return {"id": f"batch_req_{number:012d}", CUSTOM_ID: name, "response": response, "error": error}


def _completion(own: Mapping[str, Any]) -> JsonObject:
    created: datetime | None = own["answered_at"]
    tokens = {key: own[key] for key in ("prompt_tokens", "completion_tokens")}
    known = [count for count in tokens.values() if count is not None]
    return {
        "id": own["request_id"],
        "object": OBJECT,
        "created": None if created is None else int(created.timestamp()),
        "model": own["model"],
        "choices": [{"index": 0, "message": _message(own), "finish_reason": own["finish_reason"]}],
        "usage": {**tokens, "total_tokens": sum(known)} if known else None,
    }


def _message(own: Mapping[str, Any]) -> JsonObject:
    """The message as the model wrote it. A row of a pack gets only its own answer."""
    answer, response = own["answer"], own["response"]
    if (own["pack_size"] or 1) > 1:
        return {"role": "assistant", "content": _text(whole_numbers(answer))}
    if response and own["finish_reason"] != "tool_calls":
        return {"role": "assistant", "content": response}
    return {"role": "assistant", "content": response or None, "tool_calls": _tool_calls(answer)}


def _text(answer: Json) -> str | None:
    return answer if answer is None or isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def _tool_calls(answer: str | None) -> list[JsonObject]:
    """The calls in OpenAI's shape, in which `arguments` is JSON text."""
    calls = json.loads(answer or "[]")
    return [
        {"id": f"call_{place}", "type": "function", "function": {**call, "arguments": _text(call["arguments"])}}
        for place, call in enumerate(calls)
    ]
