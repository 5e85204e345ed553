"""What the tests with a real model need: the extra `llama`, and its weights, which no test fetches."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import anyio
import pytest

from batchfree.service.llama import weights
from batchfree.service.openrouter.catalogue import cache_dir

needs_llama = pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs pip install 'batchfree[llama]'")
CACHE = cache_dir(os.environ)
"""The cache of the person who runs the tests, before a test sets another one."""


def small_model() -> Path:
    """The weights of SmolLM2-135M on this machine; skips the test if there are none."""

    def refuse(sentence: str) -> None:
        pytest.skip("needs the weights: `batchfree models --endpoint llama` fetches them")

    return anyio.run(weights.find_weights, CACHE, refuse)


def with_small_model(cache: Path) -> None:
    """Puts the weights into a cache of the test's own."""
    cache.mkdir(exist_ok=True)
    (cache / Path(weights.MEMBER).name).symlink_to(small_model())
