"""The text of `batchfree emulate --help`: presets, faults with their options, a sample scenario."""

from __future__ import annotations

from collections.abc import Iterator

from batchfree.emulator.faults import FAULTS
from batchfree.emulator.scenario.scenario_file import presets

STAGES = {
    "refuse": "Errors instead of an answer (only the first that is due)",
    "spoil": "Spoiled answers and texts",
    "carry": "Spoiled bytes on their way",
}


def handbook() -> str:
    """Everything that a scenario can say."""
    sample = presets()["sample"].rstrip()
    return "\n".join((*_preset_lines(), *_fault_lines(), "", "A scenario file with every key:", "", sample))


def _preset_lines() -> Iterator[str]:
    yield "Scenarios that come with batchfree (--scenario NAME, or the path of your own file):"
    for name, text in presets().items():
        first = text.lstrip("# ").splitlines()[0]
        yield f"  {name:<14} {first}"


def _fault_lines() -> Iterator[str]:
    for stage, title in STAGES.items():
        yield f"\n{title}. The service …"
        for fault in FAULTS.values():
            if getattr(fault, stage):
                options = ", ".join(f"{name}: {value!r}" for name, value in fault.options.items())
                yield f"  {fault.name:<20} {fault.does}{f'  {{{options}}}' if options else ''}"
