"""Whatever stands in a job file, it is a job or a mistake, and never a bug.

By hand: FUZZ_CASES=10000 python -m pytest -n 0 -o faulthandler_timeout=0 tests/promises/test_fuzzed_specs.py
"""

from __future__ import annotations

import json
import random
from typing import Any

import yaml
from support.command_line import JobHere
from support.damage import cases, damaged, in_time

SPEC: dict[str, Any] = {
    "name": "job",
    "run_dir": "job.run",
    "input": {"path": "rows.jsonl", "format": "auto", "id": "id", "where": "lang = 'en'", "files": ["other"]},
    "messages": [
        {"role": "system", "content": "Say {{ lang }}."},
        {"role": "user", "content": [{"type": "text", "text": "{% for c in prompt %}{{ c }}{% endfor %}"}]},
    ],
    "answer": {
        "schema": {
            "type": "object",
            "properties": {"a": {"type": "string", "pattern": "^x+$"}, "b": {"$ref": "#/$defs/b"}},
            "$defs": {"b": {"anyOf": [{"enum": [1, "x"]}, {"type": "array", "items": {"$ref": "#/$defs/b"}}]}},
            "required": ["a"],
        },
        "mode": "auto",
        "repair": True,
        "reask": 1,
    },
    "request": {"temperature": 0.5, "max_tokens": 50, "stop": ["x"], "seed": 3, "reasoning": {"effort": "low"}},
    "router": {"route": ["a/b:free"], "only": ["*"], "exclude": ["x*"], "min_context": 5, "seed": 1, "fallbacks": 1},
    "pack": 3,
    "votes": {"min": 1, "max": 3, "agree": 2, "budget": 2.0},
    "limits": {"requests_per_minute": 5, "requests_per_day": 50, "reserve": 1, "concurrency": 2, "on_quota": "stop"},
    "retry": {"max_attempts": 2, "timeout": 5, "max_wait": 1},
    "output": {"path": "out.parquet", "prefix": "bf_"},
    "endpoint": {"base_url": "embedded", "api_key_env": "KEY", "account": "me"},
}
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**31,
        2**63 - 1,
        -(2**63),
        0.5,
        1e308,
        "",
        " ",
        "x",
        "null",
        "-",
        "~",
        "~/x",
        "é\u202e",
    ),
    *([], {}, [[]], {"a": 1}, [None], [1, "a", {}], {"": ""}, "{{ prompt }}", "{{ missing }}", "{{", "{% for %}"),
    *("{{ 'a' | center(10**9) }}", "{{ 9**9**9 }}", "(select 1)", "a = 'b", "rows.jsonl", "job.yaml", "/dev/null", "."),
    *("openrouter/free", "local", "a/b:free", "x/y", "http://[", "http://127.0.0.1:1/v1", "${HOME}", "${", "$${x}"),
    *("^(a+)+$", "(?=x)", "[", "\\", {"$ref": "#"}, {"$ref": "#/x"}, {"type": "strange"}, {"items": {"items": {}}}),
    *(
        "é\u202e",
        "\x7f",
        "a\nb",
        "../x.csv",
        "out.csv",
        "out.openai.jsonl",
        "sk-or-v1-0123456789abcdef",
        "x" * 5000,
        "1" * 5000,
    ),
)


def walk(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a value, as its container and its key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in ((value, key), *walk(value[key]))]


def mutated(rng: random.Random) -> bytes:
    """A job file in which some values are strange, some are missing, or the text is damaged."""
    spec = json.loads(json.dumps(SPEC))
    for key in ("messages", "answer", "votes", "pack", "router", "request"):
        if rng.random() < 0.3:
            del spec[key]
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        container, key = rng.choice(walk(spec))
        if rng.random() < 0.2:
            del container[key]
        else:
            container[key] = rng.choice(VALUES)
    text = yaml.safe_dump(spec, sort_keys=False, allow_unicode=rng.random() < 0.5).encode()
    return damaged(rng, text, most=2) if rng.random() < 0.5 else text


def test_every_job_file_is_a_job_or_a_mistake(job: JobHere) -> None:
    valid = 0
    for number, rng in cases(60):
        text = mutated(rng)
        job.file.write_bytes(text)
        with in_time(f"spec {number}"):
            checked = job("validate", "--json")
        assert checked.code in (0, 2), (number, checked.err)
        assert checked.json["ok"] is (checked.code == 0), number
        with in_time(f"preview of spec {number}"):
            shown = job("preview", "-n", "2")
        assert shown.code in (0, 2), (number, shown.err)
        if checked.code == 0:
            valid += 1
            assert shown.code == 0, (number, shown.err)
            if valid % 5 == 0:
                kept = ("-o", job.path / f"table-{number}.jsonl", "--set", f"run_dir=run-{number}")
                with in_time(f"run of spec {number}"):
                    ended = job("run", "-q", "--endpoint", "embedded", "--until", "2s", *kept)
                assert ended.code in (0, 1, 2, 3, 75), (number, ended.err)
    assert valid, "some job files are still right"
