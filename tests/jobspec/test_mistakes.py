"""Mistakes in a job file: each is reported with its line, its key and a sentence."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchfree.core.errors import Mistake, SpecError
from batchfree.jobspec import load_spec

KEY = "sk-or-v1-0123456789abcdef0123456789abcdef"
BOMB = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 8)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
X = "input: x.jsonl\n"

# text of the job, line, key, a part of the sentence
BROKEN = [
    # YAML itself
    ("", None, None, "empty"),
    ("# only a comment\n", None, None, "empty"),
    ("- input: x\n", 1, None, "a mapping of keys"),
    ("input\n", 1, None, "a mapping of keys"),
    ("input: x\nlimits:\n\tconcurrency: 4\n", 3, None, "a tab stands here"),
    ("input:\tx\n", 1, None, "a tab stands here"),
    ("input: x\ninput: y\n", 2, "input", "stands twice; first on line 1"),
    (X + "limits: {reserve: 1, reserve: 2}\n", 2, "limits.reserve", "stands twice"),
    ('input: !!python/object/apply:os.system ["ls"]\n', 1, "input", "tag `!!python/object/apply:os.system`"),
    (X + "system: !mine x\n", 2, "system", "tag `!mine`"),
    (BOMB, None, None, "aliases that multiply"),
    ("input: &a [*a]\n", 1, None, "an alias that contains itself"),
    ("input: " + "[" * 100 + "]" * 100, 1, None, "nested too deeply"),
    (X + "---\ninput: y\n", 2, None, "a second YAML document"),
    (X + "prompt: {{ text }}\n", 2, "prompt", "in quotes"),
    (X + "prompt: {{ text }} and more\n", 2, None, "in quotes"),
    (X + 'prompt: "open\npack: 1\n', 2, None, "never closed"),
    (X + "prompt: Say: hello\n", 2, None, "put a value that contains `: ` in quotes"),
    (X + "prompt: @text\n", 2, None, "in quotes"),
    (X + 'prompt: "C:\\users"\n', 2, None, "single quotes"),
    (X + "limits:\n   reserve: 4\n  concurrency: 3\n", 4, None, "indentation"),
    (X + "prompt: a\x00b\n", 2, None, "U+0000"),
    (X + 'prompt: "\\ud800"\n', 2, "prompt", "half a character"),
    (X + "retry: {timeout: .inf}\n", 2, "retry.timeout", "no finite number"),
    (X + f"router: {{seed: {'9' * 5000}}}\n", 2, "router.seed", "can't be read as int"),
    # keys
    ("output: x.csv\n", 1, "input", "a job needs an input"),
    ("input:\n", 1, "input", "a job needs an input"),
    ("input: {format: csv}\n", 1, "input.path", "needs a path"),
    (X + "limitz: {}\n", 2, "limitz", "did you mean `limits`?"),
    (X + "limits:\n  reserve: 1\n  concurency: 3\n", 4, "limits.concurency", "did you mean `limits.concurrency`?"),
    (X + "evaluate: {exspected: a}\n", 2, "evaluate.exspected", "did you mean `evaluate.expected`?"),
    (X + "pilot: {rovs: 3}\n", 2, "pilot.rovs", "did you mean `pilot.rows`?"),
    (X + "concurrency: 3\n", 2, "concurrency", "did you mean `limits.concurrency`?"),
    (X + "temperature: 0\n", 2, "temperature", "did you mean `request.temperature`?"),
    (X + "model: a/b\n", 2, "model", "did you mean `router.route`?"),
    (X + "file: x\n", 2, "file", "no such key"),
    # types, ranges, choices
    ("input: 5\n", 1, "input.path", "expected a list or text, got 5"),
    ("input: [a, 5]\n", 1, "input.path[1]", "expected text, got 5; put it in quotes"),
    ("input: []\n", 1, "input.path", "a list of at least one"),
    ("input: {path: x, format: cvs}\n", 1, "input.format", "did you mean `csv`?"),
    (X + "limits: {concurrency: five}\n", 2, "limits.concurrency", "expected an integer, got 'five'"),
    (X + "limits: {concurrency: '4'}\n", 2, "limits.concurrency", "write it without quotes"),
    (X + "limits: {reserve: true}\n", 2, "limits.reserve", "got true (a boolean)"),
    (X + "limits: {concurrency: 0}\n", 2, "limits.concurrency", "at least 1, got 0"),
    (X + "limits: {on_quota: wiat}\n", 2, "limits.on_quota", "did you mean `wait`?"),
    (X + "limits: {requests_per_day: never}\n", 2, "limits.requests_per_day", "an integer or 'auto', got 'never'"),
    (X + "retry: {max_attempts: 2.0}\n", 2, "retry.max_attempts", "expected an integer, got 2.0"),
    (X + "retry: {timeout: 0}\n", 2, "retry.timeout", "more than 0, got 0"),
    (X + "retry: {timeout: null}\n", 2, "retry.timeout", "leave the key out"),
    (X + "router: {fallbacks: 3}\n", 2, "router.fallbacks", "at most 2, got 3"),
    (X + "router: {only: nvidia/*}\n", 2, "router.only", "expected a list"),
    (X + "answer: {repair: 'yes'}\n", 2, "answer.repair", "true or false"),
    (X + "pack: atuo\n", 2, "pack", "did you mean `auto`?"),
    (X + "limits: 4\n", 2, "limits", "expected a mapping, got 4"),
    (X + "prompt: ' '\n", 2, "prompt", "must not be blank"),
    (X + "endpoint: {api_key_env: my key}\n", 2, "endpoint.api_key_env", "name of an environment variable"),
    # answers
    (X + "answer:\n  labels:\n  - yes\n  - maybe\n", 4, "answer.labels[0]", 'put it in quotes: "yes"'),
    (X + "answer: {labels: [1, 2]}\n", 2, "answer.labels[1]", "reads the label 2 as a number"),
    (X + "answer: {labels: [a, 2024-01-01]}\n", 2, "answer.labels[1]", "as a date"),
    (X + "answer: {labels: [a, null]}\n", 2, "answer.labels[1]", "as nothing"),
    (X + "answer: {labels: [one]}\n", 2, "answer.labels", "at least 2"),
    (X + "answer: {labels: [Good, ' good']}\n", 2, "answer.labels[1]", "equals `Good`"),
    (X + "answer: {labels: [a, b], schema: {type: object}}\n", 2, "answer.schema", "contradict each other"),
    (X + "answer: {schema: true}\n", 2, "answer.schema", "expected a JSON Schema"),
    (X + "answer: {schema: {type: objekt}}\n", 2, "answer.schema.type", "did you mean `object`?"),
    (X + "answer: {schema: {required: a}}\n", 2, "answer.schema.required", "not valid JSON Schema"),
    (X + "answer: {schema: {$ref: 'http://a/b'}}\n", 2, "answer.schema.$ref", "within the schema"),
    (X + "answer: {schema: {$ref: '#/$defs/a'}}\n", 2, "answer.schema.$ref", "leads to nothing"),
    (X + "answer: {schema: {anyOf: [{$ref: '#'}]}}\n", 2, "answer.schema", "in a circle"),
    (X + "answer: {schema: {pattern: '['}}\n", 2, "answer.schema", "no valid regular expression"),
    (X + "answer: {schema: none.json}\n", 2, "answer.schema", "there is no such file"),
    # messages
    (X + "prompt: a\nmessages: [{role: user, content: b}]\n", 3, "messages", "contradict each other"),
    (X + "system: a\nmessages: [{role: system, content: b}]\n", 2, "system", "both system messages"),
    (X + "messages: []\n", 2, "messages", "at least one message"),
    (X + "messages: [{content: a}]\n", 2, "messages[0].role", "a message needs a `role`: system, developer, user"),
    (X + "messages: [{role: user, content: 5}]\n", 2, "messages[0].content", "expected text or a list of parts"),
    (X + "messages: [{role: user, content: []}]\n", 2, "messages[0].content", "at least one part"),
    (X + "messages: [{role: user, content: [5]}]\n", 2, "messages[0].content[0]", "a part is a mapping such as"),
    (
        X + "messages: [{role: user, content: [{type: text, txt: a}]}]\n",
        2,
        "messages[0].content[0].txt",
        "content[0].text`?",
    ),
    (X + "messages: [{role: user, content: [{type: file}]}]\n", 2, "messages[0].content[0].file", "required"),
    (X + "messages: [{role: user, content: [{type: file, file: ' '}]}]\n", 2, "messages[0].content[0].file", "blank"),
    (X + "messages: [{role: user, content: [{type: image_url}]}]\n", 2, "messages[0].content[0]", "key `image_url`"),
    (
        X + "messages: [{role: user, content: [{type: image, image: a, column: b}]}]\n",
        2,
        "messages[0].content[0]",
        "not from both",
    ),
    (X + "messages: [hello]\n", 2, "messages[0]", "expected a mapping"),
    (X + "messages:\n- {role: usr, content: a}\n", 3, "messages[0].role", "did you mean `user`?"),
    (X + "messages:\n- {role: user}\n", 3, "messages[0].content", "needs a `content`"),
    (X + "messages:\n- {role: user, contnt: a}\n", 3, "messages[0].contnt", "did you mean `messages[0].content`?"),
    (X + "messages:\n- role: user\n  content:\n  - {type: imag, image: a}\n", 5, "messages[0].content[0]", "`image`?"),
    (X + "messages: [{role: user, content: [{type: image}]}]\n", 2, "messages[0].content[0]", "column: NAME"),
    # requests
    (X + "request: {model: a/b}\n", 2, "request.model", "router.route"),
    (X + "request:\n  stream: true\n", 3, "request.stream", "never as a stream"),
    (X + "request: {n: 2}\n", 2, "request.n", "one answer"),
    (X + "request: {temperature: hot}\n", 2, "request.temperature", "expected a number, got 'hot'"),
    (X + "request: {temperature: 3}\n", 2, "request.temperature", "must be at most 2, got 3"),
    (X + "request: {max_tokens: true}\n", 2, "request.max_tokens", "expected an integer, got true"),
    (X + "request: {stop: [a, b, c, d, e]}\n", 2, "request.stop", "at most four texts"),
    (X + "request: {tool_choice: 5}\n", 2, "request.tool_choice", "expected text or a mapping, got 5"),
    (X + "request: {tools: [{type: function}]}\n", 2, "request.tools[0].function", "required"),
    (X + "request: {modalities: [audio]}\n", 2, "request.modalities", "read as text"),
    (X + "request: {top_p: '${SECRET}'}\n", 2, "request.top_p", "expected a number, got the value of ${SECRET}"),
    (X + "request: {temprature: 1}\n", 2, "request.temprature", "did you mean `request.temperature`?"),
    (X + "request: {web_search_options: {}}\n", 2, "request.web_search_options", "costs money"),
    (X + "request: {plugins: [{id: web}]}\n", 2, "request.plugins[0]", "free of charge"),
    (X + "request: {plugins: [{id: file-parser}]}\n", 2, "request.plugins[0]", "cloudflare-ai"),
    (X + "request: {tools: [{type: 'openrouter:web_search'}]}\n", 2, "request.tools[0].type", "cost money"),
    (X + "request: {response_format: {}}\nanswer: {labels: [a, b]}\n", 2, "request.response_format", "answer.labels"),
    (X + "pack: 5\n", 2, "pack", "`answer.labels` or `answer.schema`"),
    # routes and places
    (X + "router: {route: a/b}\n", 2, "router.route", "no free route"),
    (X + "router: {route: openrouter/auto}\n", 2, "router.route", "no free route"),
    (X + "router: {route: 'a/b:free:online'}\n", 2, "router.route", "paid web search"),
    (X + "router: {route: [local, 'a/b:free']}\n", 2, "router.route", "can't stand in a list"),
    (X + "router: {route: ['a/b:free', 'a/b:free']}\n", 2, "router.route", "twice"),
    (X + "router: {route: []}\n", 2, "router.route", "asks no model"),
    (X + "router: {route: '_x/y:free'}\n", 2, "router.route", "no free route: on OpenRouter only"),
    (X + "router: {route: '~x/y:free'}\n", 2, "router.route", "no free route"),
    (X + "router: {route: 'x/y:online:free'}\n", 2, "router.route", "paid web search"),
    (X + "router: {route: m}\nendpoint: https://EU.OpenRouter.ai.:443/api/v1\n", 2, "router.route", "no free route"),
    (X + "endpoint: {llama: gone.gguf}\n", 2, "endpoint.llama", "there is no file"),
    (X + "endpoint: {llama: job.yaml, base_url: https://host/v1}\n", 2, "endpoint.llama", "say two things"),
    (X + "endpoint: {threads: 2}\n", 2, "endpoint.threads", "base_url: llama"),
    (X + "endpoint: localhost\n", 2, "endpoint.base_url", "http:// or https://"),
    (X + "endpoint: https://me:pw@host/v1\n", 2, "endpoint.base_url", "user name or a password"),
    (X + "endpoint: http://openrouter.ai/api/v1\n", 2, "endpoint.base_url", "write https://: over http://"),
    (X + "endpoint: https://openrouter。ai/api/v1\n", 2, "endpoint.base_url", "ASCII"),
    (X + "router: {seed: 0x" + "f" * 5_000 + "}\n", 2, "router.seed", "this number is too large"),
    (X + "name: a/b\n", 2, "name", "no slashes"),
    (X + "output: x.xlsx\n", 2, "output.path", ".parquet"),
    ("input: '*.jsonl'\noutput: x.jsonl\n", 2, "output.path", "over the input"),
    (X + "limits: {requests_per_day: 5, reserve: 5}\n", 2, "limits.reserve", "none could be sent"),
    ("input: 'a/*/*.jsonl'\noutput: a/b/x.jsonl\n", 2, "output.path", "over the input"),
    # variables, and what is not built yet
    (X + "name: ${OPENROUTER_API_KEY}\n", 2, "name", "holds the API key"),
    (X + "endpoint: {api_key_env: MINE}\nsystem: a\nname: 'x-${MINE:-y}'\n", 4, "name", "holds the API key"),
    (X + "name: ${NOPE}\n", 2, "name", "NOPE is not set"),
    (X + "name: ${no-pe}\n", 2, "name", "a literal ${ is written $${"),
    (X + "limits:\n  reserve: ${SECRET}\n", 3, "limits.reserve", "got the value of ${SECRET}"),
    (X + "votes: true\n", 2, "votes", "true"),
    (X + "votes: 0\n", 2, "votes", "at least 1"),
    (X + "votes: {min: 3, max: 2}\n", 2, "votes.max", "raise max or lower min"),
    (X + "votes: {min: 1, max: 2, agree: 3}\n", 2, "votes.agree", "lower agree"),
    (X + "votes: {min: 2, budget: 1.5}\n", 2, "votes.budget", "raise the budget"),
    (X + "votes: {most: 2}\n", 2, "votes.most", "no such key"),
    (X + "router: {route: openrouter/free}\nvotes: 3\n", 2, "router.route", "`votes` needs draws that are made here"),
    (X + "router: {route: openrouter/free}\npilot: {rows: 9}\n", 2, "router.route", "`pilot` needs draws"),
    (X + "router: {route: [a/b:free, c/d:free]}\nvotes: 3\n", 3, "votes.min", "`router.route` names 2"),
    (X + "pilot: {keep: 0}\n", 2, "pilot.keep", "more than 0"),
    (X + "consensus: mean\n", 2, "consensus", "dawid-skene"),
    (X + "evaluate: {metric: exact}\n", 2, "evaluate.expected", "required"),
    (X + "evaluate: {expected: a, metric: fuzzy}\n", 2, "evaluate.metric", "numeric"),
]


def mistakes_in(file: Path, content: str | bytes, **environment: str) -> tuple[Mistake, ...]:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SpecError) as caught:
        load_spec(file, environment={"SECRET": "hunter2", **environment})
    return caught.value.mistakes


@pytest.mark.parametrize(("text", "line", "key", "fragment"), BROKEN)
def test_a_broken_job_gets_a_sentence_with_line_and_key(tmp_path, text, line, key, fragment):
    mistakes = mistakes_in(tmp_path / "job.yaml", text)
    found = [mistake for mistake in mistakes if mistake.key == key and fragment in mistake.message]
    assert found, mistakes
    assert line is None or found[0].line == line
    for mistake in mistakes:
        assert mistake.file == str(tmp_path / "job.yaml")
        assert not any(word in mistake.message for word in ("pydantic", "Input should", "hunter2"))


def test_every_mistake_is_said_at_once_in_the_order_of_lines(tmp_path):
    text = "inputs: x\nlimits:\n  concurrency: five\n  reserv: 2\nrouter: {route: a/b}\nvotes: none\n"
    text += "output: x.txt\nname: ${NO}\n"
    mistakes = mistakes_in(tmp_path / "job.yaml", text)
    found = [(mistake.line, mistake.key) for mistake in mistakes]
    expected = [
        (1, "input"),
        (1, "inputs"),
        (3, "limits.concurrency"),
        (4, "limits.reserv"),
        (5, "router.route"),
        (6, "votes"),
        (7, "output.path"),
        (8, "name"),
    ]
    assert sorted(found) == expected
    assert [line for line, _ in found] == [line for line, _ in expected]


@pytest.mark.parametrize(
    "text",
    [
        f"endpoint: {{api_key: {KEY}}}",
        f"endpoint: {{api_key_env: {KEY}}}",
        f"prompt: use {KEY}",
        f"input: [{KEY}]",
        f"request: {{authorization: Bearer {KEY}}}",
        f"{KEY}: 1",
        f"limits: {{{KEY}: 1}}",
        f"pack: {KEY}",
        f"messages: [{{role: {KEY}, content: a}}]",
        f"prompt: *{KEY}",
        f"prompt: !{KEY} x",
        "name: ${THE_KEY}",
        f"answer: {{labels: [{KEY}, b]}}",
    ],
)
def test_a_key_in_the_job_is_refused_and_never_repeated(tmp_path, text):
    mistakes = mistakes_in(tmp_path / "job.yaml", f"{X}{text}\n" if "input" not in text else text, THE_KEY=KEY)
    assert "0123456789" not in str(SpecError(mistakes))


@pytest.mark.parametrize(
    ("content", "line", "fragment"),
    [
        (b"input: x\nprompt: caf\xe9\n", 2, "UTF-8"),
        ("input: x\n".encode("utf-16"), 1, "UTF-8"),
        (b"# " + b"x" * 1_000_001, None, "too large"),
    ],
)
def test_a_file_that_is_no_job_text_is_named(tmp_path, content, line, fragment):
    (mistake,) = mistakes_in(tmp_path / "job.yaml", content)
    assert (mistake.line, fragment in mistake.message) == (line, True)


def test_bytes_that_are_not_utf8_are_a_mistake_like_any_other(tmp_path):
    (mistake,) = mistakes_in(tmp_path / "job.yaml", "input: ${DATA}/x.jsonl\n", DATA="\udcff")
    assert (mistake.line, mistake.key, "not UTF-8" in mistake.message) == (1, "input.path", True)
    (tmp_path / "job.yaml").write_text(X)
    with pytest.raises(SpecError, match=r"--output: output\.path: .* not UTF-8"):
        load_spec(tmp_path / "job.yaml", environment={}, output=Path("\udcff.csv"))
    folder = tmp_path / "\udcff"
    folder.mkdir()
    with pytest.raises(SpecError, match="must be UTF-8"):
        load_spec(folder / "job.yaml", environment={})


def test_a_file_that_can_not_be_read_is_named(tmp_path):
    for path, fragment in ((tmp_path / "none.yaml", "no such file"), (tmp_path, "a folder")):
        with pytest.raises(SpecError, match=fragment):
            load_spec(path, environment={})


@pytest.mark.parametrize(
    ("name", "content", "file", "line", "fragment"),
    [
        ("s.json", '{"type": "object"\n}}', "s.json", 2, "not valid JSON"),
        ("s.yaml", "type: object\ntype: array\n", "s.yaml", 2, "twice"),
        ("s.json", "[1]", "job.yaml", 2, "holds a list"),
        ("s.json", '{"properties": {"a": {"type": "strng"}}}', "job.yaml", 2, "at properties.a.type: 'strng'"),
        ("s.json", "[" * 100_000, "s.json", None, "nested too deeply"),
    ],
)
def test_a_mistake_in_a_schema_file_is_found(tmp_path, name, content, file, line, fragment):
    (tmp_path / name).write_text(content)
    (mistake,) = mistakes_in(tmp_path / "job.yaml", f"{X}answer: {{schema: {name}}}\n")
    assert (mistake.file, mistake.line) == (str(tmp_path / file), line)
    assert fragment in mistake.message


@settings(max_examples=150)
@given(st.text(alphabet="{}[]:,&*!|>'\"%@`#-?\n $abx01\t\x00\ud7ff", max_size=40))
def test_no_text_brings_anything_but_a_spec_error(tmp_path_factory, text):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(f"{X}limits: {text}\n", encoding="utf-8", newline="")
    with suppress(SpecError):
        load_spec(file, overrides=[f"request={text}"], environment={})
