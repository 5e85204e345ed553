"""Draws the sample images beside it, with nothing but the standard library: `python3 sample_data/images/draw.py`."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

SIZE = 128
"""Width and height in pixels."""

Colour = tuple[int, int, int]
Inside = Callable[[float, float], bool]
"""Whether a point lies in the figure; both coordinates run from 0 to 1, the second one downwards."""

WHITE, RED, BLUE, GREEN = (255, 255, 255), (220, 30, 30), (30, 70, 220), (20, 150, 60)
YELLOW, NIGHT, GREY = (250, 210, 20), (20, 25, 70), (70, 70, 70)


def in_polygon(corners: Sequence[tuple[float, float]]) -> Inside:
    """The even-odd rule."""
    sides = list(zip(corners, [*corners[1:], corners[0]], strict=True))

    def inside(x: float, y: float) -> bool:
        crossed = [ax + (y - ay) / (by - ay) * (bx - ax) for (ax, ay), (bx, by) in sides if (ay > y) != (by > y)]
        return sum(x < each for each in crossed) % 2 == 1

    return inside


def in_box(left: float, top: float, right: float, bottom: float) -> Inside:
    """An upright rectangle."""
    return lambda x, y: left <= x < right and top <= y < bottom


def in_circle(x: float, y: float) -> bool:
    """A circle around the middle."""
    return math.hypot(x - 0.5, y - 0.5) < 0.36


def star() -> Inside:
    """Five points, one up."""
    turns = [math.pi * each / 5 for each in range(10)]
    radii = [0.42 if each % 2 == 0 else 0.17 for each in range(10)]
    return in_polygon(
        [(0.5 + r * math.sin(t), 0.52 - r * math.cos(t)) for r, t in zip(radii, turns, strict=True)],
    )


def bars() -> list[tuple[Inside, Colour]]:
    """Four bars on a base line."""
    heights = (0.35, 0.5, 0.75, 0.2)
    figures: list[tuple[Inside, Colour]] = [
        (in_box(0.14 + 0.2 * place, 0.88 - height, 0.28 + 0.2 * place, 0.88), BLUE)
        for place, height in enumerate(heights)
    ]
    return [*figures, (in_box(0.08, 0.88, 0.94, 0.9), GREY), (in_box(0.08, 0.08, 0.1, 0.9), GREY)]


def png(background: Colour, figures: Sequence[tuple[Inside, Colour]]) -> bytes:
    """A PNG of 8-bit RGB pixels, later figures over earlier ones."""
    lines = bytearray()
    for row in range(SIZE):
        lines.append(0)  # the line's filter: none
        for column in range(SIZE):
            x, y = (column + 0.5) / SIZE, (row + 0.5) / SIZE
            lines += bytes(next((colour for inside, colour in reversed(figures) if inside(x, y)), background))
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(lines), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


PICTURES: dict[str, tuple[Colour, list[tuple[Inside, Colour]]]] = {
    "red_circle": (WHITE, [(in_circle, RED)]),
    "blue_square": (WHITE, [(in_box(0.18, 0.18, 0.82, 0.82), BLUE)]),
    "green_triangle": (WHITE, [(in_polygon([(0.5, 0.14), (0.88, 0.82), (0.12, 0.82)]), GREEN)]),
    "yellow_star": (NIGHT, [(star(), YELLOW)]),
    "bar_chart": (WHITE, bars()),
}

if __name__ == "__main__":
    for name, (background, figures) in PICTURES.items():
        Path(__file__).with_name(f"{name}.png").write_bytes(png(background, figures))
