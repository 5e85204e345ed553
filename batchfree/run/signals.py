"""Signals: after the first one the answers in flight may still arrive; a second one ends the process at once.

A thread of its own waits for signals. So a second signal works even while the event loop computes or waits for compiled
code.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from types import FrameType

from anyio.from_thread import BlockingPortal

from batchfree.core.stops import Stopped, StopReason
from batchfree.run.switch import Switch

SIGNALS = {
    signal.SIGINT: StopReason.INTERRUPTED,
    signal.SIGTERM: StopReason.TERMINATED,
    signal.SIGHUP: StopReason.TERMINATED,
}
LAST_WORD_S = 0.5
"""Longest time in seconds for `before_leaving`, because a stopped terminal blocks its output."""
before_leaving: Callable[[], object] | None = None
"""Called before a second signal ends the process, to clear the terminal and say so."""
SAME_WISH_S = 1.0
"""Seconds in which the same signal counts once. `timeout` of coreutils sends SIGTERM twice within a millisecond."""


def is_interruption(stopped: Stopped | None) -> bool:
    """Whether a signal ended the run."""
    return stopped is not None and stopped.reason in SIGNALS.values()


@asynccontextmanager
async def stop_on_signals(switch: Switch) -> AsyncIterator[None]:
    """Inside the block a signal throws the switch, and a second one ends the process. The next run continues.

    Must be entered in the main thread. A cancellation restores the earlier handlers.
    """

    def stop(number: signal.Signals) -> None:
        message = f"{number.name} received; the answers in flight were recorded"
        stopped = Stopped(reason=SIGNALS[number], message=message)

        def throw() -> None:
            with suppress(RuntimeError):  # the run has ended meanwhile
                portal.start_task_soon(_throw, switch, stopped)

        # The call waits for the event loop, and the reader must be free for a second signal while the loop computes.
        threading.Thread(target=throw, daemon=True).start()

    async with BlockingPortal() as portal:
        with _listening(SignalReader(stop)):
            yield


async def _throw(switch: Switch, stopped: Stopped) -> None:
    switch.throw(stopped, force=True)


def _leave(code: int) -> None:
    """Ends the process at once."""
    if before_leaving is not None:
        last_word = threading.Thread(target=before_leaving, daemon=True)
        last_word.start()
        last_word.join(LAST_WORD_S)
    os._exit(code)


class SignalReader:
    """Decides what each signal means: the first one stops the run, another one ends the process."""

    def __init__(
        self,
        stop: Callable[[signal.Signals], None],
        leave: Callable[[int], object] = _leave,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stop, self._leave, self._monotonic = stop, leave, monotonic
        self._first: signal.Signals | None = None
        self._at = 0.0

    def take(self, number: signal.Signals) -> None:
        """Acts on one signal. The same signal again within a second counts as one signal."""
        now = self._monotonic()
        if self._first is None:
            self._first, self._at = number, now
            self._stop(number)
        elif number is not self._first or now - self._at > SAME_WISH_S:
            self._leave(Stopped(reason=SIGNALS[self._first], message="").exit_code)


@contextmanager
def _listening(reader: SignalReader) -> Iterator[None]:
    """Inside the block a thread passes signals to the reader.

    Python writes the number of a signal to the wakeup socket in the signal handler itself, so the thread need not wait
    until the main thread runs Python code again.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    thread = threading.Thread(target=_pass_on, args=(ours, reader), name="signals", daemon=True)
    wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _ignore) for number in SIGNALS}
    thread.start()
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        theirs.close()
        thread.join()
        ours.close()


def _pass_on(numbers: socket.socket, reader: SignalReader) -> None:
    while received := numbers.recv(64):
        for number in received:
            if number in SIGNALS:
                reader.take(signal.Signals(number))


def _ignore(number: int, frame: FrameType | None) -> None:
    """Does nothing: the thread has the signal already. A handler must be set, or the signal would end the process."""
