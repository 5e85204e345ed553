"""Format and size of a picture, read from its first bytes."""

from __future__ import annotations

import base64
import binascii
import struct

UNSEEN = "A picture that the emulation can't open: it fetches nothing."


def describe_picture(url: str) -> str:
    """One sentence about the picture in a data URL. Other URLs are not fetched."""
    data = b""
    if url.startswith("data:") and ";base64," in url[:100]:
        try:
            data = base64.b64decode(url.split(",", 1)[1], validate=True)
        except (binascii.Error, ValueError):
            return UNSEEN
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        return _sentence("PNG", struct.unpack(">II", data[16:24]))
    if data[:6] in (b"GIF87a", b"GIF89a") and len(data) >= 10:
        return _sentence("GIF", struct.unpack("<HH", data[6:10]))
    if data.startswith(b"\xff\xd8"):
        return "A JPEG picture."
    return "A WebP picture." if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else UNSEEN


def _sentence(format: str, size: tuple[int, ...]) -> str:
    width, height = size
    shape = "landscape" if width > height else "portrait" if width < height else "square format"
    return f"A {format} picture, {width} × {height} pixels, {shape}."
