"""The models now on offer: fetched at most once an hour, kept on disk, used stale while the service is down."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import msgspec
import platformdirs

from batchfree.core.chat import Failure
from batchfree.core.errors import UnavailableError
from batchfree.core.urls import normalize_base_url
from batchfree.journal.atomic_file import atomic_write
from batchfree.service.openrouter import wire
from batchfree.service.openrouter.client import Client
from batchfree.service.routing import Model

FRESH_S = 3600.0
"""A copy is used unasked for this long, by every process that finds it."""
REFRESH_S = 300.0
"""The least time between two fetches when a model turned out to be gone."""
RETRY_S = 60.0
"""The least time between two fetches while the service is down."""
CACHE_VARIABLE = "BATCHFREE_CACHE_DIR"


class CachedCatalogue(msgspec.Struct, frozen=True):
    """A catalogue as it was sent, and when (epoch seconds): what is kept on disk."""

    fetched_at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    fetched_at: float
    models: tuple[Model, ...]


def cache_dir(environment: Mapping[str, str]) -> Path:
    """Where copies are kept: `$BATCHFREE_CACHE_DIR`, else the user's cache folder."""
    return Path(environment.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("batchfree"))


class ModelCatalogue:
    """The models of one base URL. `trouble` says why the last fetch failed, if it did."""

    def __init__(
        self, client: Client, folder: Path | None, base_url: str, clock: Callable[[], float] = time.time
    ) -> None:
        """Without `folder` nothing is kept on disk."""
        name = hashlib.sha256(normalize_base_url(base_url).encode()).hexdigest()[:16]
        self._file = None if folder is None else folder / f"models-{name}.json"
        self._client, self._clock = client, clock
        self._known: _Known | None = None
        self._asked_at = float("-inf")
        self._lock = anyio.Lock()
        self.trouble: str | None = None

    async def models(self) -> tuple[Model, ...]:
        """The models on offer. `UnavailableError` where the service is down and there is no copy, however old.

        A cancellation leaves the copy as it was.
        """
        return await self._models(lambda now: now - self._asked_at >= RETRY_S)

    async def refresh(self) -> tuple[Model, ...]:
        """The models on offer, fetched anew unless that was done within the last five minutes: a model has vanished.

        A cancellation leaves the copy as it was.
        """
        return await self._models(lambda now: now - self._asked_at >= REFRESH_S, even_fresh=True)

    async def _models(self, may_ask: Callable[[float], bool], *, even_fresh: bool = False) -> tuple[Model, ...]:
        async with self._lock:
            now = self._clock()
            if self._known is None or not self._is_fresh(now):
                self._take_copy(now)
            if (even_fresh or not self._is_fresh(now)) and may_ask(now):
                await self._ask(now)
            if self._known is None:
                raise UnavailableError(f"the catalogue of models can't be read: {self.trouble}")
            return self._known.models

    def _is_fresh(self, now: float) -> bool:
        return self._known is not None and 0 <= now - self._known.fetched_at < FRESH_S

    async def _ask(self, now: float) -> None:
        self._asked_at = now
        told = await self._client.models()
        if isinstance(told, Failure):
            self.trouble = told.message
            return
        models = wire.read_catalogue(told)
        if not models:
            self.trouble = "it names no models"
            return
        self.trouble, self._known = None, _Known(fetched_at=now, models=models)
        self._keep(CachedCatalogue(fetched_at=now, text=told.decode("utf-8", "replace")))

    def _take_copy(self, now: float) -> None:
        """Uses the copy on disk where it is newer than what is known. One from the future is as good as a stale one."""
        try:
            copy = msgspec.json.decode(self._file.read_bytes(), type=CachedCatalogue) if self._file else None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return
        if copy is None or (self._known is not None and copy.fetched_at <= self._known.fetched_at):
            return
        models = wire.read_catalogue(copy.text.encode())
        if models:
            self._known = _Known(fetched_at=copy.fetched_at if copy.fetched_at <= now else 0.0, models=models)
            self._asked_at = max(self._asked_at, self._known.fetched_at)

    def _keep(self, copy: CachedCatalogue) -> None:
        """Keeps the copy on disk. A cache that can't be written is no error."""
        if self._file is None:
            return
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self._file) as unfinished:
                unfinished.write_bytes(msgspec.json.encode(copy))
