"""Packs: several rows in one request. Answers are matched by codes, never by position.

`company_key` says which rows may share a request, `rows_that_fit` how many fit into it, and `PackSizes` how many rows
each model gets. `compose` writes the request, and `read` gives every row its own result.
"""

from __future__ import annotations

from batchfree.answers.packs.company import Alone, company_key, rows_that_fit
from batchfree.answers.packs.compose import compose, draw_codes
from batchfree.answers.packs.read_pack import PackResults, read
from batchfree.answers.packs.sizes import WISE_SIZE, PackSizes, first_sizes

__all__ = [
    "WISE_SIZE",
    "Alone",
    "PackResults",
    "PackSizes",
    "company_key",
    "compose",
    "draw_codes",
    "first_sizes",
    "read",
    "rows_that_fit",
]
