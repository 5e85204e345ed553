"""The files that `batchfree init` writes: a commented job and a few prompts."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from batchfree.core.errors import OutputError

FILES = ("job.yaml", "prompts.jsonl")


def write_starter(directory: Path) -> list[Path]:
    """Writes the files into `directory`, creates it if it is missing, and returns the paths of the files.

    If one of the files exists, nothing is written and OutputError names that file.
    """
    targets = [directory / name for name in FILES]
    for target in targets:
        if target.exists() or target.is_symlink():
            raise OutputError(f"{target}: this file exists already, so nothing was written. Choose another folder.")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for target in targets:
            with target.open("xb") as file:
                file.write(files(__package__).joinpath(target.name).read_bytes())
    except OSError as error:
        raise OutputError(f"{error.filename or directory}: can't be written: {error.strerror}.") from error
    return targets
