"""The different needs of the rows of a job: what a model must be able to do to answer them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from msgspec.structs import replace

from batchfree.core.chat import ChatRequest, Failure
from batchfree.job.open_job import OpenJob
from batchfree.service.routing import RequestAnalyzer, Requirements

SAMPLED = 2_000
"""Rows at the start of the input whose needs are read."""


class Needs:
    """The different needs of many requests. Of requests that differ only in length, the shortest one counts."""

    def __init__(self, *, native_only: bool) -> None:
        """`native_only`: only models that take a schema may answer."""
        self._analyzer = RequestAnalyzer(native_only=native_only)
        self._found: dict[Requirements, Requirements] = {}

    def add(self, request: ChatRequest) -> None:
        """Adds the needs of one request."""
        needs = self._analyzer.needs(request)
        kind = replace(needs, prompt_tokens=0, completion_tokens=None)
        known = self._found.get(kind)
        if known is None or needs.context < known.context:
            self._found[kind] = needs

    @property
    def kinds(self) -> Sequence[Requirements]:
        """The needs, in the order of the rows. No needs at all if there was no request."""
        return tuple(self._found.values()) or (Requirements(),)


def needs_of(opened: OpenJob) -> Sequence[Requirements]:
    """The different needs of the first rows. Raises DatasetError."""
    needs = Needs(native_only=opened.rule.mode == "native")
    requests: Iterable[ChatRequest | Failure] = islice(opened.requests(SAMPLED), SAMPLED)
    for request in requests:
        if not isinstance(request, Failure):
            needs.add(request)
    return needs.kinds
