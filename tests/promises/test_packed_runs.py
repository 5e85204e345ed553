"""Whole runs in packs: the request, the replies, and what a bad row or a bad model costs the other rows."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.rehearsal import UNLIMITED, Rehearsal, scenario

from batchfree.emulator.scenario.scenario_file import presets
from batchfree.job.status import status
from batchfree.journal.attempts import Attempt
from batchfree.journal.journal_lines import read_attempts

LABELS = {"labels": ["positive", "negative"]}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "stars": {"type": "integer"}},
    "required": ["city", "stars"],
    "additionalProperties": False,
}
CALM = """
limits: {per_minute: null, per_day: null}
router: {draws_classifier: false}
pool: {follows: 1.0, models: [{id: "emulated/inkling:free", nature: chat}]}
"""
ROW = re.compile(r'<row id="([^"]*)">(.*?)</row>', re.DOTALL)


def prompts(rows: int) -> list[dict[str, Any]]:
    return [
        {"prompt": f"Review {n}: {'great' if n % 3 else 'awful'} food, {n * 7919 % 10007} & <b>more</b>."}
        for n in range(rows)
    ]


def rehearse(folder: Path, rows: int, pack: int | str, faults: str = "", text: str = CALM, **spec: Any) -> Rehearsal:
    folder.mkdir(exist_ok=True)
    router = {"seed": 1, **spec.pop("router", {})}
    whole = {"pack": pack, "answer": LABELS, "limits": UNLIMITED, "router": router, **spec}
    return Rehearsal(folder, prompts(rows), whole, scenario(f"{text}\nfaults: [{faults}]" if faults else text))


def sizes(job: Rehearsal) -> list[int]:
    """The number of rows in every request, in order."""
    return [len(ROW.findall(str(post.body["messages"][-1]["content"]))) or 1 for post in job.posts]


def attempts(job: Rehearsal) -> Iterator[Attempt]:
    return (line.attempt for line in read_attempts(job.folder / "job.run" / "journal.jsonl"))


# On the wire


def test_a_pack_is_sent_in_its_documented_form(tmp_path: Path) -> None:
    job = rehearse(tmp_path, 7, 7, system="You judge reviews.")
    assert job.run().counts.ok == 7
    (post,) = job.posts
    system, user = post.body["messages"]
    found = ROW.findall(user["content"])
    codes = [code for code, _ in found]
    assert (system["role"], user["role"]) == ("system", "user")
    assert system["content"].startswith("You judge reviews.")
    assert len(set(codes)) == 7
    assert all(re.fullmatch(r"[a-z][a-z0-9]{3}", code) for code in codes)
    escaped = [row["prompt"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for row in job.rows]
    assert [text for _, text in found] == escaped
    wanted = post.body["response_format"]
    schema = wanted["json_schema"]["schema"]
    assert (wanted["type"], wanted["json_schema"]["strict"]) == ("json_schema", True)
    assert (schema["type"], schema["required"], schema["additionalProperties"]) == ("object", codes, False)
    assert schema["properties"] == {code: {"$ref": "#/$defs/answer"} for code in codes}
    assert schema["$defs"] == {"answer": {"type": "string", "enum": LABELS["labels"]}}
    assert "- positive\n- negative" in system["content"]


def test_a_pack_contains_the_schema_of_an_answer_once(tmp_path: Path) -> None:
    job = rehearse(tmp_path, 6, 6, answer={"schema": CITY})
    assert job.run().counts.ok == 6
    (post,) = job.posts
    assert post.body["response_format"]["json_schema"]["schema"]["$defs"] == {"answer": CITY}
    assert json.dumps(CITY, separators=(",", ":")) in post.body["messages"][0]["content"]
    assert all(set(answer) == {"city", "stars"} for answer in job.table()["answer"].to_list())


def test_every_pack_draws_new_codes(tmp_path: Path) -> None:
    job = rehearse(tmp_path, 200, 10)
    job.run()
    codes = [code for post in job.posts for code, _ in ROW.findall(post.body["messages"][-1]["content"])]
    assert len(codes) == 200
    assert len(set(codes)) > 195
    assert all(attempt.pack_seed is not None for attempt in attempts(job))


def test_only_rows_with_equal_system_messages_share_a_pack(tmp_path: Path) -> None:
    job = rehearse(tmp_path, 40, 10, system="You judge {{ kind }}.")
    job.write_rows([{**row, "kind": "hotels" if n % 2 else "films"} for n, row in enumerate(prompts(40))])
    assert job.run().counts.ok == 40
    assert sizes(job) == [10] * 4
    assert {post.body["messages"][0]["content"].split(".")[0] for post in job.posts} == {
        "You judge hotels",
        "You judge films",
    }


# What a pool costs


@pytest.mark.parametrize("route", ["openrouter/free", "local"])
def test_two_thousand_rows_over_a_lossy_pool_cost_few_more_requests_than_packs(tmp_path: Path, route: str) -> None:
    router = {"route": route}
    job = rehearse(tmp_path, 2000, 20, text=presets()["lossy-packs"], router=router)
    summary = job.run()
    assert (summary.counts.ok, summary.exit_code) == (2000, 0)
    assert len(job.posts) <= 1.35 * 100
    assert sizes(job).count(1) < 10, "rows are not sent one by one"


@pytest.mark.parametrize(("pack", "most"), [(1, 1.1), (10, 0.12), (25, 0.05), ("auto", 0.08)])
@pytest.mark.parametrize("route", ["openrouter/free", "local"])
def test_a_mixed_pool_answers_the_rows_within_few_requests(
    tmp_path: Path, pack: int | str, most: float, route: str
) -> None:
    router = {"route": route}
    job = rehearse(tmp_path, 600, pack, text=presets()["mixed-json"], router=router)
    summary = job.run()
    assert summary.counts.ok >= 0.995 * 600
    assert len(job.posts) / 600 <= most


def test_an_automatic_size_starts_at_ten_and_ends_at_twenty_five(tmp_path: Path) -> None:
    job = rehearse(
        tmp_path, 800, "auto", router={"route": "emulated/glm-5.2:free"}, limits={**UNLIMITED, "concurrency": 1}
    )
    job.run()
    assert sorted(set(sizes(job)[:-1])) == [10, 12, 15, 19, 24, 25]
    assert sizes(job)[0] == 10


# Bad rows


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("invalid_400", "invalid_request"), ("moderation_403", "content_policy"), ("refusal", "refused")],
)
@pytest.mark.parametrize("place", [0, 9, 15])
def test_one_bad_row_of_sixteen_costs_at_most_eight_more_requests(
    tmp_path: Path, fault: str, kind: str, place: int
) -> None:
    job = rehearse(tmp_path, 16, 16, f"{{fault: {fault}, content: 'Review {place}:'}}")
    summary = job.run()
    assert (summary.counts.ok, summary.counts.failed) == (15, 1)
    assert len(job.posts) <= 1 + 8
    assert job.table()["error_kind"].to_list()[place] == kind
    tried = job.table()["models_tried"].to_list()
    assert all(len(set(models)) == len(models) for models in tried)


@pytest.mark.parametrize("fault", ["invalid_400", "moderation_403"])
def test_the_other_rows_of_a_large_pack_with_a_bad_row_are_answered(tmp_path: Path, fault: str) -> None:
    job = rehearse(tmp_path, 60, 60, f"{{fault: {fault}, content: 'Review 31:'}}")
    summary = job.run()
    assert (summary.counts.ok, summary.counts.failed, summary.counts.pending) == (59, 1, 0)
    assert len(job.posts) <= 15


def test_a_pack_that_is_too_long_is_halved_and_a_single_row_may_still_go_to_any_model(tmp_path: Path) -> None:
    job = rehearse(tmp_path, 16, 16, "{fault: context_400, nth: '1-3'}")
    assert job.run().counts.ok == 16
    assert sizes(job)[:3] == [16, 8, 8]
    assert min(sizes(job)) == 4


# Bad replies


def test_the_answers_of_a_cut_off_reply_are_kept_and_the_other_rows_asked_at_half_the_size(tmp_path: Path) -> None:
    job = rehearse(tmp_path, 20, 20, "{fault: truncate, nth: 1, with: {share: 0.3}}")
    assert job.run().counts.ok == 20
    first, *others = attempts(job)
    assert 4 <= first.answered <= 7
    assert max(sizes(job)[1:]) == 10
    assert len(others) == 2


def test_a_row_that_is_missing_from_two_replies_is_asked_alone(tmp_path: Path) -> None:
    job = rehearse(tmp_path, 300, 20, "{fault: lose_rows, with: {share: 0.2}}")
    assert job.run().counts.ok == 300
    missing = Counter[str]()
    alone = 0
    for attempt in attempts(job):
        for outcome in attempt.outcomes:
            assert missing[outcome.question] < 2 or len(attempt.outcomes) == 1
            alone += missing[outcome.question] >= 2
            own = 2 * attempt.answered >= len(attempt.outcomes) > 1
            missing[outcome.question] += own and outcome.kind == "bad_answer"
    assert 0 < alone < 40


def test_a_row_that_was_missing_twice_is_asked_alone_in_the_next_run_too(tmp_path: Path) -> None:
    job = rehearse(tmp_path, 60, 20, "{fault: lose_rows, with: {share: 0.3}}", retry={"max_attempts": 2})
    job.run()
    job.write_spec({**job.spec, "retry": {"max_attempts": 5}})
    job.run(retry_failed=True)
    states = defaultdict[str, int](int)
    for attempt in attempts(job):
        for outcome in attempt.outcomes:
            assert states[outcome.question] < 2 or len(attempt.outcomes) == 1
            states[outcome.question] += outcome.kind is not None and 2 * attempt.answered >= len(attempt.outcomes) > 1


def test_unreadable_replies_do_not_turn_packs_into_single_rows(tmp_path: Path) -> None:
    job = rehearse(tmp_path, 200, 20, "{fault: leaked_reasoning, nth: '1-12'}")
    assert job.run().counts.ok == 200
    assert sizes(job).count(1) <= 2
    assert len(job.posts) <= 40


def test_no_row_gets_the_answer_of_another_row_from_any_broken_reply(tmp_path: Path) -> None:
    names = ["permute", "renumber", "duplicate_codes", "unknown_codes", "truncate", "interleave", "wrong_rows"]
    names += ["lose_rows", "fenced", "prose", "half_json", "single_quotes", "thinking", "trailing_comma"]
    job = rehearse(tmp_path, 600, 12, ", ".join(f"{{fault: {name}, chance: 0.15}}" for name in names))
    job.run()
    answered, given = job.table().filter(status="ok").to_dicts(), job.emulator.state.log.answers()
    for row in answered:
        if row["pack_size"] == 1:  # the log knows a row by its last message, which here may be the error shown to it
            continue
        said = [answer.lower() for answer in given.get(row["prompt"], [row["answer"]])]
        assert any(row["answer"] in answer for answer in said), (
            "the emulator's log has the answers that each row was given"
        )
    assert len(answered) >= 0.97 * 600


# Sizes


def test_a_model_that_loses_many_rows_gets_smaller_packs_even_after_a_restart(tmp_path: Path) -> None:
    faults = "{fault: lose_rows, with: {share: 0.25}}"
    job = rehearse(
        tmp_path, 120, 16, faults, router={"route": "emulated/glm-5.2:free"}, limits={**UNLIMITED, "concurrency": 1}
    )
    job.run()
    first = sizes(job)
    assert first[0] == 16
    assert min(each for each in first if each > 1) <= 4
    job.write_rows(prompts(200)[120:])
    job.run()
    assert sizes(job)[len(first)] <= 8


def test_a_pack_leaves_room_for_the_answers_of_all_its_rows(tmp_path: Path) -> None:
    models = '{id: "emulated/short:free", context_length: 32000, max_completion_tokens: 4096}'
    text = "limits: {per_minute: null, per_day: null}\n" + f"pool: {{replace: true, models: [{models}]}}"
    job = rehearse(tmp_path, 60, 20, text=text, router={"route": "local"}, request={"max_tokens": 400})
    assert job.run().counts.ok == 60
    assert max(sizes(job)) == 7
    assert all(post.body["max_tokens"] <= 4096 for post in job.posts)


def test_a_pack_fills_at_most_a_quarter_of_the_smallest_eligible_context(tmp_path: Path) -> None:
    text = "limits: {per_minute: null, per_day: null}\n" + (
        'pool: {replace: true, models: [{id: "emulated/a:free", context_length: 4000}, {id: "emulated/b:free"}]}'
    )
    job = rehearse(tmp_path, 60, 20, text=text)
    job.write_rows([{"prompt": f"Review {n}: {'fine ' * 60}"} for n in range(60)])
    assert job.run().counts.ok == 60
    lengths = [sum(len(message["content"]) for message in post.body["messages"]) for post in job.posts]
    assert max(lengths) < 4000 + 1500
    assert max(sizes(job)) >= 8


# Accounts and warnings


def test_a_pack_counts_once_for_each_row_and_its_tokens_are_divided(tmp_path: Path) -> None:
    job = rehearse(tmp_path, 23, 10)
    summary = job.run()
    table = job.table()
    assert summary.requests == len(job.posts) == 3
    assert table["attempts"].to_list() == [1] * 23
    assert Counter(table["pack_size"].to_list()) == {10: 20, 3: 3}
    spent = [(attempt.prompt_tokens, attempt.completion_tokens) for attempt in attempts(job)]
    assert table["prompt_tokens"].sum() == sum(prompt or 0 for prompt, _ in spent)
    assert table["completion_tokens"].sum() == sum(completion or 0 for _, completion in spent)
    assert {len(ids) for ids in table.group_by("request_id").agg("prompt")["prompt"].to_list()} == {10, 3}


@pytest.mark.parametrize(("pack", "warned"), [(25, False), (26, True), ("auto", False)])
def test_packs_of_more_than_25_rows_give_a_warning(tmp_path: Path, pack: int | str, warned: bool) -> None:
    warnings = rehearse(tmp_path, 3, pack).run().warnings
    assert any("above 25" in warning for warning in warnings) is warned


def test_rows_that_fit_into_no_pack_are_asked_alone_with_one_warning(tmp_path: Path) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    job = rehearse(tmp_path, 0, 5, messages=None)
    rows = []
    for n in range(10):
        content: Any = f"Review {n}: great." if n % 2 else [{"type": "text", "text": f"Review {n}: great."}, picture]
        rows.append({"messages": json.dumps([{"role": "user", "content": content}])})
    job.write_rows(rows)
    summary = job.run()
    assert summary.counts.ok == 10
    assert sorted(sizes(job)) == [1] * 5 + [5]
    (warning,) = summary.warnings
    assert "row 0 and all rows like it are asked alone" in warning
    assert "it has images" in warning


def test_the_statistics_of_packs_come_from_the_journal(tmp_path: Path) -> None:
    job = rehearse(tmp_path, 200, 10, "{fault: lose_rows, with: {share: 0.1}}, {fault: unknown_codes, nth: 3}")
    summary = job.run()
    told = summary.to_json()["packs"]
    assert told == status(job.job(), job.time.clock()).to_json()["packs"]
    packs = [attempt for attempt in attempts(job) if len(attempt.outcomes) > 1]
    assert (told["packs"], told["rows"]) == (len(packs), sum(len(attempt.outcomes) for attempt in packs))
    assert 0.05 < told["shares"]["missing"] < 0.15
    assert told["unknown_keys_per_row"] > 0
    assert sum(each["rows"] for each in told["yield"]) == told["rows"]
    assert len(told["labels_by_place"]) == 10
    assert told["labels_by_place"][0]["shares"].keys() <= set(LABELS["labels"])
    assert job.run().to_json()["packs"] == told, "the statistics cover all runs, even after a run that asks nothing"
    alone = rehearse(tmp_path / "alone", 3, 1)
    assert alone.run().to_json()["packs"] is None
