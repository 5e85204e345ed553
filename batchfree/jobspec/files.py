"""The files that a job spec is read from: the job file itself, and a schema that it points to."""

from __future__ import annotations

from pathlib import Path

from batchfree.core.errors import Mistake
from batchfree.jobspec.yaml.parse import MAX_BYTES, decode


def read_text(path: Path, shown: str) -> str | Mistake:
    """The text of a file; `shown` is its name in messages."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return Mistake(file=shown, message="there is no such file")
    except IsADirectoryError:
        return Mistake(file=shown, message="this is a folder, not a file")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "the path is not valid"
        return Mistake(file=shown, message=f"the file can't be read: {reason}")
    return decode(content, shown)


def placed(path: Path) -> Path:
    """The absolute path of a file, with links in its folder followed but not the file itself."""
    return path.parent.resolve() / path.name


def home() -> Path:
    """The user's home folder, for `~`."""
    return Path("~").expanduser()
