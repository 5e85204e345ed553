"""The child process of `endpoint: llama`: llama.cpp's own server in the wheel `xllamacpp`.

It runs as a file of its own and imports nothing of batchfree. It prints the address of the server, and ends when its
stdin is closed or its parent is gone.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import threading
from typing import Any

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that the kernel sends to this process when its parent ends."""
ERRORS_ONLY = 1
"""llama.cpp's lowest level of messages that still holds errors."""


def main() -> None:
    """Serves a model. The argument describes it as JSON: path, name, context, threads and parent."""
    settings = json.loads(sys.argv[1])
    _end_with_parent(settings["parent"])
    with os.fdopen(os.dup(1), "w") as parent:
        os.dup2(2, 1)  # llama.cpp may print to stdout
        server = _serve(settings)
        print(server.listening_address, file=parent, flush=True)
    threading.Event().wait()


def _end_with_parent(parent: int) -> None:
    """Ends this process when its parent ends: by the kernel's signal, and when stdin is closed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before the kernel was asked
            os._exit(0)
    threading.Thread(target=_watch_stdin, daemon=True).start()


def _watch_stdin() -> None:
    while os.read(0, 1):
        pass
    os._exit(0)


def _serve(settings: dict[str, Any]) -> Any:
    """The server, on a free port of the loopback. It has one slot, so the common beginning of the rows is read once."""
    xllamacpp = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = settings["path"]
    params.model_alias = {settings["name"]}
    params.n_ctx, params.n_parallel = settings["context"], 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.cache_ram_mib = 0  # else it keeps the state of old prompts, up to 8 GB
    params.ui, params.verbosity = False, ERRORS_ONLY
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
