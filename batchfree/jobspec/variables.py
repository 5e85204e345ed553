"""`${VAR}` and `${VAR:-default}` in the values of a job spec.

Templates and data are left alone: `prompt`, `messages`, `system` and `answer`. `$${` stands for a literal `${`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from batchfree.core.text import KeyPath
from batchfree.jobspec.draft import Draft
from batchfree.jobspec.yaml.parse import plain_value

UNTOUCHED = {"prompt", "messages", "system", "answer"}

_VARIABLE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{")


def substitute(draft: Draft, environment: Mapping[str, str]) -> None:
    """Puts the environment's values in. An unquoted value is then read as YAML reads one: `${N}` may be a number."""
    for path, origin in list(draft.origins.items()):
        value = draft.get(*path)
        if not path or path[0] in UNTOUCHED or not isinstance(value, str) or "${" not in value:
            continue
        text = _fill(draft, path, value, environment)
        if text is not None:
            typed = plain_value(text) if origin.plain else text
            filled = any(match["name"] for match in _VARIABLE.finditer(value))
            draft.origins[path] = replace(origin, text=text, source=value if filled else None)
            draft.put(path, typed)


def reread(draft: Draft, path: KeyPath) -> bool:
    """Takes the other reading of what came from the environment, text or number, where the first one does not fit.

    The environment holds nothing but text: `name: ${YEAR}` stays text, and a quoted "${N}" may still be a number.
    """
    origin = draft.origins.get(path)
    if origin is None or origin.source is None or origin.text is None:
        return False
    draft.put(path, plain_value(origin.text) if isinstance(draft.get(*path), str) else origin.text)
    return True


def _fill(draft: Draft, path: KeyPath, text: str, environment: Mapping[str, str]) -> str | None:
    """The text with its variables filled in; None where a mistake was found."""
    complaints: list[str] = []

    def fill(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if match[0] == "$${":
            return "${"
        if name is None:
            complaints.append("a variable is written ${NAME} or ${NAME:-default}; a literal ${ is written $${")
            return ""
        value = environment.get(name)
        if default is not None:
            return value or default
        if value is None:
            complaints.append(f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}")
            return ""
        return value

    filled = _VARIABLE.sub(fill, text)
    for complaint in complaints:
        draft.blame(path, complaint)
    return None if complaints else filled
