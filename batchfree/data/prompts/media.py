"""Images, files and audio: bytes or a path → the part of a message that carries them.

The media type follows from the first bytes, else from the suffix of the file. The parts have the shapes of OpenRouter's
docs (images, PDFs, audio).
"""

from __future__ import annotations

import base64
import mimetypes
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from batchfree.core.chat import JsonObject
from batchfree.data.prompts.template import UnrenderableError

MOST_BYTES = 20_000_000
"""Most bytes of one image, file or audio."""
CACHED_FILES = 8

FIRST_BYTES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
)
CONTAINERS = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
"""The media type of a RIFF file, by its bytes 8 to 11."""
AUDIO_FORMATS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/ogg": "ogg",
    "audio/aac": "aac",
    "audio/mp4": "m4a",
    "audio/aiff": "aiff",
    "audio/x-aiff": "aiff",
}
IMAGES = ("image/png", "image/jpeg", "image/webp", "image/gif")


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """An image, a file or audio: its media type, its bytes in base64, its file name."""

    type: str
    base64: str
    name: str

    @property
    def url(self) -> str:
        """The medium as a data URL."""
        return f"data:{self.type};base64,{self.base64}"


def medium_of(content: bytes, name: str) -> Medium:
    """The medium in these bytes. Raises UnrenderableError if there are none or too many, or their type is unknown."""
    if len(content) > MOST_BYTES:
        raise UnrenderableError(f"{name} has more than {MOST_BYTES // 1_000_000} MB")
    if not content:
        raise UnrenderableError(f"{name} is empty")
    kind = _by_content(content) or mimetypes.guess_type(name)[0]
    if kind is None:
        raise UnrenderableError(f"the type of {name} is unknown: neither its first bytes nor its suffix tell it")
    return Medium(type=kind, base64=base64.b64encode(content).decode(), name=Path(name).name)


def medium_at(path: Path, shown: str) -> Medium:
    """The medium in the file at `path`, which messages call `shown`. Raises UnrenderableError."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnrenderableError(f"{shown} is not a file")
        if status.st_size > MOST_BYTES:
            raise UnrenderableError(f"{shown} has more than {MOST_BYTES // 1_000_000} MB")
        return _read(path, shown, status.st_mtime_ns, status.st_size)
    except FileNotFoundError as error:
        raise UnrenderableError(f"there is no file {shown}") from error
    except OSError as error:
        raise UnrenderableError(f"{shown} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise UnrenderableError(f"{shown!r} is not a path") from error


@lru_cache(maxsize=CACHED_FILES)
def _read(path: Path, shown: str, changed: int, size: int) -> Medium:
    """The file as a medium, cached because the same picture often goes with every row."""
    return medium_of(path.read_bytes(), shown)


def _by_content(content: bytes) -> str | None:
    for start, kind in FIRST_BYTES:
        if content.startswith(start):
            return kind
    if content.startswith(b"RIFF"):
        return CONTAINERS.get(content[8:12])
    is_mp3 = len(content) > 1 and content[0] == 0xFF and content[1] & 0xE6 == 0xE2  # MPEG frame sync, layer III
    return "audio/mpeg" if is_mp3 else None


def part_of(kind: str, source: Medium | str, extra: JsonObject) -> JsonObject:
    """The message part for a medium or a URL, with the keys of `extra` added; `kind` is image, file or audio.

    Raises UnrenderableError if the source can't be sent as this kind.
    """
    if kind == "image":
        return _image(source, extra)
    if kind == "file":
        name = source.name if isinstance(source, Medium) else _name_in(source)
        data = source.url if isinstance(source, Medium) else source
        return {"type": "file", "file": {"filename": name, "file_data": data}, **extra}
    return _audio(source, extra)


def _image(source: Medium | str, extra: JsonObject) -> JsonObject:
    if isinstance(source, Medium):
        if source.type not in IMAGES:
            raise UnrenderableError(
                f"{source.name} is not an image that models read (png, jpeg, webp, gif) but {source.type}"
            )
        source = source.url
    return {"type": "image_url", "image_url": {"url": source}, **extra}


def _audio(source: Medium | str, extra: JsonObject) -> JsonObject:
    if isinstance(source, str):
        header, comma, data = source.partition(";base64,")
        if not (header.startswith("data:") and comma):
            raise UnrenderableError("audio can't be sent as a URL, only as a file")
        source = Medium(type=header.removeprefix("data:").partition(";")[0], base64=data, name="the data URL")
    form = AUDIO_FORMATS.get(source.type)
    if form is None:
        raise UnrenderableError(
            f"{source.name} is not audio that models read (wav, mp3, flac, ogg, aac, m4a, aiff) but {source.type}"
        )
    return {"type": "input_audio", "input_audio": {"data": source.base64, "format": form}, **extra}


def _name_in(url: str) -> str:
    if url.startswith("data:"):
        suffix = mimetypes.guess_extension(url[5:].partition(";")[0]) or ""
        return f"file{suffix}"
    return url.partition("?")[0].rstrip("/").rpartition("/")[2] or "file"
