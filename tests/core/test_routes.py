"""Which ids and routes are free."""

from __future__ import annotations

import pytest

from batchfree.core.routes import is_free_id, is_free_route


@pytest.mark.parametrize(
    ("model_id", "free"),
    [
        ("z-ai/glm-4.5-air:free", True),
        ("a/b/c:free", True),
        ("a/b", False),
        ("b:free", False),
        ("_x/y:free", False),
        ("~x/y:free", False),
        ("@preset/y:free", False),
        ("x/y:online:free", False),
        ("x/y:free:online", False),
        ("x/y:free\n", False),
    ],
)
def test_only_an_author_a_model_and_the_free_suffix_name_a_free_variant(model_id, free):
    assert is_free_id(model_id) is free


@pytest.mark.parametrize("route", ["openrouter/free", "local", "a/b:free", "my-model:free"])
def test_free_limits_go_with_these_routes(route):
    assert is_free_route(route)


def test_free_limits_do_not_go_with_a_model_of_ones_own():
    assert not is_free_route("my-model")
