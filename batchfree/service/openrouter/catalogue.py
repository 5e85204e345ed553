"""The catalogue of models: fetched at most once an hour, cached on disk, used even if old while the service is down."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import msgspec
import platformdirs

from batchfree.core.chat import Failure, Kind
from batchfree.core.errors import StorageError, UnavailableError
from batchfree.core.urls import normalize_base_url
from batchfree.journal.atomic_file import atomic_write
from batchfree.service.openrouter import wire
from batchfree.service.openrouter.client import Client
from batchfree.service.routing import Model

FRESH_S = 3600.0
"""Seconds for which all processes use a cached copy without a new fetch."""
REFRESH_S = 300.0
"""Shortest time in seconds between two fetches after a model turned out to be gone."""
RETRY_S = 60.0
"""Shortest time in seconds between two fetches while the service is down."""
CACHE_VARIABLE = "BATCHFREE_CACHE_DIR"


class CachedCatalogue(msgspec.Struct, frozen=True):
    """The file on disk: the catalogue as the service sent it, and the time of the fetch in epoch seconds."""

    fetched_at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedCatalogue:
    """The models of a catalogue, its JSON text, and the time of its fetch in epoch seconds."""

    fetched_at: float
    text: str
    models: tuple[Model, ...]


def cache_dir(environment: Mapping[str, str]) -> Path:
    """The folder of cached catalogues: `$BATCHFREE_CACHE_DIR`, or the user's cache folder. Raises StorageError."""
    try:
        return Path(environment.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("batchfree")).expanduser()
    except RuntimeError as error:
        raise StorageError(f"{CACHE_VARIABLE} names the home folder of a user who does not exist") from error


def copy_of(folder: Path, base_url: str) -> Path:
    """The path of the copy on disk."""
    name = hashlib.sha256(normalize_base_url(base_url).encode()).hexdigest()[:16]
    return folder / f"models-{name}.json"


def read_copy(folder: Path, base_url: str) -> LoadedCatalogue | None:
    """The copy on disk, however old it is; None if there is none that can be read."""
    return _read(copy_of(folder, base_url))


def _read(file: Path) -> LoadedCatalogue | None:
    try:
        copy = msgspec.json.decode(file.read_bytes(), type=CachedCatalogue)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return LoadedCatalogue(fetched_at=copy.fetched_at, text=copy.text, models=wire.read_catalogue(copy.text))


class ModelCatalogue:
    """The models of one base URL. `last_failure` says why the last fetch failed; None if it did not."""

    def __init__(
        self, client: Client, folder: Path | None, base_url: str, clock: Callable[[], float] = time.time
    ) -> None:
        """`clock` gives epoch seconds. Without `folder` nothing is cached on disk."""
        self._file = None if folder is None else copy_of(folder, base_url)
        self._client, self._clock = client, clock
        self._loaded: LoadedCatalogue | None = None
        self._asked_at = self._looked_at = float("-inf")
        self._lock, self._is_fetching = anyio.Lock(), False
        self.last_failure: Failure | None = None

    @property
    def last_error(self) -> str | None:
        """The message of `last_failure`."""
        return None if self.last_failure is None else self.last_failure.message

    async def latest(self) -> tuple[Model, ...]:
        """The models, fetched anew. Raises UnavailableError if that fails, even if there is a copy.

        A cancellation leaves the copy as it was.
        """
        await self._update(float("-inf"), even_if_fresh=True)
        if self.last_failure is not None:
            raise self._unavailable()
        return self._known()

    def _unavailable(self) -> UnavailableError:
        return UnavailableError(f"the catalogue of models at {self._client.base_url} can't be read: {self.last_error}")

    @property
    def kept(self) -> tuple[Model, ...]:
        """The models of the last fetch or of the copy on disk, however old; none if there is neither."""
        return () if self._loaded is None else self._loaded.models

    @property
    def fetched_at(self) -> float | None:
        """When the models were fetched from the service, in epoch seconds; None if none are known."""
        return None if self._loaded is None else self._loaded.fetched_at

    @property
    def text(self) -> str:
        """The catalogue as the service sent it, without the key; empty if none is known."""
        return "" if self._loaded is None else self._loaded.text

    async def models(self) -> tuple[Model, ...]:
        """The models in the catalogue now. Raises UnavailableError if the service is down and there is no copy.

        A cancellation leaves the copy as it was.
        """
        if self._is_fetching or self._is_due(self._clock()):
            await self._update(RETRY_S)
        return self._known()

    async def refresh(self) -> tuple[Model, ...]:
        """The models, fetched again unless the last fetch was in the last five minutes. Called after a model was gone.

        Raises UnavailableError like `models`. A cancellation leaves the copy as it was.
        """
        await self._update(REFRESH_S, even_if_fresh=True)
        return self._known()

    def _known(self) -> tuple[Model, ...]:
        if self._loaded is None:
            raise self._unavailable()
        return self._loaded.models

    async def _update(self, apart: float, *, even_if_fresh: bool = False) -> None:
        """Reads a newer copy, or fetches the models if the last fetch was at least `apart` seconds ago."""
        async with self._lock:
            now = self._clock()
            if not self._is_fresh(now) and not 0 <= now - self._looked_at < RETRY_S:
                self._looked_at = now
                self._load_copy(now)
            if (even_if_fresh or not self._is_fresh(now)) and now - self._asked_at >= apart:
                await self._fetch(now)

    def _is_due(self, now: float) -> bool:
        """Whether newer models may exist, on disk or at the service."""
        return not self._is_fresh(now) and not 0 <= now - min(self._looked_at, self._asked_at) < RETRY_S

    def _is_fresh(self, now: float) -> bool:
        return self._loaded is not None and 0 <= now - self._loaded.fetched_at < FRESH_S

    async def _fetch(self, now: float) -> None:
        self._asked_at = now
        self._is_fetching = True
        try:
            text = await self._client.models()
        finally:
            self._is_fetching = False
        if isinstance(text, Failure):
            self.last_failure = text
            return
        models = wire.read_catalogue(text)
        if not models:
            is_page = text.lstrip().startswith("<")
            message = "the response is an HTML page" if is_page else "the response contains no models"
            self.last_failure = Failure(kind=Kind.BAD_RESPONSE, message=message, status=200)
            return
        self.last_failure, self._loaded = None, LoadedCatalogue(fetched_at=now, text=text, models=models)
        self._write_copy(CachedCatalogue(fetched_at=now, text=text))

    def _load_copy(self, now: float) -> None:
        """Loads the copy on disk if it is newer than the models in memory. A copy with a future time counts as old."""
        copy = None if self._file is None else _read(self._file)
        if copy is None or (self._loaded is not None and copy.fetched_at <= self._loaded.fetched_at):
            return
        if copy.models:
            self._loaded = copy if copy.fetched_at <= now else replace(copy, fetched_at=0.0)
            self._asked_at = max(self._asked_at, self._loaded.fetched_at)

    def _write_copy(self, copy: CachedCatalogue) -> None:
        """Keeps the copy on disk. A cache that can't be written is no error."""
        if self._file is None:
            return
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self._file, private=False) as unfinished:
                unfinished.write_bytes(msgspec.json.encode(copy))
