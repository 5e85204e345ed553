"""Reading a scenario file: YAML in, a `Scenario` out, every mistake with its line and key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from batchfree.emulator.fault_rules import FaultRule, RequestNumbers, ScriptedAnswer
from batchfree.emulator.faults import FAULTS
from batchfree.emulator.quotas import EmulatedLimits
from batchfree.emulator.scenario import Scenario
from batchfree.emulator.scenario.model_pool import read_pool
from batchfree.emulator.scenario.yaml_reader import Reader, ScenarioError, parse

HINTS = ("body", "headers", "both", "seconds")


def presets() -> dict[str, str]:
    """The scenarios that come along: name → YAML text."""
    folder = resources.files("batchfree.emulator.scenario").joinpath("presets")
    files = (file for file in folder.iterdir() if file.name.endswith(".yaml"))
    return {
        file.name.removesuffix(".yaml"): file.read_text(encoding="utf-8")
        for file in sorted(files, key=lambda f: f.name)
    }


def load_scenario(source: Path | str) -> Scenario:
    """The scenario of a file, or of a preset by its name. Raises `ScenarioError` with every mistake in it."""
    path, known = Path(source), presets()
    if not path.is_file() and str(source) in known:
        return read_scenario(known[str(source)], f"preset {source}", Path.cwd(), str(source))
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        names = ", ".join(known)
        raise ScenarioError([f"{source}: {error.strerror or error}; presets are: {names}"]) from None
    except UnicodeDecodeError:
        raise ScenarioError([f"{source}: is not UTF-8 text"]) from None
    return read_scenario(text, str(source), path.parent, path.stem)


def read_scenario(text: str, file: str, folder: Path, name: str = "scenario") -> Scenario:
    """The scenario that a YAML text describes; relative paths start at `folder`."""
    reader = parse(text, file)
    limits = reader.child("limits")
    router = reader.child("router")
    scenario = Scenario(
        name=reader.take("name", str, name),
        seed=reader.take("seed", int, 0),
        limits=_limits(limits),
        models=read_pool(reader.child("pool"), folder),
        rules=tuple(_rule(index, rule) for index, rule in enumerate(reader.children("faults"))),
        answers=tuple(_scripted(rule) for rule in reader.children("answers")),
        key=reader.take("key", dict, {}),
        keys=tuple(reader.strings("keys")),
        draws_gated=router.take("draws_gated", bool, False),
        draws_classifier=router.take("draws_classifier", bool, True),
        router_tries=router.take("tries", int, 1),
        time_scale=reader.take("time_scale", float, 1.0),
        generation_lag=reader.take("generation_lag", float, 0.0),
    )
    router.finish()
    reader.finish()
    reader.raise_mistakes()
    return scenario


def _limits(reader: Reader) -> EmulatedLimits:
    hint = reader.choice("hint", HINTS, "body")
    limits = EmulatedLimits(
        per_minute=reader.take("per_minute", int, 20, null=True),
        per_day=reader.take("per_day", int, 50, null=True),
        told_per_minute=reader.take("told_per_minute", int, None, null=True),
        told_per_day=reader.take("told_per_day", int, None, null=True),
        count_rejected=reader.take("count_rejected", bool, True),
        count_failed=reader.take("count_failed", bool, True),
        hint=hint,
        key_lag=reader.take("key_lag", float, 0.0),
        used_today=reader.take("used_today", int, 0),
    )
    reader.finish()
    return limits


def _rule(index: int, reader: Reader) -> FaultRule:
    """Long: one line for each key of a rule."""
    respond = reader.take("respond", dict, None, null=True)
    name = reader.take("fault", str, "respond" if respond is not None else "")
    options = reader.child("with")
    if respond is None and name not in FAULTS:
        reader.mistake("fault", f"there is no fault {name!r}{reader.nearest(name, FAULTS)}" if name else "is missing")
    content = reader.pattern("content")
    window = reader.take("between", list, [0, None])
    if len(window) != 2 or not all(isinstance(mark, int | float | None) for mark in window):
        reader.mistake("between", "expected two numbers of seconds since the start, the second may be null")
        window = [0, None]
    rule = FaultRule(
        index=index,
        fault=name,
        options=_options(options, name),
        respond=respond,
        models=tuple(reader.strings("model")) or ("*",),
        asked=tuple(reader.strings("asked")) or ("*",),
        nth=_numbers(reader),
        per_model=reader.choice("per", ("all", "model"), "all") == "model",
        content=content,
        chance=reader.take("chance", float, 1.0),
        after=float(window[0] or 0),
        until=window[1],
        delay=reader.take("delay", float, None, null=True),
    )
    if not 0 <= rule.chance <= 1:
        reader.mistake("chance", "expected a share from 0 to 1")
    if respond is not None:
        status = respond.get("status", 200)
        if (
            not isinstance(status, int)
            or not 200 <= status <= 599
            or not isinstance(respond.get("headers") or {}, dict)
        ):
            reader.mistake("respond", "expected {status: 200…599, headers: {…}, body: text or JSON}")
    reader.finish()
    return rule


def _options(reader: Reader, name: str) -> Mapping[str, Any]:
    fault = FAULTS.get(name)
    options = {}
    for key, default in (fault.options if fault else {}).items():
        kind: type = object if default is None else float if isinstance(default, float) else type(default)
        value = reader.take(key, kind, default, null=default is None)
        if value != default:
            options[key] = value
    if fault is not None:
        reader.finish()
    return options


def _numbers(reader: Reader) -> RequestNumbers | None:
    """`3`, `[1, 5]`, `"10-20"`, or `{every: 4, from: 2}`."""
    value = reader.take("nth", object, None, null=True)
    if value is None:
        return None
    if isinstance(value, dict):
        every, start = value.get("every"), value.get("from", value.get("every"))
        if set(value) <= {"every", "from"} and isinstance(every, int) and every > 0 and isinstance(start, int):
            return RequestNumbers(every=every, start=start)
    else:
        listed = [str(part) for part in (value if isinstance(value, list) else [value])]
        found = [re.fullmatch(r"(\d+)(?:-(\d*))?", part.strip()) for part in listed]
        if all(found):
            matches = [match for match in found if match]
            return RequestNumbers(
                ranges=tuple((int(m[1]), int(m[1]) if m[2] is None else int(m[2] or 10**12)) for m in matches)
            )
    reader.mistake("nth", 'expected a number, a list of numbers, "10-20", "10-", or {every: 4, from: 2}')
    return None


def _scripted(reader: Reader) -> ScriptedAnswer:
    scripted = ScriptedAnswer(
        match=reader.pattern("match") or re.compile("(?!)"), answer=reader.take("answer", str, "")
    )
    reader.finish()
    return scripted
