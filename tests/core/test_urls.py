"""The normal form of base URLs, and whether their host is OpenRouter's."""

from __future__ import annotations

import pytest

from batchfree.core.urls import is_loopback, is_openrouter, normalize_base_url


@pytest.mark.parametrize(
    ("url", "theirs"),
    [
        ("https://openrouter.ai/api/v1", True),
        ("https://OpenRouter.AI./api/v1", True),
        ("https://eu.openrouter.ai:443/api/v1", True),
        ("https://me@openrouter.ai/api/v1", True),
        ("https://notopenrouter.ai/api/v1", False),
        ("https://openrouter.ai.example.com/v1", False),
        ("http://localhost/openrouter.ai", False),
        ("embedded", False),
    ],
)
def test_openrouters_host_is_known_however_it_is_written(url, theirs):
    assert is_openrouter(url) is theirs


def test_base_urls_have_one_way_to_be_written():
    assert normalize_base_url("HTTPS://OpenRouter.ai.:443/api/v1//") == "https://openrouter.ai/api/v1"
    assert normalize_base_url("http://[::1]:8000/v1/") == "http://[::1]:8000/v1"


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://localhost:8000/v1", True),
        ("http://LOCALHOST./v1", True),
        ("http://box.localhost/v1", True),
        ("http://127.0.0.1/v1", True),
        ("http://127.8.9.1/v1", True),
        ("http://[::1]:80/v1", True),
        ("http://0.0.0.0/v1", False),
        ("http://localhost.example.org/v1", False),
        ("http://127.0.0.1.example.org/v1", False),
        ("http://192.168.1.5/v1", False),
        ("http://box/v1", False),
    ],
)
def test_loopback_is_this_machine_alone(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback
