"""The repository's Markdown: pages, links, headings, tables and code blocks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
NOT_OURS = {"node_modules", "demo-output", "test-output", "build", "dist", "site"}
"""Folders that are made here, besides those whose names begin with a dot."""


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def prose(self) -> str:
        """The text without its code blocks."""
        return FENCE.sub("", self.text)

    def blocks(self, *languages: str) -> list[str]:
        """The code blocks in one of the languages."""
        return [body for language, body in FENCE.findall(self.text) if language in languages]

    def links(self) -> list[str]:
        """Links that stay in the repository."""
        return [link for link in LINK.findall(self.prose) if "://" not in link and not link.startswith("mailto:")]

    def anchors(self) -> set[str]:
        """What GitHub makes of the headings, and the anchors that are set by hand."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        return made | set(re.findall(r'<a id="([^"]+)"></a>', self.prose))

    def table(self, mark: str) -> list[list[str]]:
        """The rows below the head of the table that follows `<!-- table: mark -->`, head first."""
        following = self.text.split(f"<!-- table: {mark} -->\n", 1)[1].split("\n\n", 1)[0]
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in following.splitlines()]
        return [rows[0], *rows[2:]]


def files(pattern: str) -> Iterator[Path]:
    """The files of the project with such a name; folders in which programs work meanwhile are left out."""
    for folder, below, _ in os.walk(ROOT):
        below[:] = sorted(name for name in below if not name.startswith(".") and name not in NOT_OURS)
        yield from sorted(Path(folder).glob(pattern))


def pages() -> list[Page]:
    """Every Markdown file of the project."""
    return [Page(path) for path in files("*.md")]


def page(path: str) -> Page:
    return Page(ROOT / path)
