"""Defaults that depend on the job file's folder or on other keys: absolute paths, names, limits of free routes.

The data may still hold mistakes. A value of the wrong type is left as it is and reported later.
"""

from __future__ import annotations

import re
from pathlib import Path

from batchfree.core.chat import Json
from batchfree.core.parts import WHOLE, table_path
from batchfree.core.routes import FREE_REQUESTS_PER_MINUTE, FREE_ROUTER, LOCAL, is_free_route, llama_model
from batchfree.core.urls import EMBEDDED, LLAMA, WORDS, is_openrouter, normalize_base_url
from batchfree.jobspec.draft import Draft
from batchfree.jobspec.rules.base_url import base_url_complaints

LLAMA_CONCURRENCY = 2
"""Requests in flight at llama.cpp. It answers one at a time; the second one waits there, so it never idles."""
SECTIONS = ("answer", "request", "router", "votes", "limits", "retry", "output", "endpoint", "executor")

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def absolute(path: str, folder: Path, home: Path) -> str:
    """The absolute path, starting at the job file's folder. URLs stay; `~` is the home folder; `..` is resolved."""
    if _URL.match(path) or not path.strip():
        return path
    if path == "~" or path.startswith(("~/", "~\\")):
        path = str(home) + path[1:]
    return _tidy(folder / path)


def _folder_of(output: Path) -> Path:
    """The folder that contains the output, which is a file or a folder of parts."""
    return output.parent.parent if output.name == WHOLE.file else output.parent


def complete(draft: Draft, file: Path, home: Path) -> None:
    """Fills in the values that a run needs and a user may leave out."""
    data, folder = draft.data, file.parent
    for section in SECTIONS:
        if data.get(section) is None:
            data[section] = {}
    if data.get("input") is None:
        data.pop("input", None)
    if data.get("name") is None:
        data["name"] = file.stem
    _complete_votes(draft)
    if _is_own(draft) and isinstance(data["router"], dict):
        data["router"].setdefault("route", None)
    if isinstance(value := draft.get("router", "route"), str):
        data["router"]["route"] = [value]
    _complete_input(draft, folder, home)
    _complete_places(draft, folder, home)
    _complete_llama(draft, folder, home)
    _complete_limits(draft)
    base_url = draft.get("endpoint", "base_url")
    if isinstance(base_url, str) and not any(base_url_complaints(base_url)):
        data["endpoint"]["base_url"] = normalize_base_url(base_url)


def _complete_input(draft: Draft, folder: Path, home: Path) -> None:
    """Makes one path a list, and the paths absolute."""
    given = draft.data.get("input")
    if not isinstance(given, dict):
        return
    for key in ("path", "files"):
        paths = [given[key]] if isinstance(given.get(key), str) else given.get(key)
        if isinstance(paths, list):
            given[key] = [absolute(path, folder, home) if isinstance(path, str) else path for path in paths]


def _complete_places(draft: Draft, folder: Path, home: Path) -> None:
    """Fills in the output, and the run folder beside it."""
    data, name = draft.data, draft.data["name"] or "job"
    output = data["output"]
    if isinstance(output, dict):
        if output.get("path") is None:
            output["path"] = f"{name}.parquet"
        if isinstance(output["path"], str):
            output["path"] = table_path(output["path"])
            output["path"] = absolute(output["path"], folder, home)
    run_dir = data.get("run_dir")
    if isinstance(run_dir, str):
        data["run_dir"] = absolute(run_dir, folder, home)
    elif run_dir is None:
        table = draft.get("output", "path")
        beside = _folder_of(Path(table)) if isinstance(table, str) else folder
        data["run_dir"] = str(beside / f"{name}.run")


def _complete_votes(draft: Draft) -> None:
    """A number N of votes means at least N and at most N + 2.

    With votes or a pilot the default route is `local`, since the service cannot be told which models a row has had.
    """
    data, router = draft.data, draft.data["router"]
    votes = data["votes"]
    if isinstance(votes, int) and not isinstance(votes, bool):
        data["votes"] = votes = {} if votes == 1 else {"min": votes, "max": votes + 2, "agree": 1}
    if isinstance(votes, dict) and votes and votes.get("max") is None and isinstance(votes.get("min", 1), int):
        votes["max"] = votes.get("min", 1) + 2
    more = isinstance(votes, dict) and votes.get("max", 1) != 1
    asks_votes = more or data.get("pilot") is not None
    if isinstance(router, dict) and router.get("route") is None and asks_votes and not _is_own(draft):
        router["route"] = LOCAL


def _complete_llama(draft: Draft, folder: Path, home: Path) -> None:
    """On `llama` the route is the one model, whatever the job says about other models."""
    endpoint, router, limits = (draft.data[section] for section in ("endpoint", "router", "limits"))
    if not isinstance(endpoint, dict):
        return
    file = endpoint.get("llama")
    if file is not None:
        endpoint.setdefault("base_url", LLAMA)
    if isinstance(file, str):
        endpoint["llama"] = absolute(file, folder, home)
    if endpoint.get("base_url") != LLAMA:
        return
    if isinstance(router, dict):
        name = llama_model(file if isinstance(file, str) else None)
        router |= {"route": [name], "only": [], "exclude": [], "min_context": None}
    if isinstance(limits, dict):
        limits.setdefault("concurrency", LLAMA_CONCURRENCY)


def _complete_limits(draft: Draft) -> None:
    """Fills in the limits: on free routes 20 requests a minute and the service's limit of the day, else no limits.

    On a server of the user's own, a job may leave the route out. Then the run fills in the limits when it knows the
    models. The embedded emulation has no limits of its own. Null means the same as leaving a key out.
    """
    limits = draft.data["limits"]
    if not isinstance(limits, dict):
        return
    route = draft.get("router", "route")
    free = _free(route) and draft.get("endpoint", "base_url") != EMBEDDED and not (route is None and _is_own(draft))
    if limits.get("requests_per_minute") is None:
        limits["requests_per_minute"] = FREE_REQUESTS_PER_MINUTE if free else None
    if limits.get("requests_per_day") in (None, "auto"):
        limits["requests_per_day"] = "auto" if free else None


def _is_own(draft: Draft) -> bool:
    """Whether the endpoint is a server of the user's own."""
    base_url = draft.get("endpoint", "base_url")
    return isinstance(base_url, str) and base_url not in WORDS and not is_openrouter(base_url)


def _free(route: Json) -> bool:
    """Whether the free limits apply: any of the routes is free, or no route is given."""
    routes = route if isinstance(route, list) else [FREE_ROUTER]
    return any(isinstance(each, str) and is_free_route(each) for each in routes)


def _tidy(path: Path) -> str:
    """The path without `.` and `..`. The job file's folder has no links in it, so `..` may be resolved as text."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and len(parts) > 1:
            parts.pop()
        elif part != "..":
            parts.append(part)
    return str(Path(*parts))
