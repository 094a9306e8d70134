"""Hooks of mkdocs.yml: folders in the navigation, and links that leave docs/.

On a code-hosting site `[CONTRIBUTING.md](../CONTRIBUTING.md)` works as it stands. On the documentation's own site there
is no such page. With `DOCS_REPOSITORY_URL=https://HOST/NAME/blob/main` the link leads there; without, the words remain.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

FENCED = re.compile(r"^(```.*?^```$)", re.DOTALL | re.MULTILINE)
OUTSIDE = re.compile(r"(?<!!)\[([^\]]+)\]\((\.\./[^)\s]+)\)")


def on_config(config: Any) -> Any:
    """MkDocs calls this with what mkdocs.yml says."""
    config["nav"] = expanded(config["nav"], Path(config["docs_dir"]))
    return config


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """MkDocs calls this with the text of each page before it is rendered."""
    return with_links(markdown, page.file.src_uri, config["extra"].get("repository_url") or "")


def expanded(nav: Any, docs: Path) -> Any:
    """The navigation with each `FOLDER/*` replaced by the folder's pages, README.md first; an empty one is left out."""
    if isinstance(nav, str):
        return pages_in(docs / nav[:-2], docs) if nav.endswith("/*") else nav
    if isinstance(nav, dict):
        return {title: expanded(below, docs) for title, below in nav.items()}
    parts = [expanded(part, docs) for part in nav]
    return [part for part in parts if not (isinstance(part, dict) and [] in part.values())]


def pages_in(folder: Path, docs: Path) -> list[str]:
    """The pages of a folder, relative to docs/."""
    found = sorted(folder.glob("*.md"), key=lambda page: (page.name != "README.md", page.name))
    return [page.relative_to(docs).as_posix() for page in found]


def with_links(markdown: str, page: str, repository_url: str) -> str:
    """The text with its links out of docs/ replaced.

    Args:
        page: path of the page below docs/.
        repository_url: where the repository's files are read, or empty.
    """
    def replaced(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link[2]))
        if target.startswith("docs/"):
            return link[0]
        return f"[{link[1]}]({repository_url.rstrip('/')}/{target})" if repository_url else link[1]

    parts = FENCED.split(markdown)
    return "".join(part if part.startswith("```") else OUTSIDE.sub(replaced, part) for part in parts)
