"""Rows become requests: templates, nulls, message parts, and the messages about templates that can't work."""

from __future__ import annotations

import base64
import datetime as dt
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from batchfree.core.chat import ChatRequest, Failure, Kind
from batchfree.core.errors import SpecError
from batchfree.data.prompts import Prompts, compile_prompts
from batchfree.jobspec import JobSpec, load_spec

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
SAMPLES = {
    "a.png": PNG,
    "photo": b"\xff\xd8\xff\xe0" + bytes(20),
    "a.webp": b"RIFF\0\0\0\0WEBPVP8 ",
    "a.gif": b"GIF89a" + bytes(9),
    "a.pdf": b"%PDF-1.7\n",
    "a.wav": b"RIFF\0\0\0\0WAVEfmt ",
    "a.mp3": b"\xff\xfb\x90\x00" + bytes(9),
    "b.mp3": b"ID3\x04" + bytes(9),
    "notes.txt": b"hello",
    "mystery.bin2": b"????",
    "empty.png": b"",
}


def job(folder: Path, **keys: object) -> JobSpec:
    path = folder / "job.yaml"
    path.write_text(json.dumps({"input": "rows.jsonl", **keys}), encoding="utf-8")
    return load_spec(path, environment={})


def prompts_of(folder: Path, row: dict, **keys: object) -> Prompts:
    return compile_prompts(job(folder, **keys), pl.DataFrame([row], infer_schema_length=None).schema)


def request_of(folder: Path, row: dict, **keys: object) -> ChatRequest | Failure:
    return prompts_of(folder, row, **keys).render(row)


def text(folder: Path, template: str, row: dict) -> str:
    """The rendered prompt, or "!" and the reason why there is none."""
    answer = request_of(folder, row, prompt=template)
    return f"!{answer.message}" if isinstance(answer, Failure) else answer.messages[0]["content"]


def mistakes(folder: Path, row: dict, **keys: object) -> list[str]:
    with pytest.raises(SpecError) as caught:
        prompts_of(folder, row, **keys)
    return [f"{mistake.key}: {mistake.message}" for mistake in caught.value.mistakes]


ROW = {"title": "Tea", "n": 3, "none": None, "meta": {"lang": None, "items": 7, "city": "Ulm"}, "xs": ["a", None, "b"]}

RENDERED = [
    ("{{ title }} {{ n }}", "Tea 3"),
    ("{{ row.title }}/{{ row['none'] or 'x' }}", "Tea/x"),
    ("{{ meta.city }} {{ meta.items }} {{ meta['city'] }}", "Ulm 7 Ulm"),
    ("{{ row['none'] | default('-') }}", "-"),
    ("{{ gone }}", "!the column `gone` is null"),
    ("x{{ gone ~ '!' }}", "!the column `gone` is null"),
    ("{% for x in gone %}{{ x }}{% endfor %}", "!the column `gone` is null"),
    ("{{ gone | length }}", "!the column `gone` is null"),
    ("{{ gone.deep }}", "!the column `gone` is null"),
    ("{{ 'x' in gone }}", "!the column `gone` is null"),
    ("{{ [gone] }}", "!the column `gone` is null"),
    ("{{ gone or 'no' }}{% if gone %}x{% endif %}", "no"),
    ("{{ gone | default('no') }}", "no"),
    ("{{ 'y' if gone is none else 'n' }}{{ gone is defined }}{{ gone == none }}{{ gone == 'x' }}", "yFalseTrueFalse"),
    ("{{ gone | tojson }} {{ meta | tojson }}", 'null {"lang": null, "items": 7, "city": "Ulm"}'),
    ("{{ row.gone | d('z') }}", "z"),
    ("{{ meta.lang }}", "!`lang` is null"),
    ("{{ meta.lang or 'de' }}", "de"),
    ("{{ meta.nope }}", "!'dict object' has no attribute 'nope'"),
    ("{{ meta.nope | default('ok') }}", "ok"),
    ("{% for x in xs %}{{ x }}{% endfor %}", "!the template prints a null"),
    ("{% for x in xs if x %}{{ x }}{% endfor %}", "ab"),
    ("{{ title | tojson }}<>&'\"", '"Tea"<>&\'"'),
    ("{{ title.upper }}", "!the template prints a function, not what it returns: upper()"),
    ("{{ xs | select | map('upper') }}", "!the template prints an iterator; end the filters with `| list`"),
    ("{{ xs | select | map('upper') | join(',') }}", "A,B"),
    ("{% set y = 2 %}{{ y + n }}{% for i in range(2) %}{{ loop.index }}{% endfor %}", "512"),
    ("{{ maybe is defined }}{{ other | default('-') }}", "False-"),
    ("{{ 1 / 0 }}", "!ZeroDivisionError: division by zero"),
    ("{{ title + n }}", "!TypeError"),
    ("{{ title * 100000000 }}", "!a text or a list would be longer than 20,000,000"),
    ("{{ 9 ** 99999 }}", "!the power is too large"),
    ("{{ range(999999999) | list }}", "!OverflowError"),
    ("{% for i in range(30000) %}{{ title * 1000 }}{% endfor %}", "!a text or a list would be longer than 20,000,000"),
    ("{{ title.__class__.__mro__ }}", "!access to attribute '__class__' of 'str' object is unsafe."),
    ("{{ xs.append('c') }}", "!access to attribute 'append'"),
    ("  \n ", "!the prompt is empty"),
    ("{{ gone or '' }}", "!the prompt is empty"),
    ("line\n", "line"),
    ("a{{ '\\ud800' }}b", "a\ufffdb"),
]


