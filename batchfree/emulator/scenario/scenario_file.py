"""Scenario files and presets: YAML becomes a `Scenario`, and every mistake names file, line and key."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from batchfree.emulator.scenario import Scenario
from batchfree.emulator.scenario.yaml_document import ScenarioError, YamlDocument


def presets() -> dict[str, str]:
    """The YAML texts of the scenarios that come with batchfree, by name."""
    folder = resources.files("batchfree.emulator.scenario").joinpath("presets")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    return {file.name.removesuffix(".yaml"): file.read_text(encoding="utf-8") for file in files}


def load_scenario(source: Path | str) -> Scenario:
    """The scenario of a file, or of a preset by its name. Raises ScenarioError."""
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
    """The scenario that a YAML text describes; relative paths start at `folder`. Raises ScenarioError."""
    document = YamlDocument(text, file)
    found = document.repeated_keys()
    try:
        scenario = Scenario.model_validate(document.data, context={"folder": folder})
    except ValidationError as error:
        found += [document.mistake(line["loc"], line["msg"]) for line in error.errors(include_url=False)]
    if found:
        raise ScenarioError(found)
    return scenario if "name" in scenario.model_fields_set else scenario.model_copy(update={"name": name})
