"""Several rows ↔ one request, matched by codes and never by position.

`compose` writes the request, `read` gives every row its own result; `sizes` says how many rows may travel together,
`statistics` what that did to a job.
"""

from __future__ import annotations

from batchfree.answers.packs.compose import company, compose, draw_codes, obstacle
from batchfree.answers.packs.read_pack import PackResults, read
from batchfree.answers.packs.sizes import WISE_SIZE, PackSizes, first_sizes, rows_that_fit

__all__ = [
    "WISE_SIZE",
    "PackResults",
    "PackSizes",
    "company",
    "compose",
    "draw_codes",
    "first_sizes",
    "obstacle",
    "read",
    "rows_that_fit",
]