@pytest.mark.parametrize(("template", "expected"), RENDERED)
def test_a_template_renders_or_the_failure_names_the_null(tmp_path, template, expected):
    if not template.strip():
        template = "{{ '' }}" + template
    found = text(tmp_path, template, {**ROW, "gone": None})
    assert found.startswith(expected) if expected.startswith("!") else found == expected


def test_a_column_named_like_a_global_or_filter_wins(tmp_path):
    row = {"range": "r", "dict": "d", "row": "w", "upper": "u", "loop": "l"}
    assert text(tmp_path, "{{ range }}{{ dict }}{{ row }}{{ upper | upper }}{{ loop }}", row) == "rdwUl"


def test_columns_with_odd_names_are_reached_through_row(tmp_path):
    assert text(tmp_path, "{{ row['odd name'] }}{{ row['größe'] }}", {"odd name": 1, "größe": 2}) == "12"


def test_values_of_every_type_are_printed_in_their_usual_form(tmp_path):
    row = {"d": dt.date(2024, 1, 2), "f": 1.5, "b": True, "i": 2**60 + 1, "t": "ä😀\0"}
    assert text(tmp_path, "{{ d }} {{ f }} {{ b }} {{ i }} {{ t }}", row) == f"2024-01-02 1.5 True {2**60 + 1} ä😀\0"


WRONG = [
    ({"prompt": "{{ titel }}"}, "prompt: no row has a column `titel`; did you mean `title`?"),
    ({"prompt": "{{ row.titel }}"}, "prompt: no row has a column `titel`; did you mean `title`?"),
    ({"prompt": "{{ row['zzz'] }}"}, "prompt: no row has a column `zzz`; there are title, n"),
    ({"prompt": "{{ zzz or '' }}"}, "prompt: no row has a column `zzz`"),
    ({}, "prompt: no row has a column `prompt`"),
    ({"prompt": "a\n{{ title }"}, "prompt: line 2 of the template: unexpected '}'"),
    ({"prompt": "{% if title %}"}, "prompt: Unexpected end of template"),
    ({"prompt": "{{ title | uper }}"}, "prompt: No filter named 'uper'."),
    ({"prompt": "{% include 'x' %}"}, "prompt: line 1 of the template: a prompt can't include other files"),
    ({"prompt": "x", "system": "{{ sys }}"}, "system: no row has a column `sys`"),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "{{ txt }}"}]}]},
        "messages[0].content[0].text: no row has a column `txt`",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image", "column": "title"}]}]},
        "messages[0].content[0].column: the column `title` holds String, not bytes",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image", "column": "picture"}]}]},
        "messages[0].content[0].column: no row has a column `picture`",
    ),
]


@pytest.mark.parametrize(("keys", "message"), WRONG)
def test_templates_that_can_never_work_are_refused_with_their_key(tmp_path, keys, message):
    (mistake,) = mistakes(tmp_path, {"title": "x", "n": 1}, **keys)
    assert mistake.startswith(message)


def test_every_missing_column_of_a_template_is_named_at_once(tmp_path):
    prompt = "{{ titel }} {{ aa }}{{ row.bb }}{{ row['cc'] }}{{ dd | d('x') }}"
    found = mistakes(tmp_path, {"title": "x", "n": 1}, prompt=prompt, system="{{ ee }}")
    assert [each.partition("`")[2].partition("`")[0] for each in found] == ["ee", "aa", "bb", "cc", "titel"]
    assert found[-1] == "prompt: no row has a column `titel`; did you mean `title`?"


