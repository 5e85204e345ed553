"""`${VAR}` and `${VAR:-default}` in the values of a job spec.

`prompt`, `messages`, `system` and `answer` are left alone, because they are templates or data. `$${` means a literal
`${`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from batchfree.core.text import KeyPath, is_utf8
from batchfree.jobspec.draft import Draft
from batchfree.jobspec.yaml.parse import plain_value

KEY_VARIABLE = "OPENROUTER_API_KEY"
"""The variable of the API key, if the job names no other."""
LEDGER_VARIABLE = "BATCHFREE_LEDGER"
"""The variable with the URL of a quota ledger that several machines share. The URL may contain a password."""
UNTOUCHED = {"prompt", "messages", "system", "answer"}

_VARIABLE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{")


def substitute(draft: Draft, environment: Mapping[str, str]) -> None:
    """Fills in the values of variables. An unquoted value is then read again as YAML: `${N}` may be a number."""
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
    """Reads a value from the environment in the other way: text as a number, a number as text.

    The environment holds only text. So `name: ${YEAR}` may be text although it looks like a number, and a quoted
    "${N}" may be a number. Returns whether the value comes from the environment.
    """
    origin = draft.origins.get(path)
    if origin is None or origin.source is None or origin.text is None:
        return False
    draft.put(path, plain_value(origin.text) if isinstance(draft.get(*path), str) else origin.text)
    return True


def _fill(draft: Draft, path: KeyPath, text: str, environment: Mapping[str, str]) -> str | None:
    """The text with its variables filled in; None if a mistake was found."""
    key_variable = draft.get("endpoint", "api_key_env") or KEY_VARIABLE
    complaints: list[str] = []

    def fill(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if match[0] == "$${":
            return "${"
        if name is None:
            complaints.append("a variable is written ${NAME} or ${NAME:-default}; a literal ${ is written $${")
            return ""
        value = environment.get(name)
        if name == key_variable:
            complaints.append(f"{name} holds the API key, which never stands in a job; leave it out here")
            return ""
        if name in (LEDGER_VARIABLE, "PGPASSWORD"):
            complaints.append(f"{name} may hold a password, which never stands in a job; leave it out here")
            return ""
        if value is not None and not is_utf8(value):
            complaints.append(f"the environment variable {name} holds bytes that are not UTF-8 text; set it again")
        if default is not None:
            return value or default
        if value is None:
            complaints.append(f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}")
        return value or ""

    filled = _VARIABLE.sub(fill, text)
    for complaint in complaints:
        draft.blame(path, complaint)
    return None if complaints else filled
