"""What can honestly be told of a picture with the standard library: format, size, colours, a plain figure.

PNG is decoded (8 bits a channel, not interlaced); of JPEG, GIF and WebP only the head is read.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache

from batchfree.emulator.mind.figures import figure

MOST_PIXELS = 150_000
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
COLOURS = {
    "black": (0, 0, 0), "white": (255, 255, 255), "gray": (128, 128, 128), "red": (220, 30, 30), "green": (30, 160, 50),
    "blue": (40, 70, 210), "yellow": (245, 220, 40), "orange": (245, 140, 30), "purple": (130, 50, 160),
    "pink": (250, 150, 190), "brown": (130, 80, 40), "cyan": (60, 200, 220),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Format, size in pixels (0: unknown), the names of its commonest colours with their shares, the mean colour."""

    format: str
    width: int = 0
    height: int = 0
    colours: tuple[tuple[str, float], ...] = ()
    mean: tuple[int, int, int] | None = None
    whole: bool = True
    figure: str | None = None
    """The name of the one figure in it."""

    @property
    def dominant(self) -> str | None:
        return self.colours[0][0] if self.colours else None

    def describe(self) -> str:
        """One or two sentences."""
        form = (
            "landscape" if self.width > self.height else "portrait" if self.width < self.height else "as wide as high"
        )
        size = f", {self.width} × {self.height} pixels, {form}" if self.width else ""
        text = f"A {self.format} picture{size}." + (f" It shows a {self.figure}." if self.figure else "")
        if self.colours:
            listed = ", ".join(f"{name} ({share:.0%})" for name, share in self.colours)
            part = "" if self.whole else " in its upper part"
            text += f" Its commonest colours{part} are {listed}; the mean colour is #{bytes(self.mean or ()).hex()}."
        return text


def from_url(url: str) -> Picture | None:
    """The picture in a data URL; None for anything else: the emulation fetches nothing."""
    if not url.startswith("data:") or ";base64," not in url[:100]:
        return None
    try:
        return look(base64.b64decode(url.split(",", 1)[1], validate=True))
    except (binascii.Error, ValueError):
        return None


@lru_cache(maxsize=256)
def look(data: bytes) -> Picture | None:
    """What the bytes show; None where they are no picture."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) > 33:
        return _png(data)
    if data[:6] in (b"GIF87a", b"GIF89a"):
        width, height = struct.unpack("<HH", data[6:10])
        return Picture(format="GIF", width=width, height=height)
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def _jpeg(data: bytes) -> Picture:
    place = 2
    while place + 9 < len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            return Picture(format="JPEG", width=width, height=height)
        place += 2 + length
    return Picture(format="JPEG")


def _webp(data: bytes) -> Picture:
    if data[12:16] == b"VP8X" and len(data) >= 30:
        width = 1 + int.from_bytes(data[24:27], "little")
        return Picture(format="WebP", width=width, height=1 + int.from_bytes(data[27:30], "little"))
    return Picture(format="WebP")


def _png(data: bytes) -> Picture:
    width, height, depth, kind, _, _, interlace = struct.unpack(">IIBBBBB", data[16:29])
    chunks = dict[bytes, bytes]()
    place = 8
    while place + 8 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        name = data[place + 4 : place + 8]
        chunks[name] = chunks.get(name, b"") + data[place + 8 : place + 8 + length]
        place += 12 + length
    plain = Picture(format="PNG", width=width, height=height)
    if depth != 8 or interlace or kind not in CHANNELS or not width or not height:
        return plain
    rows = min(height, max(1, MOST_PIXELS // width))
    stride = width * CHANNELS[kind]
    try:
        raw = zlib.decompressobj().decompress(chunks.get(b"IDAT", b""), (stride + 1) * rows)
    except zlib.error:
        return plain
    data_of_pixels = _unfiltered(raw, stride, CHANNELS[kind])
    pixels = _colours(data_of_pixels, kind, chunks.get(b"PLTE", b""))
    if not pixels:
        return plain
    picture = _with_colours(plain, pixels, whole=rows == height)
    return replace(picture, figure=figure(data_of_pixels, width, CHANNELS[kind])) if picture.whole else picture


def _unfiltered(raw: bytes, stride: int, step: int) -> bytearray:
    """The bytes of the rows with PNG's five filters undone."""
    out = bytearray()
    above = bytearray(stride)
    for start in range(0, len(raw) - stride, stride + 1):
        kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + stride])
        if kind:
            _undo(kind, row, above, step)
        out += row
        above = row
    return out


def _undo(kind: int, row: bytearray, above: bytearray, step: int) -> None:
    for place in range(len(row)):
        left = row[place - step] if place >= step else 0
        up = above[place]
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = up
        elif kind == 3:
            guess = (left + up) // 2
        else:
            corner = above[place - step] if place >= step else 0
            guess = min(
                (abs(up - corner), 0, left), (abs(left - corner), 1, up), (abs(left + up - 2 * corner), 2, corner)
            )[2]
        row[place] = (row[place] + guess) & 255


def _colours(data: bytearray, kind: int, palette: bytes) -> Counter[tuple[int, int, int]]:
    step = CHANNELS[kind]
    if kind in (2, 6):
        return Counter(zip(data[0::step], data[1::step], data[2::step], strict=False))
    if kind == 3:
        shades = Counter(data)
        return Counter({_rgb(palette[3 * index : 3 * index + 3]): count for index, count in shades.items()})
    return Counter({(shade, shade, shade): count for shade, count in Counter(data[0::step]).items()})


def _rgb(data: bytes) -> tuple[int, int, int]:
    return (data[0], data[1], data[2]) if len(data) == 3 else (0, 0, 0)


def _with_colours(plain: Picture, pixels: Counter[tuple[int, int, int]], *, whole: bool) -> Picture:
    total = pixels.total()
    named: Counter[str] = Counter()
    for colour, count in pixels.items():
        named[_name(colour)] += count
    means = [sum(colour[channel] * count for colour, count in pixels.items()) // total for channel in range(3)]
    return Picture(
        format=plain.format,
        width=plain.width,
        height=plain.height,
        colours=tuple((name, count / total) for name, count in named.most_common(3) if count / total >= 0.01),
        mean=(means[0], means[1], means[2]),
        whole=whole,
    )


@lru_cache(maxsize=20_000)
def _name(colour: tuple[int, int, int]) -> str:
    return min(COLOURS, key=lambda name: sum((a - b) ** 2 for a, b in zip(colour, COLOURS[name], strict=True)))
