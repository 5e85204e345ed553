"""A few lines at the bottom of a terminal that are drawn anew once a second."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from batchfree.cli.terminal import columns, escape_control_characters, ignore_closed_terminal

if TYPE_CHECKING:
    from rich.text import Text

REDRAW_EVERY = 1.0
"""Seconds between two drawings."""
STYLES = {
    r"[\d,]+ failed": "red",
    r"\d+ without answer": "yellow",
    r"(waiting for the )?\w+ limit until [-\d: A-Z]+": "yellow",
    r"stopping: [^·]*": "bold yellow",
    r"[\d,]+ ok": "green",
}
"""Colours of what stands out. `0 failed` stays plain."""


class LiveView:
    """Draws lines with a thread of its own.

    Every drawing ends with a line break and the cursor is never hidden, so the terminal is in order even after the
    process was killed. If the window has become narrower, the terminal has broken the old lines; they are removed all
    the same.
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
        """Moves the cursor to the first of the drawn lines and clears the rest of the screen."""
        if not self._drawn:
            return ""
        from rich.cells import cell_len

        rows = sum(max(1, -(-cell_len(line) // width)) for line in self._drawn)
        return f"\r\x1b[{rows}A\x1b[J"


def _coloured(lines: Sequence[str]) -> str:
    """The lines with colours, if the terminal has any and NO_COLOR is not set."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with console.capture() as capture:
        for line in lines:
            console.print(_styled(Text(line)))
    return capture.get()


def _styled(text: Text) -> Text:
    for pattern, style in STYLES.items():
        if not (style == "red" and " 0 failed" in text.plain):
            text.highlight_regex(pattern, style)
    return text


def _write(text: str) -> None:
    if text:
        sys.stderr.write(text)
        sys.stderr.flush()