def test_a_column_that_stands_only_in_folder_names_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"`lang`; it stands only in names of folders \(lang=de\)"):
        compile_prompts(job(tmp_path, prompt="{{ lang }}"), pl.Schema({"t": pl.String}), ["/d/lang=de/x.parquet"])


def test_a_column_that_stands_inside_a_list_of_objects_is_named(tmp_path):
    (found,) = mistakes(tmp_path, {"data": [{"text": "a"}, {"text": "b"}]}, prompt="{{ text }}")
    assert "it stands inside the list `data`: each row must be a line of its own, as `jq -c '.data[]'`" in found


def test_requests_of_the_batch_api_without_their_format_are_named(tmp_path):
    row = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": "{}"}
    (found,) = mistakes(tmp_path, row)
    assert "look like requests of OpenAI's Batch API: set input.format: openai-batch" in found
    assert text(tmp_path, "{{ custom_id }}", row) == "a"


CHANGING = [
    ("{{ range(1000) | random }}", "the filter `random` is refused"),
    ("{{ xs | random }}", "the filter `random` is refused"),
    ("{{ xs | map('random') | join }}", "the filter `random` is refused"),
    ("{{ lipsum() }}", "`lipsum` is refused"),
    ("{{ lipsum(n=1) | upper }}", "`lipsum` is refused"),
    ("{{ now() }}", "`now` is refused"),
    ("{{ now().year }}", "`now` is refused"),
    ("{{ uuid4() }}", "`uuid4` is refused"),
    ("{% for x in xs | shuffle %}{{ x }}{% endfor %}", "No filter named 'shuffle'"),
    ("{{ d.now() }}", "`.now()` is refused"),
    ("{{ d.today().year }}", "`.today()` is refused"),
    ("{% if true %}{% set x = lipsum %}{{ x() }}{% endif %}", "`lipsum` is refused"),
]


@pytest.mark.parametrize(("template", "message"), CHANGING)
def test_what_gives_another_text_in_every_run_is_refused_by_name(tmp_path, template, message):
    (found,) = mistakes(tmp_path, {"xs": ["a", "b"], "d": dt.date(2024, 1, 2)}, prompt=template)
    assert found.startswith("prompt: ")
    assert message in found


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ (d | attr('today'))() }}", "is not safely callable"),
        ("{{ (at | attr('now'))() }}", "is not safely callable"),
        ("{{ (at | attr('utcnow'))() }}", "is not safely callable"),
        ("{% set f = 'random' %}{{ xs | map(f) | list }}", "the filter `random` is refused"),
        ("{{ cycler('a', 'b') }}", "differs in each run: <jinja2.utils.Cycler object"),
        ("{{ [joiner(',')] }}", "differs in each run: <jinja2.utils.Joiner object"),
        ("{{ t.upper ~ '' }}", "differs in each run: <built-in method upper"),
        ("{{ [t.upper] | string }}", "differs in each run"),
        ("{{ [xs | select] }}", "differs in each run: <generator object"),
        ("{{ '%s' | format(t.upper) }}", "differs in each run"),
        ("{{ [t.upper] | join }}", "differs in each run"),
        ("{% block b %}{% endblock %}{{ self.b }}", "prints a function, not what it returns: b()"),
        ("{% block b %}{% endblock %}{{ [self.b] }}", "differs in each run"),
    ],
)
def test_what_only_a_running_template_shows_fails_the_row(tmp_path, template, message):
    row = {"t": "x", "xs": ["a"], "d": dt.date(2024, 1, 2), "at": dt.datetime(2024, 1, 2)}
    assert message in text(tmp_path, template, row)


def test_a_row_may_speak_of_addresses_and_of_chance(tmp_path):
    row = {"t": "<X object at 0x7f00aa>", "random": "r", "now": "n", "lipsum": "l", "meta": {"today": "t"}}
    template = "{{ t }} {{ random }} {{ now }} {{ lipsum }} {{ meta.today }} <Y object at 0x7f00bb>"
    assert text(tmp_path, template, row) == "<X object at 0x7f00aa> r n l t <Y object at 0x7f00bb>"


