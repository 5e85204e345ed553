"""The starter that `batchfree init` writes: a commented job and a few prompts to try it on."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from batchfree.core.errors import OutputError

FILES = ("job.yaml", "prompts.jsonl")


def write(directory: Path) -> list[Path]:
    """Writes the starter into `directory`, which is made where it is missing, and returns the paths of its files.

    Nothing is ever overwritten: where one of the files is there already, OutputError names it and nothing is written.
    """
    targets = [directory / name for name in FILES]
    for target in targets:
        if target.exists() or target.is_symlink():
            raise OutputError(f"{target}: there already, so the starter was not written. Choose another folder.")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for target in targets:
            with target.open("xb") as file:
                file.write(files(__package__).joinpath(target.name).read_bytes())
    except OSError as error:
        raise OutputError(f"{error.filename or directory}: the starter can't be written: {error.strerror}.") from error
    return targets
