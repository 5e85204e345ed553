"""The page `/`: `/status` for a person, as one HTML file that loads nothing and has no script.

Jinja escapes every text. The content security policy allows the one style by its hash, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

import jinja2
from markupsafe import Markup

from batchfree.core.chat import JsonObject
from batchfree.core.text import clean


def status_page(status: JsonObject) -> str:
    """The HTML text for a value of `/status`."""
    return clean(_template().render(status=status, style=Markup(_part("status_page.css"))))


def policy() -> str:
    """The content security policy of the page."""
    digest = base64.b64encode(hashlib.sha256(_part("status_page.css").encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@cache
def _part(name: str) -> str:
    return (files("batchfree.gateway") / name).read_text(encoding="utf-8")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["moment"] = lambda text: text.replace("T", " ").replace("Z", " UTC") if text else ""
    return environment.from_string(_part("status_page.html.j2"))
