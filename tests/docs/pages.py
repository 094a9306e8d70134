"""The repository's Markdown: pages, links, headings, tables and code blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
NOT_OURS = {".venv", ".environment", "node_modules", "demo-output", "test-output", "build", "dist", "site"}


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


def pages() -> list[Page]:
    """Every Markdown file of the project."""
    found = sorted(path for path in ROOT.rglob("*.md") if not NOT_OURS & set(path.relative_to(ROOT).parts))
    return [Page(path) for path in found if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)]


def page(path: str) -> Page:
    return Page(ROOT / path)
