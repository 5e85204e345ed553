"""llama.cpp's own server for one model, in a child process that ends with this one."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from subprocess import PIPE
from typing import IO

import anyio
from anyio.abc import Process

from batchfree.core.errors import BatchfreeError, Mistake, SpecError

CHILD = Path(__file__).with_name("child.py")
CONTEXT = 8192
"""Tokens of the context if the job gives none. llama.cpp takes the model's own context if that is smaller."""
START_TIMEOUT_S = 600.0
"""Longest time in seconds for loading a model."""
POLL_S = 0.1
"""Seconds between two checks that the server is ready."""
CAUSES: dict[int, str] = {
    signal.SIGILL: "this processor lacks instructions that the wheel of llama.cpp uses, such as AVX2",
    signal.SIGKILL: "perhaps this machine has too little memory",
}
"""Signal that ended the server → the likely cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaModel:
    """What llama.cpp runs: `name` is the model's id, `context` in tokens; None for the defaults."""

    path: Path
    name: str
    context: int | None = None
    threads: int | None = None


class LlamaServer:
    """A server that is ready for requests at `base_url`."""

    def __init__(self, base_url: str, process: Process, log: IO[bytes]) -> None:
        """`log` is the file that the process writes its errors to."""
        self.base_url = base_url
        self._process, self._log = process, log

    async def wait_for_end(self) -> str:
        """Waits until the server has ended by itself. Returns a sentence that says why. A cancellation is harmless."""
        await self._process.wait()
        return end_of(self._process, self._log)


@asynccontextmanager
async def run_llama(model: LlamaModel) -> AsyncIterator[LlamaServer]:
    """Loads the model and serves it on a free port of the loopback, until the block ends.

    Raises BatchfreeError if the server does not start. A cancellation ends the server.
    """
    settings = {
        "path": str(model.path),
        "name": model.name,
        "context": model.context or CONTEXT,
        "threads": model.threads or default_threads(),
        "parent": os.getpid(),
    }
    command = [sys.executable, str(CHILD), json.dumps(settings)]
    with tempfile.TemporaryFile() as log:
        # In a session of its own, so that Ctrl-C does not end it before the answers in flight are there.
        process = await anyio.open_process(command, stdin=PIPE, stdout=PIPE, stderr=log, start_new_session=True)
        try:
            yield LlamaServer(await _ready(process, log), process, log)
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)


def check_installed() -> None:
    """Raises SpecError if the extra `llama` is not installed."""
    if find_spec("xllamacpp") is None:
        message = "llama.cpp is not installed here; install it with: pip install 'batchfree[llama]'"
        raise SpecError([Mistake(key="endpoint", message=message)])


def default_threads() -> int:
    """Half of the cores: more threads than free cores make llama.cpp many times slower."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // 2)


async def _ready(process: Process, log: IO[bytes]) -> str:
    """The base URL, once the server has said that it is healthy. Raises BatchfreeError."""
    assert process.stdout is not None
    try:
        with anyio.fail_after(START_TIMEOUT_S):
            address = b""
            while not address.endswith(b"\n"):
                address += await process.stdout.receive()
            url = address.decode().strip()
            await _healthy(url, process)
            return f"{url}/v1"
    except TimeoutError:
        raise BatchfreeError(f"the server of llama.cpp was not ready within {START_TIMEOUT_S:g} s") from None
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        await process.wait()
        raise BatchfreeError(end_of(process, log)) from None


async def _healthy(url: str, process: Process) -> None:
    """Waits for the answer 200 to `/health`. The server gets no other request before, since it may not listen yet."""
    import httpx

    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
        while process.returncode is None:
            try:
                if (await client.get(f"{url}/health")).status_code == httpx.codes.OK:
                    return
            except httpx.RequestError:
                pass
            await anyio.sleep(POLL_S)
    raise anyio.EndOfStream


async def _end(process: Process) -> None:
    """Ends the server at once; it holds nothing that could be lost."""
    if process.returncode is None:
        process.kill()
    await process.aclose()


def end_of(process: Process, log: IO[bytes]) -> str:
    """The sentence about a server that has ended: the signal that ended it, or the error of llama.cpp."""
    code = process.returncode or 0
    ended = f"was ended by the signal {signal.Signals(-code).name}" if code < 0 else f"has ended with code {code}"
    cause = CAUSES.get(-code) or _first_error(log) or "it gives no reason"
    return f"the server of llama.cpp {ended}: {cause}"


def _first_error(log: IO[bytes]) -> str:
    """The first error of llama.cpp, such as `0.00.003 E gguf_init: invalid magic characters`, else the last line."""
    size = os.fstat(log.fileno()).st_size
    text = os.pread(log.fileno(), size, 0)  # a seek would also move the place where the server writes
    lines = text.decode(errors="replace").splitlines()
    errors = [line.partition(" E ")[2] for line in lines if " E " in line]
    return " ".join((errors or lines[-1:] or [""])[0].split())