def test_every_broken_template_is_named_with_its_line(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text("input: x.jsonl\nprompt: |\n  {{ a }}\nsystem: '{{ b }}'\n", encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        compile_prompts(load_spec(path, environment={}), pl.Schema({"c": pl.String}))
    assert [(each.key, each.line) for each in caught.value.mistakes] == [("system", 4), ("prompt", 2)]


def test_an_input_without_rows_refuses_no_template(tmp_path):
    compile_prompts(job(tmp_path, prompt="{{ anything }}"), pl.Schema())


def test_system_messages_and_parameters_come_along(tmp_path):
    request = request_of(tmp_path, {"prompt": "hi", "s": "be kind"}, system="{{ s }}", request={"temperature": 0})
    assert request.messages == ({"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"})
    assert request.parameters == {"temperature": 0}


@pytest.mark.parametrize(
    ("template", "columns"),
    [("{{ a }}{{ b or '' }}", {"a", "b"}), ("hi", set()), ("{{ row.a }}", {"a", "b", "c"})],
)
def test_prompts_know_which_columns_they_use(tmp_path, template, columns):
    assert prompts_of(tmp_path, {"a": 1, "b": 2, "c": 3}, prompt=template).columns == columns


def test_the_values_in_rows_are_never_templates(tmp_path):
    assert text(tmp_path, "{{ t }}", {"t": "{{ 7 * 7 }} {% raw %}"}) == "{{ 7 * 7 }} {% raw %}"


def parts_of(folder: Path, row: dict, *parts: dict) -> Any:
    answer = request_of(folder, row, messages=[{"role": "user", "content": list(parts)}])
    return answer.message if isinstance(answer, Failure) else answer.messages[0]["content"]


def sample_folder(folder: Path) -> Path:
    for name, content in SAMPLES.items():
        (folder / name).write_bytes(content)
    with (folder / "big.png").open("wb") as file:
        file.write(PNG)
        file.truncate(20_000_001)
    return folder


def url(kind: str, name: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(SAMPLES[name]).decode()}"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.png", "image/png"), ("photo", "image/jpeg"), ("a.webp", "image/webp"), ("a.gif", "image/gif")],
)
def test_local_images_become_data_urls_by_their_content(tmp_path, name, kind):
    (part,) = parts_of(sample_folder(tmp_path), {"p": name}, {"type": "image", "image": "{{ p }}"})
    assert part == {"type": "image_url", "image_url": {"url": url(kind, name)}}


def test_files_and_audio_become_openai_parts(tmp_path):
    row = {"p": "a"}
    found = parts_of(
        sample_folder(tmp_path),
        row,
        {"type": "file", "file": "{{ p }}.pdf"},
        {"type": "file", "file": "notes.txt"},
        {"type": "file", "file": "https://x.org/d/b.pdf?v=1"},
        *({"type": "audio", "audio": name} for name in ("a.wav", "a.mp3", "b.mp3")),
    )
    assert found[0] == {"type": "file", "file": {"filename": "a.pdf", "file_data": url("application/pdf", "a.pdf")}}
    assert found[1]["file"]["file_data"] == url("text/plain", "notes.txt")
    assert found[2] == {"type": "file", "file": {"filename": "b.pdf", "file_data": "https://x.org/d/b.pdf?v=1"}}
    assert [part["input_audio"]["format"] for part in found[3:]] == ["wav", "mp3", "mp3"]
    assert base64.b64decode(found[3]["input_audio"]["data"]) == SAMPLES["a.wav"]


def test_urls_and_openai_parts_stay_as_they_are_with_their_texts_rendered(tmp_path):
    own = {"type": "image_url", "image_url": {"url": "https://x.org/{{ p }}.png", "detail": "low"}}
    file = {"type": "file", "file": {"filename": "f", "file_data": "{{ p }}"}}
    found = parts_of(tmp_path, {"p": "cat"}, {"type": "image", "image": "https://x.org/{{ p }}"}, own, file)
    assert [part.get("image_url") for part in found[:2]] == [
        {"url": "https://x.org/cat"},
        {"url": "https://x.org/cat.png", "detail": "low"},
    ]
    assert found[2] == {"type": "file", "file": {"filename": "f", "file_data": "cat"}}


