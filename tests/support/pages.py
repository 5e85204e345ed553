"""The pages that a user reads: the README and the pages in batchfree/docs/."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = {page: page.read_text(encoding="utf-8") for page in sorted((ROOT / "batchfree" / "docs").glob("*.md"))}
PAGES = {ROOT / "README.md": README, **DOCS}
WHOLE = "\n".join(PAGES.values())
"""The text of all pages."""


def marked_part(name: str) -> str:
    """The text between `<!-- name -->` and `<!-- /name -->` on one of the pages."""
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", WHOLE, re.DOTALL)
    assert found, f"no page has a part marked {name}"
    return found[1]


def section(title: str) -> str:
    """The section of the README with this title."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## )", README, re.DOTALL | re.MULTILINE)
    assert found, f"the README has no section {title}"
    return found[1]


def code_blocks(language: str, text: str = WHOLE) -> list[str]:
    """The content of the code blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
