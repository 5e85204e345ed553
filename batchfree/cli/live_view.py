"""The live view: a few lines at the bottom of a terminal, drawn again once a second."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Sequence

from batchfree.cli.terminal import columns, escape_control_characters, ignore_closed_terminal, wants_colours

REDRAW_EVERY = 1.0
"""Seconds between two drawings."""
STYLES = {
    re.compile(r"[\d,]+ ok"): "32",
    re.compile(r"(?<![\d,])(?!0 )[\d,]+ failed"): "31",
    re.compile(r"[\d,]+ without answer"): "33",
    re.compile(r"(waiting for the )?\w+ limit until [-\d: A-Z]+"): "33",
    re.compile(r"models failed: trying again at [-\d: A-Z]+"): "33",
    re.compile(r"stopping: [^·\n]*"): "1;33",
}
"""Pattern of a coloured text → code of its colour (ECMA-48, SGR). rich would take most of the view's CPU time."""


class LiveView:
    """Draws lines with a thread of its own.

    Every drawing ends with a line break, and the cursor is never hidden. So the terminal stays usable even if the
    process is killed. The lines are removed completely also after the window became narrower.
    """

    def __init__(self, lines: Callable[[int], Sequence[str]]) -> None:
        """`lines` returns what to draw for a width in columns."""
        self._lines = lines
        self._drawn: list[str] = []
        self._lock, self._over = threading.RLock(), threading.Event()
        self._thread = threading.Thread(target=self._redraw, name="live view", daemon=True)

    def start(self) -> None:
        """Begins to draw."""
        self._thread.start()

    def stop(self) -> None:
        """Removes the lines; nothing is drawn from now on."""
        self._over.set()
        self._thread.join()
        self.hide()

    def hide(self) -> None:
        """Removes the lines until the next drawing, so that something else can be printed."""
        with self._lock, ignore_closed_terminal():
            _write(self._eraser(columns()))
            self._drawn = []

    def _redraw(self) -> None:
        while not self._over.wait(REDRAW_EVERY if self._drawn else REDRAW_EVERY / 4):
            with self._lock, ignore_closed_terminal():
                width = columns()
                lines = [escape_control_characters(line) for line in self._lines(width - 1)]
                if lines != self._drawn:
                    _write(self._eraser(width) + _coloured(lines))
                    self._drawn = lines

    def _eraser(self, width: int) -> str:
        """The control sequence that goes to the first drawn line and clears the screen from there."""
        if not self._drawn:
            return ""
        from rich.cells import cell_len

        rows = sum(max(1, -(-cell_len(line) // width)) for line in self._drawn)
        return f"\r\x1b[{rows}A\x1b[J"


def _coloured(lines: Sequence[str]) -> str:
    """The lines with colours, if they are wanted."""
    text = "".join(f"{line}\n" for line in lines)
    if not wants_colours():
        return text
    for pattern, code in STYLES.items():
        text = pattern.sub(f"\x1b[{code}m\\g<0>\x1b[0m", text)
    return text


def _write(text: str) -> None:
    if text:
        sys.stderr.write(text)
        sys.stderr.flush()
