"""A reply becomes a checked answer; `packs` puts several rows into one request and reads them back.

Imports: core.
Pure: all.
"""

from __future__ import annotations

from batchfree.answers.instructions import compose, wants_native
from batchfree.answers.read_answer import read
from batchfree.answers.rule import Answer, AnswerRule, Complaint
from batchfree.answers.tool_calls import with_tools

__all__ = ["Answer", "AnswerRule", "Complaint", "compose", "read", "wants_native", "with_tools"]
