"""Scenario files: what they may set, and the messages about mistakes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from support.emulated import ask, asking, emulation, get

from batchfree.emulator import Scenario, ScenarioError, load_scenario
from batchfree.emulator.fault_rules import RequestNumbers
from batchfree.emulator.faults import FAULTS
from batchfree.emulator.scenario.handbook import handbook
from batchfree.emulator.scenario.scenario_file import presets, read_scenario
from batchfree.emulator.settings import Settings


def mistakes(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        read_scenario(text, "day.yaml", Path.cwd())
    return list(caught.value.mistakes)


@pytest.mark.parametrize("name", presets())
def test_every_preset_can_be_loaded_by_name(name):
    assert load_scenario(name).models


def test_a_file_is_loaded_by_its_path(tmp_path):
    path = tmp_path / "quiet.yaml"
    path.write_text("seed: 7\nlimits: {per_minute: null}\n")
    scenario = load_scenario(path)
    assert (scenario.name, scenario.seed, scenario.limits.per_minute, scenario.limits.per_day) == ("quiet", 7, None, 50)


def test_an_empty_scenario_is_the_default(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing\n")
    assert load_scenario(path).limits.per_minute == 20


def test_a_missing_file_names_the_presets():
    with pytest.raises(ScenarioError, match=r"nowhere\.yaml: No such file.*bad-day"):
        load_scenario("nowhere.yaml")


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("limits: {per_minut: 3}", "1: limits.per_minut: is unknown; did you mean 'per_minute'?"),
        ("limits:\n  per_day: many", "2: limits.per_day: expected a whole number, got 'many'"),
        ("limits: {hint: nowhere}", "1: limits.hint: expected one of body, headers, both, seconds; got 'nowhere'"),
        ("seed: 1\nseed: 2", "2: seed: is given twice"),
        ("limits: {per_day: 1,\n  per_day: 2}", "2: limits.per_day: is given twice"),
        ("limits: &all {per_day: *all}", "1: limits.per_day: expected a whole number"),
        ("pool: {latency: 3}", "1: pool.latency: expected a mapping, got 3"),
        (
            "pool: {models: [{id: a/b:free, json: xml}]}",
            "1: pool.models[0].json: expected one of enforces, mode, words",
        ),
        ("- 1", "1: expected a mapping"),
        ("a: [", "1: is no YAML: expected the node content, but found '<stream end>'"),
        ("faults:\n- {fault: upstream_42}", "2: faults[0].fault: there is no fault 'upstream_42'; did you mean"),
        ("faults: [{chance: 1}]", "1: faults[0].fault: is missing"),
        ("faults: [{fault: cut, with: {shar: 1}}]", "1: faults[0].with.shar: is unknown; did you mean 'share'?"),
        ("faults: [{fault: cut, with: {share: x}}]", "1: faults[0].with.share: expected a number, got 'x'"),
        ("faults: [{fault: cut, chance: 3}]", "1: faults[0].chance: expected at most 1, got 3"),
        ("faults: [{fault: cut, content: '('}]", "1: faults[0].content: is no regular expression: missing"),
        ("faults: [{fault: cut, nth: x}]", '1: faults[0].nth: expected a number, a list of numbers, "10-20"'),
        ("faults: [{fault: cut, between: 3}]", "1: faults[0].between: expected two numbers of seconds since the start"),
        ("faults: [{respond: {status: 999}}]", "1: faults[0].respond.status: expected at most 599, got 999"),
        ("pool: {models: [{accuracy: 1}]}", "1: pool.models[0].id: is missing"),
        ("pool: {models: [{id: a/b:free, like: c/d}]}", "1: pool.models[0].like: no such model: c/d"),
        ("pool: {snapshot: none.json}", "1: pool.snapshot: can't be read: [Errno 2] No such file or directory"),
        ("key: !!python/object:x {}", "1: key: could not determine a constructor for the tag"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_key(text, mistake):
    assert any(found.startswith(f"day.yaml:{mistake}") for found in mistakes(text)), mistakes(text)


def test_all_mistakes_are_named_at_once():
    assert len(mistakes("seed: x\nlimits: {per_day: x}\nfaults: [{fault: x}]")) == 3


def test_a_pool_can_be_thinned_out_changed_and_extended():
    app = emulation(
        """
        pool:
          only: ["emulated/g*:free", "openrouter/free"]
          models:
            - {id: "emulated/g*", accuracy: 0.5, context_length: 1000, add: [verbosity], remove: [seed]}
            - {id: "new/one:free", like: "emulated/glm-5.2:free", provider: Emulated Newcomer, thinking: mandatory,
               expires: 2030-01-01, prompt_price: "0.1", inputs: [text, image], entry: {knowledge_cutoff: "2025-01-01"}}
            - {id: "paid/two", latency: {constant: 3}}
        """
    )
    models = {model["id"]: model for model in get(app, "/models").json()["data"]}
    assert set(models) == {
        "emulated/gemma-4-26b-a4b-it:free", "emulated/gemma-4-31b-it:free", "emulated/glm-5.2:free",
        "openrouter/free", "new/one:free", "paid/two",
    }  # fmt: skip
    glm, new = models["emulated/glm-5.2:free"], models["new/one:free"]
    assert glm["context_length"] == 1000
    assert "verbosity" in glm["supported_parameters"]
    assert "seed" not in glm["supported_parameters"]
    assert new["expiration_date"] == "2030-01-01"
    assert new["pricing"]["prompt"] == "0.1"
    assert new["reasoning"]["mandatory"]
    assert new["architecture"]["modality"] == "text+image->text"
    assert new["knowledge_cutoff"] == "2025-01-01"
    (reply,) = ask(app, asking(model="new/one:free"))
    assert reply.json()["provider"] == "Emulated Newcomer"


def test_a_real_snapshot_can_be_the_pool(tmp_path):
    entries = get(emulation(), "/models").json()["data"]
    entries[0]["id"] = "someone/real:free"
    (tmp_path / "models.json").write_text(json.dumps({"data": entries}))
    (tmp_path / "day.yaml").write_text("pool: {snapshot: models.json}")
    scenario = load_scenario(tmp_path / "day.yaml")
    assert scenario.models[0].id == "someone/real:free"
    assert len(scenario.models) == len(entries)
    natures = {model.id: model.nature for model in scenario.models}
    assert natures["emulated/nemotron-3.5-content-safety:free"] == "classifier"
    assert natures["emulated/lyria-3-clip-preview"] == "media"
    assert natures["emulated/glm-5.2"] == "paid"


def test_latencies_are_seeded_and_lognormal():
    app = emulation("pool: {latency: {median: 2, sigma: 0.5}}")
    ask(app, *[asking(f"Number {number}") for number in range(101)])
    taken = sorted(logged.done_at - logged.at for logged in app.state.log.requests)
    assert 1.6 < taken[50] < 2.5
    assert taken[0] > 0.3
    assert 3 < taken[100] < 14


def test_null_means_that_a_key_is_not_set():
    text = "limits: null\nkey: null\nkeys: null\nfaults: null\npool: {models: null, only: null}\nanswers: null"
    assert read_scenario(text, "day.yaml", Path.cwd(), "default") == Scenario()


def keys_of(settings: type[Settings]) -> set[str]:
    """Every key that a mapping and the mappings in it may hold."""
    keys = {field.alias or name for name, field in settings.model_fields.items()}
    inner = [part for field in settings.model_fields.values() for part in types_in(field.annotation)]
    return keys.union(*(keys_of(part) for part in inner if part is not RequestNumbers))


def types_in(annotation: Any) -> list[type[Settings]]:
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [found for part in get_args(annotation) for found in types_in(part)]


def test_the_sample_names_every_key():
    written = set(re.findall(r"[a-z_]+", presets()["sample"]))
    assert keys_of(Scenario) - written == set()
    assert len(keys_of(Scenario)) > 60


def test_the_handbook_names_every_fault_and_every_scenario():
    text = handbook()
    assert all(f"\n  {name} " in text for name in (*FAULTS, *presets()))
