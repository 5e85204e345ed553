"""The catalogue: when it is fetched, what is cached, and how broken entries are read."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfree.core.errors import UnavailableError
from batchfree.service.openrouter.catalogue import ModelCatalogue, cache_dir
from batchfree.service.openrouter.client import Client
from batchfree.service.openrouter.wire import read_catalogue
from batchfree.service.routing import Model

URL = "https://openrouter.ai/api/v1"
NOW = 1_791_331_200.0


def entry(name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "context_length": 262_144,
        "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
        "pricing": {"prompt": "0", "completion": "0"},
        "top_provider": {"context_length": 131_072, "max_completion_tokens": 32_768},
        "supported_parameters": ["seed", "tools"],
        "expiration_date": "2026-11-01",
        "reasoning": {"mandatory": True},
        **more,
    }


class Service(httpx.AsyncBaseTransport):
    """Serves a list of models and counts the fetches; can be down."""

    def __init__(self, *names: str) -> None:
        self.names, self.fetches, self.down = list(names), 0, False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.fetches += 1
        await anyio.lowlevel.checkpoint()
        if self.down:
            return httpx.Response(503, json={"error": {"code": 503, "message": "down for now"}})
        return httpx.Response(200, json={"data": [entry(name) for name in self.names]})


class World:
    """A service, a clock and a cache folder that any number of processes share."""

    def __init__(self, folder: Path) -> None:
        self.service, self.now, self.folder = Service("a/b:free"), NOW, folder

    def process(self, url: str = URL, folder: Path | None = None) -> ModelCatalogue:
        return ModelCatalogue(Client(url, None, self.service), folder or self.folder, url, lambda: self.now)

    def copy(self) -> Path:
        (path,) = self.folder.iterdir()
        return path


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "cache")


def names(catalogue: ModelCatalogue, how: str = "models") -> list[str]:
    return [model.id for model in asyncio.run(getattr(catalogue, how)())]


def test_it_is_fetched_once_an_hour(world: World) -> None:
    catalogue = world.process()
    for minute in range(60):
        world.now = NOW + 60 * minute
        assert names(catalogue) == ["a/b:free"]
    assert world.service.fetches == 1
    world.now, world.service.names = NOW + 3600, ["c/d:free"]
    assert names(catalogue) == ["c/d:free"]
    assert world.service.fetches == 2


def test_processes_share_one_copy(world: World) -> None:
    names(world.process())
    world.now += 1800
    other = world.process()
    assert names(other) == ["a/b:free"]
    assert world.service.fetches == 1


def test_a_running_process_uses_the_copy_that_another_fetched(world: World) -> None:
    first = world.process()
    names(first)
    world.now, world.service.names = NOW + 3600, ["c/d:free"]
    names(world.process())
    assert names(first) == ["c/d:free"]
    assert world.service.fetches == 2


def test_two_base_urls_have_two_copies_and_two_spellings_of_one_share_a_copy(world: World) -> None:
    for url in (URL, "https://OPENROUTER.ai/api/v1/", "https://eu.openrouter.ai/api/v1"):
        names(world.process(url))
    assert world.service.fetches == 2


def test_callers_at_the_same_time_share_one_fetch(world: World) -> None:
    async def main() -> None:
        catalogue = world.process()
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(catalogue.models)

    asyncio.run(main())
    assert world.service.fetches == 1


def test_a_stale_copy_serves_while_the_service_is_down(world: World) -> None:
    names(world.process())
    world.now, world.service.down = NOW + 9 * 86_400, True
    catalogue = world.process()
    assert names(catalogue) == ["a/b:free"]
    assert "down for now" in str(catalogue.last_error)


def test_a_service_that_is_down_is_asked_once_a_minute(world: World) -> None:
    names(world.process())
    world.now, world.service.down = NOW + 7200, True
    catalogue = world.process()
    for second in range(120):
        world.now = NOW + 7200 + second
        names(catalogue)
    assert world.service.fetches == 3
    world.now, world.service.down = NOW + 7320, False
    names(catalogue)
    assert catalogue.last_error is None


def test_without_any_copy_a_service_that_is_down_is_an_error(world: World) -> None:
    world.service.down = True
    catalogue = world.process()
    with pytest.raises(UnavailableError, match="down for now"):
        names(catalogue)
    world.service.down, world.now = False, NOW + 60
    assert names(catalogue) == ["a/b:free"]


def test_an_empty_list_does_not_replace_a_good_one(world: World) -> None:
    catalogue = world.process()
    names(catalogue)
    world.now, world.service.names = NOW + 3600, []
    assert names(catalogue) == ["a/b:free"]
    assert catalogue.last_error == "the response contains no models"


def test_after_a_vanished_model_the_catalogue_is_fetched_at_most_every_five_minutes(world: World) -> None:
    catalogue = world.process()
    names(catalogue)
    world.service.names = ["c/d:free"]
    for second in range(0, 601, 10):
        world.now = NOW + second
        assert names(catalogue, "refresh") == (["a/b:free"] if second < 300 else ["c/d:free"])
    assert world.service.fetches == 3


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b"[]", b'{"fetched_at": "x", "text": 1}', b"null"])
def test_a_damaged_copy_is_ignored(world: World, damage: bytes) -> None:
    names(world.process())
    world.copy().write_bytes(damage)
    assert names(world.process()) == ["a/b:free"]
    assert world.service.fetches == 2


def test_a_copy_from_the_future_counts_as_old(world: World) -> None:
    world.now = NOW + 86_400
    names(world.process())
    world.now = NOW
    assert names(world.process()) == ["a/b:free"]
    assert world.service.fetches == 2
    world.now, world.service.down = NOW - 86_400, True
    assert names(world.process()) == ["a/b:free"]


def test_a_folder_that_can_not_be_written_is_no_error(world: World, tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    assert names(world.process(folder=in_the_way / "cache")) == ["a/b:free"]
    assert names(ModelCatalogue(Client(URL, None, world.service), None, URL, lambda: NOW)) == ["a/b:free"]


def test_no_unfinished_file_is_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    names(world.process())
    before = world.copy().read_bytes()
    world.now = NOW + 3600

    def full(_: Any, __: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    names(world.process())
    assert world.copy().read_bytes() == before


def test_the_environment_sets_the_cache_folder(tmp_path: Path) -> None:
    assert cache_dir({"BATCHFREE_CACHE_DIR": os.fspath(tmp_path)}) == tmp_path
    assert cache_dir({}).name == "batchfree"


# Reading it


def test_all_fields_of_an_entry_are_read() -> None:
    (model,) = read_catalogue(json.dumps({"data": [entry("a/b:free")]}))
    assert model == Model(
        id="a/b:free",
        free=True,
        context_length=131_072,
        max_completion_tokens=32_768,
        input_modalities=frozenset({"text", "image"}),
        parameters=frozenset({"seed", "tools"}),
        expires=date(2026, 11, 1),
        reasoning_mandatory=True,
    )


def test_broken_entries_are_skipped_and_broken_fields_left_out() -> None:
    entries: list[Any] = [
        *(None, 7, "x", [], {}, {"id": None}, {"id": ["a"]}, {"id": " "}, {"id": "x" * 999}),
        entry("author/good:free"),
        entry(
            "author/odd:free",
            context_length="8192",
            architecture=7,
            top_provider=None,
            supported_parameters=["seed", 7, None],
            expiration_date="soon",
            reasoning="yes",
        ),
        {"id": "bare"},
        {"id": "own", "max_model_len": 4096},
        {"id": "llama.cpp's", "meta": {"n_ctx": 2048, "n_ctx_train": 8192}},
    ]
    good, odd, bare, own, here = read_catalogue(json.dumps({"data": entries, "total_count": "?"}))
    assert good.id == "author/good:free"
    assert odd == Model(id="author/odd:free", free=True, context_length=8192, parameters=frozenset({"seed"}))
    assert bare == Model(id="bare")
    assert (own.context_length, here.context_length) == (4096, 2048)


@pytest.mark.parametrize(
    "payload",
    [["llama3"], {"data": ["llama3"]}, {"models": ["llama3"]}, {"models": [{"name": "llama3"}]}, [{"id": "llama3"}]],
)
def test_other_servers_list_their_models_in_other_forms(payload: Any) -> None:
    assert read_catalogue(json.dumps(payload)) == (Model(id="llama3"),)


@given(st.text())
def test_no_text_makes_the_reader_raise(text: str) -> None:
    assert read_catalogue(text) == ()


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(entry(""))), JSON))
def test_no_entry_makes_the_reader_raise(changes: dict[str, Any]) -> None:
    for model in read_catalogue(json.dumps([{**entry("a/b:free"), **changes}])):
        assert not model.free or model.id == "a/b:free"
