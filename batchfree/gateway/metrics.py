"""`GET /metrics`: the numbers of `/status` in Prometheus' text format.

Source: Prometheus docs, "Exposition formats", text-based format 0.0.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from batchfree.core.chat import JsonObject

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[Mapping[str, str], float | None]
"""Labels and a value; a sample without a value is left out."""


def metrics(status: JsonObject) -> str:
    """The text for a value of `/status`."""
    return "".join(f"{line}\n" for line in _lines(status))


def _lines(status: JsonObject) -> Iterator[str]:
    quota, queue, batches = status["quota"], status["queue"], status["batches"]
    calls = [({"status": name}, float(count)) for name, count in status["calls"].items()]
    requests = [({"model": each["model"], "result": each["result"]}, each["count"]) for each in status["requests"]]
    yield from _family("calls_total", "counter", "Chat calls by HTTP status; left: the client has gone.", calls)
    yield from _family("call_seconds_total", "counter", "Seconds of all chat calls.", [({}, status["call_seconds"])])
    yield from _family("requests_total", "counter", "Requests of chat calls by model and result.", requests)
    yield from _family("queue_waiting", "gauge", "Chat calls that wait for a start.", [({}, queue["waiting"])])
    yield from _family("in_flight", "gauge", "Requests of chat calls in flight.", [({}, queue["in_flight"])])
    for name in ("day", "minute"):
        part = quota[name]
        yield from _family(f"{name}_limit", "gauge", f"Requests of the {name}.", [({}, part["limit"])])
        yield from _family(f"{name}_left", "gauge", f"Requests left of the {name}.", [({}, part["left"])])
        yield from _family(f"{name}_used", "gauge", f"Requests used of the {name}.", [({}, part["used"])])
        reset = datetime.fromisoformat(part["resets_at"]).timestamp()
        yield from _family(f"{name}_reset_seconds", "gauge", f"End of the {name}, in epoch seconds.", [({}, reset)])
    ready = [({"model": each["id"]}, float(each["state"] == "ready")) for each in status["models"]]
    yield from _family("model_ready", "gauge", "Whether the model may be asked: 1 or 0.", ready)
    lines = [
        ({"batch": each["id"], "result": result}, each[key])
        for each in batches
        for result, key in (("completed", "completed"), ("failed", "failed"), ("total", "total"))
    ]
    yield from _family("batch_lines", "gauge", "Lines of a batch.", lines)


def _family(name: str, kind: str, says: str, samples: Iterable[Sample]) -> Iterator[str]:
    known = [(labels, value) for labels, value in samples if value is not None]
    if not known:
        return
    yield f"# HELP batchfree_{name} {says}"
    yield f"# TYPE batchfree_{name} {kind}"
    for labels, value in known:
        shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"batchfree_{name}{f'{{{shown}}}' if shown else ''} {float(value):.16g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