@pytest.mark.parametrize("value", [PNG, {"bytes": PNG, "path": None}])
def test_images_come_from_columns_of_bytes(tmp_path, value):
    (part,) = parts_of(tmp_path, {"img": value}, {"type": "image", "column": "img"})
    assert part["image_url"]["url"].startswith("data:image/png;base64,iVBOR")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"type": "image", "image": "gone.png"}, "there is no file gone.png"),
        ({"type": "image", "image": "big.png"}, "big.png has more than 20 MB"),
        ({"type": "image", "image": "mystery.bin2"}, "the type of mystery.bin2 is unknown"),
        ({"type": "image", "image": "empty.png"}, "empty.png is empty"),
        ({"type": "image", "image": "a.pdf"}, "a.pdf is not an image that models read (png, jpeg, webp, gif)"),
        ({"type": "image", "image": "{{ nothing }}"}, "the column `nothing` is null"),
        ({"type": "image", "image": "{{ nothing or '' }}"}, "the path of a file is empty"),
        ({"type": "image", "image": "x\0y"}, "is not a path"),
        ({"type": "image", "image": "."}, ". is not a file"),
        ({"type": "image", "image": "{{ 'x' * 5000 }}"}, "can't be read: File name too long"),
        ({"type": "audio", "audio": "https://x.org/a.wav"}, "audio can't be sent as a URL, only as a file"),
        ({"type": "audio", "audio": "a.png"}, "a.png is not audio that models read"),
        ({"type": "image", "column": "no_bytes"}, "the column `no_bytes` is null"),
    ],
)
def test_media_that_cannot_be_sent_fail_their_row(tmp_path, part, message):
    sample_folder(tmp_path)
    spec = job(tmp_path, messages=[{"role": "user", "content": [part]}])
    schema = pl.Schema({"nothing": pl.String, "no_bytes": pl.Binary})
    answer = compile_prompts(spec, schema).render({"nothing": None, "no_bytes": None})
    assert isinstance(answer, Failure)
    assert (answer.kind, message in answer.message) == (Kind.RENDER, True)


def test_a_path_starts_at_the_job_file(tmp_path, monkeypatch):
    sample_folder(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert isinstance(parts_of(tmp_path, {"x": 1}, {"type": "image", "image": "./a.png"}), list)


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize("as_text", [False, True])
def test_a_messages_column_is_used_as_it_is(tmp_path, as_text):
    messages = [
        {"role": "user", "content": "{{ hi }}"},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "content": "42", "tool_call_id": "c"},
    ]
    row = {"messages": json.dumps(messages) if as_text else messages}
    frame = pl.DataFrame([row], infer_schema_length=None)
    (stored,) = frame.iter_rows(named=True)
    request = compile_prompts(job(tmp_path, system="S"), frame.schema).render(stored)
    assert request.messages == ({"role": "system", "content": "S"}, *messages)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "the column `messages` is null"),
        ("no json", "the column `messages` is not JSON"),
        ("[]", "must hold a list of messages"),
        ('"x"', "must hold a list of messages"),
        ('[{"content": "x"}]', "holds a message without a role"),
        ('[{"role": "user"}]', "holds a message without content"),
        ('[{"role": "user", "content": " "}]', "the prompt is empty"),
        ('[{"role": "user", "content": NaN}]', "not JSON"),
    ],
)
def test_rows_with_unusable_messages_fail(tmp_path, value, message):
    answer = compile_prompts(job(tmp_path), pl.Schema({"messages": pl.String})).render({"messages": value})
    assert isinstance(answer, Failure)
    assert message in answer.message


BATCH_INPUT = {"path": "b.jsonl", "format": "openai-batch"}
BATCH_SCHEMA = pl.Schema({"custom_id": pl.String, "body": pl.String})


def test_batch_bodies_bring_messages_and_parameters_but_no_model(tmp_path):
    spec = job(tmp_path, input=BATCH_INPUT, system="S", request={"temperature": 1, "seed": 7})
    body = {"model": "gpt-5", "stream": False, "temperature": 0, "messages": [{"role": "user", "content": "\ud800?"}]}
    request = compile_prompts(spec, BATCH_SCHEMA).render({"custom_id": "1", "body": json.dumps(body)})
    assert request.messages == ({"role": "system", "content": "S"}, {"role": "user", "content": "\ufffd?"})
    assert request.parameters == {"temperature": 0, "seed": 7}


@pytest.mark.parametrize(
    "extra",
    [{"models": ["openai/gpt-5"]}, {"plugins": [{"id": "web"}]}, {"web_search_options": {}}, {"n": 3}],
)
def test_batch_bodies_that_could_cost_money_fail_their_row(tmp_path, extra):
    body = {"messages": [{"role": "user", "content": "x"}], **extra}
    prompts = compile_prompts(job(tmp_path, input=BATCH_INPUT), BATCH_SCHEMA)
    assert isinstance(prompts.render({"custom_id": "1", "body": json.dumps(body)}), Failure)


def test_a_prompt_beside_batch_bodies_is_refused(tmp_path):
    with pytest.raises(SpecError, match="brings its own messages"):
        compile_prompts(job(tmp_path, input=BATCH_INPUT, prompt="x"), BATCH_SCHEMA)
