"""The reference of scenarios as text, for `batchfree emulate --help`: presets, faults with their options, a sample."""

from __future__ import annotations

from collections.abc import Iterator

from batchfree.emulator.faults import FAULTS
from batchfree.emulator.scenario.scenario_file import presets

STAGES = {
    "refuse": "Errors instead of an answer (the first that is due)",
    "spoil": "Spoiled answers and texts",
    "carry": "Bytes on their way",
}


def handbook() -> str:
    """Everything that a scenario can say."""
    return "\n".join(
        (*_presets(), *_faults(), "", "A scenario file, with every key:", "", presets()["sample"].rstrip())
    )


def _presets() -> Iterator[str]:
    yield "Scenarios that come along (--scenario NAME, or the path of a file of your own):"
    for name, text in presets().items():
        first = text.lstrip("# ").splitlines()[0]
        yield f"  {name:<14} {first}"


def _faults() -> Iterator[str]:
    for stage, title in STAGES.items():
        yield f"\n{title}. The service …"
        for fault in FAULTS.values():
            if getattr(fault, stage):
                options = ", ".join(f"{name}: {value!r}" for name, value in fault.options.items())
                yield f"  {fault.name:<20} {fault.says}{f'  {{{options}}}' if options else ''}"
