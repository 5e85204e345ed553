"""All faults by name.

There are four kinds, one module each. A *refusal* is sent instead of an answer. An *answer* or *text* fault spoils the
completion. A *wire* fault spoils the bytes on their way.
"""

from __future__ import annotations

from collections.abc import Mapping

from batchfree.emulator.faults import answer_faults, refusal_faults, wire_faults
from batchfree.emulator.faults.fault import Fault

ALL = (*refusal_faults.FAULTS, *answer_faults.FAULTS, *wire_faults.FAULTS)
FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in ALL}
