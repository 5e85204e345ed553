"""Several rows ↔ one request, matched by codes and never by position. Pure.

`compose` writes the request, `read` gives every row its own result; `sizes` says how many rows may travel together,
`statistics` what that did to a job.
"""

from __future__ import annotations

from batchfree.packing.reading import Reading, read
from batchfree.packing.request import company, compose, draw_codes, obstacle
from batchfree.packing.sizes import Sizes, first_sizes, fitting, room, tokens, weight

__all__ = [
    "Reading",
    "Sizes",
    "company",
    "compose",
    "draw_codes",
    "first_sizes",
    "fitting",
    "obstacle",
    "read",
    "room",
    "tokens",
    "weight",
]
